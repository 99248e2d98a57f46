"""Which of the earlier edits are asked again: a stratified sample by age, and always the related ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from kedit_lifecycle.facts.request import EditRequest


@dataclass(frozen=True, slots=True)
class EarlierEdit:
    """A live edit of an earlier version. `held`: whether it held when made; None where nobody looked."""

    version: int
    position: int
    request: EditRequest
    held: bool | None = None


def choose_earlier(
    earlier: Sequence[EarlierEdit],
    requests: Sequence[EditRequest],
    *,
    sample: int,
    related: int,
    seed: int,
    version: int,
) -> list[EarlierEdit]:
    """At most `related` edits with a subject or relation of `requests`, then `sample` over all ages.

    Of the related, those with the same subject come first, the latest before the earlier. The others are
    cut by age into `sample` strata of equal size, of each of which one is drawn. What is drawn follows
    from (seed, version) and the edits alone. The result is in order of age, the oldest first.
    """
    by_age = sorted(earlier, key=lambda one: (one.version, one.position))
    kin = _related(by_age, requests)[:related]
    taken = {(one.version, one.position) for one in kin}
    rest = [one for one in by_age if (one.version, one.position) not in taken]
    drawn = _one_of_each_stratum(rest, sample, random.Random(f"{seed}:{version}"))
    return sorted([*kin, *drawn], key=lambda one: (one.version, one.position))


def _related(by_age: Sequence[EarlierEdit], requests: Sequence[EditRequest]) -> list[EarlierEdit]:
    subjects = {_subject(request) for request in requests}
    relations = {request.relation for request in requests if request.relation is not None}
    latest_first = by_age[::-1]
    same_subject = [one for one in latest_first if _subject(one.request) in subjects]
    same_relation = [
        one
        for one in latest_first
        if one.request.relation in relations and _subject(one.request) not in subjects
    ]
    return same_subject + same_relation


def _subject(request: EditRequest) -> str:
    return " ".join(request.subject.split()).casefold()


def _one_of_each_stratum(
    by_age: Sequence[EarlierEdit], strata: int, generator: random.Random
) -> list[EarlierEdit]:
    if strata == 0 or len(by_age) <= strata:
        return list(by_age) if strata else []
    edges = [len(by_age) * number // strata for number in range(strata + 1)]
    return [by_age[generator.randrange(*pair)] for pair in itertools.pairwise(edges)]
