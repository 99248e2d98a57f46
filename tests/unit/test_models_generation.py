"""Batched generation against one prompt at a time without cache, mask or padding."""

from __future__ import annotations

import pytest
import torch
from tiny import CORE_FAMILIES, EOS, tiny_editable

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import eos_ids, generate

PROMPTS = [
    "The capital of France is",
    "Rome",
    "Big Ben is in London, and the bridge over the river was built two hundred years ago. What is it? The",
    "Albert Einstein",
    "Water boils at one hundred",
    "Rome",
]


@pytest.fixture(scope="module", params=(*CORE_FAMILIES, "qwen2", "gemma"))
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(request.param)


@torch.no_grad()
def plain_greedy(model: EditableModel, prompt: str, count: int) -> list[int]:
    ids = list(model.tokenizer(prompt)["input_ids"])
    start = len(ids)
    for _ in range(count):
        token = int(model.network(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token == EOS:
            break
        ids.append(token)
    return ids[start:]


def test_batched_greedy_equals_one_by_one_without_a_cache(model: EditableModel) -> None:
    expected = [plain_greedy(model, prompt, 14) for prompt in PROMPTS]
    assert generate(model, PROMPTS, 14) == expected
    assert generate(model, PROMPTS, 14, token_budget=1) == expected


def test_greedy_equals_the_library_for_prompts_of_all_lengths(model: EditableModel) -> None:
    for prompt, ours in zip(PROMPTS, generate(model, PROMPTS, 10), strict=True):
        encoded = torch.tensor([model.tokenizer(prompt)["input_ids"]])
        theirs = model.network.generate(
            encoded, attention_mask=torch.ones_like(encoded), max_new_tokens=10, do_sample=False
        )
        new = theirs[0, encoded.shape[1] :].tolist()
        assert ours == (new[: new.index(EOS)] if EOS in new else new)


def test_a_rows_draws_do_not_depend_on_its_company(model: EditableModel) -> None:
    together = generate(model, PROMPTS, 12, seed=7, top_k=20)
    for prompt, row in list(zip(PROMPTS, together, strict=True))[:5]:
        assert generate(model, [prompt], 12, seed=7, top_k=20) == [row]
    assert generate(model, PROMPTS[::-1], 12, seed=7, top_k=20)[1:4] == together[::-1][1:4]


def test_equal_prompts_draw_differently_within_one_call() -> None:
    first, second = generate(tiny_editable("gpt2"), ["Rome", "Rome"], 12, seed=7, stop_at_eos=False)
    assert first != second


def test_the_seed_decides_the_draws() -> None:
    model = tiny_editable("llama")
    assert generate(model, PROMPTS, 8, seed=1) == generate(model, PROMPTS, 8, seed=1)
    assert generate(model, PROMPTS, 8, seed=1) != generate(model, PROMPTS, 8, seed=2)


def test_generation_leaves_the_global_generator_alone() -> None:
    model = tiny_editable("llama")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    generate(model, PROMPTS, 4, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_top_1_and_a_cold_temperature_are_greedy() -> None:
    model = tiny_editable("gptj")
    greedy = generate(model, PROMPTS, 8)
    assert generate(model, PROMPTS, 8, seed=3, top_k=1) == greedy
    assert generate(model, PROMPTS, 8, seed=3, temperature=1e-6) == greedy


def test_draws_follow_the_models_distribution_within_top_k() -> None:
    model = tiny_editable("gpt_neox")
    count = 4000
    drawn = [row[0] for row in generate(model, ["Rome"] * count, 1, seed=0, top_k=3, stop_at_eos=False)]
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([model.tokenizer("Rome")["input_ids"]])).logits[0, -1]
    values, tokens = logits.topk(3)
    assert set(drawn) == set(tokens.tolist())
    for token, share in zip(tokens.tolist(), values.softmax(dim=-1).tolist(), strict=True):
        assert drawn.count(token) / count == pytest.approx(share, abs=0.04)  # five standard deviations


def test_temperature_flattens_the_distribution() -> None:
    model = tiny_editable("gpt_neox")
    sharp = generate(model, ["Rome"] * 300, 1, seed=0, temperature=0.3, stop_at_eos=False)
    flat = generate(model, ["Rome"] * 300, 1, seed=0, temperature=3.0, stop_at_eos=False)
    assert len({row[0] for row in sharp}) < len({row[0] for row in flat})


def eos_at(model: EditableModel, token: int) -> None:
    model.network.generation_config.eos_token_id = [token]


def test_a_row_stops_at_eos_and_the_others_go_on() -> None:
    model = tiny_editable("llama")
    rows = generate(model, PROMPTS, 12)
    stop = next(t for t in rows[0][1:] if t not in rows[3] and rows[0].index(t) > 0)
    eos_at(model, stop)
    assert stop in eos_ids(model)
    stopped = generate(model, PROMPTS, 12)
    assert stopped[0] == rows[0][: rows[0].index(stop)]
    assert stopped[3] == rows[3]
    assert generate(model, PROMPTS, 12, stop_at_eos=False)[0] == rows[0]


def test_the_pad_token_inside_a_prompt_is_read_like_any_other() -> None:
    model = tiny_editable("qwen2")
    assert model.tokenizer.pad_token_id == EOS
    assert generate(model, ["Rome</s>", PROMPTS[2]], 6)[0] == plain_greedy(model, "Rome</s>", 6)
    assert plain_greedy(model, "Rome</s>", 6) != plain_greedy(model, "Rome", 6)


def test_no_prompts_and_no_tokens_give_nothing() -> None:
    model = tiny_editable("gpt2")
    assert generate(model, [], 5) == []
    assert generate(model, ["Rome"], 0) == [[]]


def test_bad_calls_are_named() -> None:
    model = tiny_editable("gpt2")
    with pytest.raises(UsageError, match="temperature"):
        generate(model, ["Rome"], 3, seed=1, temperature=0.0)
    with pytest.raises(BadRecordError, match="no tokens"):
        generate(model, [""], 3)
    with pytest.raises(BadRecordError, match="512"):
        generate(model, ["Rome"], 512)
