"""The sanity check: each way a model can be loaded wrongly is found, and a right one passes."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from tiny import EOS, tiny_editable, tiny_model, tiny_tokenizer
from torch import nn

from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sanity import FIXED_TEXT, SanityCheck, check_sanity, expected_loss
from kedit_lifecycle.models.tokens import encode

pytestmark = pytest.mark.unit


@cache
def taught(family: str) -> dict[str, torch.Tensor]:
    """Weights of the tiny model after it has learnt the fixed text by heart."""
    network, tokenizer = tiny_model(family)
    ids = torch.tensor([encode(tokenizer, FIXED_TEXT)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(60):
            optimiser.zero_grad()
            loss = network(input_ids=ids, labels=ids).loss
            loss.backward()
            optimiser.step()
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def right(family: str = "llama") -> EditableModel:
    model = tiny_editable(family)
    model.network.load_state_dict(taught(family))
    return model


def check(model: EditableModel, name: str) -> SanityCheck:
    return next(one for one in check_sanity(model).checks if one.name == name)


@pytest.mark.parametrize("family", ["llama", "llama_tied", "gpt2", "gpt_neox", "gptj"])
def test_a_right_model_passes(family: str) -> None:
    report = check_sanity(right(family))
    assert [one for one in report.checks if one.verdict != "pass"] == []
    assert report.verdict == "pass"
    assert report.model == family


@pytest.mark.parametrize("family", ["llama", "gpt2", "gptj", "gpt_neox"])
def test_an_untrained_model_fails_on_perplexity(family: str) -> None:
    report = check_sanity(tiny_editable(family))
    assert report.verdict == "fail"
    assert [one.name for one in report.checks if one.verdict == "fail"] == ["perplexity"]


def test_another_tokenizers_ids_fail() -> None:
    model = right()
    beyond = tiny_tokenizer("llama")
    beyond.add_tokens(["Earth once"])
    model.tokenizer = beyond
    model.network.resize_token_embeddings(399)
    assert check(model, "perplexity").verdict == "fail"
    model = right()
    model.network.get_input_embeddings().weight.data = model.network.get_input_embeddings().weight.data.roll(
        7, 0
    )
    assert check(model, "perplexity").verdict == "fail"


def test_ids_that_the_model_has_not_are_said_before_it_is_asked() -> None:
    model = right()
    model.tokenizer.add_tokens(["Moon", "Earth"])
    found = check(model, "perplexity")
    assert found.verdict == "fail"
    assert "not its own" in found.found


def test_a_head_that_should_be_tied_and_is_not_fails_and_the_reverse() -> None:
    model = right("llama_tied")
    head = model.network.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone())
    found = check(model, "tied embeddings")
    assert found.verdict == "fail"
    assert found.found == "config says tied, weights are untied"
    model = right()
    model.network.get_output_embeddings().weight = model.network.get_input_embeddings().weight
    assert check(model, "tied embeddings").verdict == "fail"


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_another_rotary_base_fails(family: str) -> None:
    model = right(family)
    assert check(model, "rotary").verdict == "pass"
    model.network.config.rope_parameters["rope_theta"] = 500000.0
    found = check(model, "rotary")
    assert found.verdict == "fail"
    assert "500000" in found.found


def test_another_rotary_width_fails() -> None:
    model = right("gpt_neox")
    model.network.config.rope_parameters["partial_rotary_factor"] = 1.0
    assert check(model, "rotary").verdict == "fail"


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_weight_that_is_no_number_is_named(value: float) -> None:
    model = right()
    model.parameter("model.layers.1.mlp.up_proj.weight").data[3, 3] = value
    report = check_sanity(model)
    assert report.verdict == "fail"
    found = check(model, "finite weights")
    assert (found.verdict, found.found) == ("fail", "model.layers.1.mlp.up_proj.weight")


def test_a_text_that_begins_with_something_else_than_bos_is_a_warning() -> None:
    model = right()
    model.tokenizer.bos_token_id = EOS
    report = check_sanity(model)
    assert check(model, "BOS").verdict == "warn"
    assert report.verdict == "warn"


def test_the_expected_loss_is_the_scaling_laws() -> None:
    """Hoffmann et al. 2022, eq. 10; 70 billion parameters on 1.4 trillion tokens give 1.94 there."""
    assert expected_loss(135_000_000) == pytest.approx(2.64, abs=0.01)
    assert expected_loss(10**9) < expected_loss(10**8) < expected_loss(10**7)
