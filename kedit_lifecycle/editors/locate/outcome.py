"""What the search for values has to say: who failed, who fell short, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from kedit_lifecycle.editors.locate.contexts import EditContexts
from kedit_lifecycle.editors.locate.value_search import FoundValue
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.batching import hidden_states, length_buckets
from kedit_lifecycle.models.editable import EditableModel

POOR_PROBABILITY = 0.5
POOR_RESIDUAL = 0.5
_TOKENS = 4096  # padded, of one pass that reads what was written
_HINT = "a smaller learning_rate, or another layer; a float16 model may need float32"


def failed_requests(requests: Sequence[EditRequest], found: Sequence[FoundValue]) -> dict[int, str]:
    """Those without a usable δ, by their place, and why.

    Raises:
        EditFailedError: naming them, if there is no other.
    """
    failures = {
        index: f"the optimisation of v* failed for {request.question!r}: {one.problem}"
        for index, (request, one) in enumerate(zip(requests, found, strict=True))
        if one.problem
    }
    if len(failures) == len(requests):
        raise EditFailedError("; ".join(failures.values()), hint=_HINT)
    return failures


@torch.no_grad()
def written_probabilities(model: EditableModel, contexts: Sequence[EditContexts]) -> list[float]:
    """Each target's probability at its prompt alone, geometric mean over its tokens, as the model stands."""
    facts = [one.prompts[0] for one in contexts]
    found: dict[int, float] = {}
    for bucket in length_buckets(range(len(facts)), lambda place: len(facts[place].ids), _TOKENS):
        states = hidden_states(model, [facts[place].ids[:-1] for place in bucket])
        for row, place in enumerate(bucket):
            ids, start = facts[place].ids, facts[place].target_start
            logprobs = torch.log_softmax(model.logits(states[row, start - 1 : len(ids) - 1]), dim=-1)
            target = torch.tensor(ids[start:], device=logprobs.device)
            found[place] = float(logprobs.gather(1, target[:, None]).mean().exp())
    return [found[place] for place in range(len(facts))]


def to_be_repeated(
    found: Sequence[FoundValue], written: Sequence[float], left: Sequence[float], enough: float
) -> list[int]:
    """The places of those whose value would do and was written, and whose target is too improbable yet.

    Where most of the change is `left`, the averaged key is not the bare prompt's (among a text's first
    tokens, say, where the model parks its attention): more of the same would cost the model, and not tell
    the fact.
    """
    return [
        place
        for place, one in enumerate(found)
        if not one.problem and written[place] < enough <= one.probability and left[place] < POOR_RESIDUAL
    ]


def missed_writes(searched: Sequence[tuple[EditRequest, FoundValue]], written: Sequence[float]) -> list[str]:
    """A warning for each request whose value was found and whose target is not likely once it is written."""
    return [
        f"{request.question!r}: the target's probability is {probability:.2f} once written, where its value "
        f"would give {one.probability:.2f}; raise rounds or unprefixed_weight"
        for (request, one), probability in zip(searched, written, strict=True)
        if probability < POOR_PROBABILITY <= one.probability
    ]


def missed_targets(searched: Sequence[tuple[EditRequest, FoundValue]]) -> list[str]:
    """A warning for each request whose target did not become likely, naming what to turn."""
    return [
        f"{request.question!r}: the target's probability reached only {one.probability:.2f} in the worst "
        "context; raise steps, clamp_norm or clamp_floor, or try another layer"
        for request, one in searched
        if one.probability < POOR_PROBABILITY
    ]


def report_searches(found: Sequence[FoundValue]) -> dict[str, Any]:
    """Diagnostics of a version: loss curves, probabilities reached, ‖δ‖ as a multiple of ‖v‖."""
    return {
        "losses": [one.losses for one in found],
        "target_probability": [one.probability for one in found],
        "delta_over_value": [float(one.delta.norm() / one.value.norm()) for one in found],
    }
