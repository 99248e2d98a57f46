"""What the search for values has to say: who failed, who fell short, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedit_lifecycle.editors.locate.value_search import FoundValue
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.facts.request import EditRequest

POOR_PROBABILITY = 0.5
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
