"""The criteria of ripple effects, and the names that data sets give them."""

from __future__ import annotations

import re

from kedit_lifecycle.facts.request import Condition, EditRequest, Probe

LOGICAL_GENERALIZATION = "logical_generalization"
COMPOSITIONALITY_1 = "compositionality_1"
COMPOSITIONALITY_2 = "compositionality_2"
SUBJECT_ALIASING = "subject_aliasing"
PRESERVATION = "preservation"
RELATION_SPECIFICITY = "relation_specificity"
MULTI_HOP = "multi_hop"

CRITERIA: tuple[str, ...] = (
    LOGICAL_GENERALIZATION,
    COMPOSITIONALITY_1,
    COMPOSITIONALITY_2,
    SUBJECT_ALIASING,
    PRESERVATION,
    RELATION_SPECIFICITY,
    MULTI_HOP,
)
"""Metric ids: the six criteria of RippleEdits in the paper's order, then MQuAKE's."""

MUST_STAY = frozenset({PRESERVATION, RELATION_SPECIFICITY, "locality", "neighborhood"})
"""What an edit must leave alone: two criteria, and two names of data sets that are none."""

_REASONING = "reasoning"
_NAMES = {
    "logical_constraints": LOGICAL_GENERALIZATION,
    "compositionality_i": COMPOSITIONALITY_1,
    "compositionality_ii": COMPOSITIONALITY_2,
    "two_hop": COMPOSITIONALITY_1,
    "forward_two_hop": COMPOSITIONALITY_2,
    "subject_paraphrasing": SUBJECT_ALIASING,
    "forgetfulness": PRESERVATION,
    "relation_specifity": RELATION_SPECIFICITY,  # as some of the data set's files spell it
    "making_up": RELATION_SPECIFICITY,
    "multihop": MULTI_HOP,
    "multi_hop_accuracy": MULTI_HOP,
} | {criterion: criterion for criterion in CRITERIA}


def criterion_of(probe: Probe, request: EditRequest) -> str:
    """The criterion a probe belongs to; of an unknown category its own name.

    KnowEdit (Zhang et al. 2024) puts both compositionalities under "Reasoning": the first starts at the
    edit's subject and names it, the second reaches it from elsewhere.
    """
    name = re.sub(r"[\W_]+", "_", probe.category.strip()).casefold()
    if name == _REASONING:
        first = request.subject.casefold() in probe.prompt.casefold()
        return COMPOSITIONALITY_1 if first else COMPOSITIONALITY_2
    return _NAMES.get(name, probe.category)


def conditions_of(probe: Probe, request: EditRequest) -> tuple[Condition, ...]:
    """What must hold before the edit for the probe to count.

    Of a probe about what must stay that has none of its own: the probe itself, as RippleEdits builds them.
    """
    if probe.conditions or criterion_of(probe, request).casefold() not in MUST_STAY:
        return probe.conditions
    return (Condition(prompt=probe.prompt, answers=probe.answers),)
