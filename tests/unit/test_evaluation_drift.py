"""Drift against an explicit sum over the whole vocabulary."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.drift import DriftReference
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import generate


def samples_of(model: EditableModel) -> list[list[int]]:
    starts = ["The", "Rome", "Albert Einstein was a"]
    drawn = generate(model, starts, 20, seed=0)
    return [[*model.tokenizer(s)["input_ids"], *ids] for s, ids in zip(starts, drawn, strict=True)]


def nudge(model: EditableModel, scale: float) -> None:
    """Change one MLP matrix in the middle, as an edit does."""
    weight = model.network.get_parameter(model.architecture.mlp_down_weight(1))
    generator = torch.Generator().manual_seed(1)
    weight.data = weight.data + scale * torch.randn(weight.shape, generator=generator).to(weight.dtype)


@torch.no_grad()
def plain_kl(base: EditableModel, edited: EditableModel, samples: list[list[int]]) -> float:
    total, count = 0.0, 0
    for sample in samples:
        ids = torch.tensor([sample])
        p, q = (m.network(input_ids=ids).logits[0].double().log_softmax(-1).tolist() for m in (base, edited))
        for row, other in zip(p, q, strict=True):
            total += sum(math.exp(a) * (a - b) for a, b in zip(row, other, strict=True))
            count += 1
    return total / count


@pytest.mark.parametrize("family", [*CORE_FAMILIES, "llama_tied"])
def test_drift_equals_the_explicit_divergence_of_base_from_edited(family: str) -> None:
    base = tiny_editable(family)
    edited = copy.deepcopy(base)
    nudge(edited, 0.2)
    samples = samples_of(base)
    reference = DriftReference.build(base, samples)
    value = reference.drift(edited)
    assert value.value == pytest.approx(plain_kl(base, edited, samples), rel=1e-3)
    assert value.value > 0.01
    assert value.count == sum(map(len, samples))
    assert (value.metric, value.scorer, value.request) == ("drift_kl", "teacher-forced", None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_unedited_model_has_no_drift_at_all(dtype: torch.dtype) -> None:
    model = tiny_editable("llama", dtype)
    assert DriftReference.build(model, samples_of(model)).drift(model).value == 0.0


def test_the_divergence_goes_from_base_to_edited() -> None:
    base = tiny_editable("gpt2")
    edited = copy.deepcopy(base)
    nudge(edited, 0.5)
    samples = samples_of(base)
    forward = DriftReference.build(base, samples).drift(edited).value
    backward = DriftReference.build(edited, samples).drift(base).value
    assert forward == pytest.approx(plain_kl(base, edited, samples), rel=1e-3)
    assert backward == pytest.approx(plain_kl(edited, base, samples), rel=1e-3)
    assert forward != pytest.approx(backward, rel=1e-2)


def test_a_larger_edit_drifts_further() -> None:
    base = tiny_editable("gptj")
    reference = DriftReference.build(base, samples_of(base))
    drifts = []
    for scale in (0.01, 0.1, 1.0):
        edited = copy.deepcopy(base)
        nudge(edited, scale)
        drifts.append(reference.drift(edited).value)
    assert drifts == sorted(drifts)


def test_positions_are_capped_in_the_order_of_the_samples() -> None:
    model = tiny_editable("gpt2")
    samples = [[5, 6, 7], [], [8, 9], [10, 11, 12, 13]]
    reference = DriftReference.build(model, samples, max_positions=6)
    assert reference.samples == ((5, 6, 7), (8, 9), (10,))
    assert reference.drift(model).count == 6
    assert len(DriftReference.build(model, [[7] * 300, [8] * 300]).hidden) == 512


def test_the_reference_keeps_rows_in_the_order_of_the_samples() -> None:
    model = tiny_editable("gpt2")
    samples = [[5, 6, 7, 8], [9], [10, 11]]
    hidden = DriftReference.build(model, samples).hidden
    rows = [DriftReference.build(model, [sample]).hidden for sample in samples]
    assert torch.allclose(hidden, torch.cat(rows), atol=1e-5)


def test_the_protocol_names_the_samples() -> None:
    model = tiny_editable("gpt2")
    first = DriftReference.build(model, [[5, 6]]).drift(model)
    second = DriftReference.build(model, [[5, 7]]).drift(model)
    assert first.protocol != second.protocol


def test_an_edited_head_is_refused_rather_than_measured_wrongly() -> None:
    model = tiny_editable("llama")
    reference = DriftReference.build(model, [[5, 6, 7]])
    model.network.get_output_embeddings().weight.data.mul_(1.5)
    with pytest.raises(UsageError, match="head"):
        reference.drift(model)


def test_a_broken_model_has_infinite_drift() -> None:
    model = tiny_editable("llama")
    reference = DriftReference.build(model, [[5, 6, 7]])
    model.network.get_parameter(model.architecture.mlp_down_weight(1)).data.fill_(math.nan)
    assert reference.drift(model).value == math.inf


def test_no_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        DriftReference.build(tiny_editable("gpt2"), [[], []])
