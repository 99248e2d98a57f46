"""Which facts to tune on: those that the unedited model knows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel

CHUNK = 64  # facts read at once: a large file is read no further than needed


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """Facts the model knows, in the order drawn, and how many others were passed over on the way.

    `unknown`: the new target is at least as probable as the true one; `incomparable`: no true target;
    `repeated`: another fact for a subject and relation (or prompt) that has one.
    """

    facts: tuple[EditRequest, ...]
    unknown: int
    incomparable: int
    repeated: int

    @property
    def passed_over(self) -> int:
        """All that were looked at and not taken."""
        return self.unknown + self.incomparable + self.repeated


def choose_known(model: EditableModel, requests: Sequence[EditRequest], count: int, seed: int) -> KnownFacts:
    """The first `count` facts, in an order drawn under `seed`, that the unedited model knows.

    It knows a fact if P(target_true) > P(target_new) at the edit prompt, products over the tokens.
    There may be fewer.

    Raises:
        BadRecordError: a prompt or target the tokenizer or the model cannot take.
    """
    order = list(requests)
    random.Random(seed).shuffle(order)
    comparable = [request for request in order if request.target_true is not None]
    different = _different(comparable)
    kept: list[EditRequest] = []
    unknown = 0
    for request, known in _known(model, different):
        if len(kept) == count:
            break
        kept += [request] if known else []
        unknown += not known
    return KnownFacts(tuple(kept), unknown, len(order) - len(comparable), len(comparable) - len(different))


def _different(requests: Sequence[EditRequest]) -> list[EditRequest]:
    """The first of those for one subject and relation: a later edit would undo an earlier one."""
    seen: dict[tuple[str, str], EditRequest] = {}
    for request in requests:
        seen.setdefault((request.subject.strip(), request.relation or request.prompt.strip()), request)
    return list(seen.values())


def _known(model: EditableModel, requests: Sequence[EditRequest]) -> Iterator[tuple[EditRequest, bool]]:
    for begin in range(0, len(requests), CHUNK):
        chunk = requests[begin : begin + CHUNK]
        pairs = [(one.question, str(target)) for one in chunk for target in (one.target_true, one.target_new)]
        with model.unedited():
            scores = Scorer(model).score_targets(pairs)
        for place, request in enumerate(chunk):
            true, new = scores[2 * place : 2 * place + 2]
            yield request, true.total_logprob > new.total_logprob
