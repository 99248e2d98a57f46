"""Which earlier edits are asked again."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.checks.health import EarlierEdit
from kedit_lifecycle.checks.health.sampling import choose_earlier
from kedit_lifecycle.facts.request import EditRequest

pytestmark = pytest.mark.unit


def edit(version: int, subject: str = "", relation: str | None = None, position: int = 0) -> EarlierEdit:
    subject = subject or f"subject {version}.{position}"
    request = EditRequest(subject=subject, prompt="{} is", target_new="new", relation=relation)
    return EarlierEdit(version, position, request, held=True)


def choose(
    earlier: list[EarlierEdit], now: EditRequest, *, sample: int = 6, related: int = 4, version: int = 99
) -> list[EarlierEdit]:
    return choose_earlier(earlier, [now], sample=sample, related=related, seed=0, version=version)


OTHER = EditRequest(subject="someone else", prompt="{} is", target_new="new", relation="P17")


def test_one_of_each_age_is_drawn() -> None:
    earlier = [edit(version) for version in range(1, 61)]
    for version in range(61, 90):
        chosen = choose(earlier, OTHER, version=version)
        assert [(one.version - 1) // 10 for one in chosen] == [0, 1, 2, 3, 4, 5]


def test_every_edit_is_drawn_sooner_or_later() -> None:
    earlier = [edit(version) for version in range(1, 31)]
    seen = Counter(one.version for version in range(400) for one in choose(earlier, OTHER, version=version))
    assert set(seen) == set(range(1, 31))
    assert max(seen.values()) < 2 * min(seen.values())


def test_few_edits_are_all_asked() -> None:
    earlier = [edit(version) for version in range(1, 7)]
    assert choose(earlier, OTHER) == earlier
    assert choose([], OTHER) == []


def test_the_same_subject_or_relation_is_always_asked() -> None:
    earlier = [edit(version) for version in range(1, 101)]
    earlier[10], earlier[40] = edit(11, subject=" Someone  ELSE "), edit(41, relation="P17")
    for version in range(200, 230):
        chosen = choose(earlier, OTHER, version=version)
        assert {11, 41} <= {one.version for one in chosen}
        assert len(chosen) == 8


def test_related_edits_are_capped_subject_first_then_the_latest() -> None:
    earlier = [edit(version, relation="P17") for version in range(1, 21)]
    earlier += [edit(version, subject="Someone else") for version in range(21, 24)]
    earlier += [edit(version, relation="P17") for version in range(24, 30)]
    chosen = choose(earlier, OTHER, sample=0, related=5)
    assert [one.version for one in chosen] == [21, 22, 23, 28, 29]


def test_an_unknown_relation_relates_nothing() -> None:
    now = OTHER.model_copy(update={"relation": None})
    assert choose([edit(version) for version in range(9)], now, sample=0) == []


def test_edits_of_one_batch_are_told_apart() -> None:
    earlier = [edit(1, position=position) for position in range(5)]
    assert choose(earlier, OTHER, sample=5) == earlier


@given(st.integers(0, 60), st.integers(0, 12), st.integers(0, 6), st.integers(0, 5), st.randoms())
def test_the_sample_follows_from_seed_and_version(
    count: int, sample: int, related: int, version: int, shuffler: random.Random
) -> None:
    earlier = [edit(i // 2, relation="P17" if i % 7 == 0 else None, position=i % 2) for i in range(count)]
    chosen = choose(earlier, OTHER, sample=sample, related=related, version=version)
    shuffled = list(earlier)
    shuffler.shuffle(shuffled)
    assert choose(shuffled, OTHER, sample=sample, related=related, version=version) == chosen
    assert len({(one.version, one.position) for one in chosen}) == len(chosen)
    kin = min(related, sum(one.request.relation == "P17" for one in earlier))
    assert len(chosen) == min(count, kin + sample)


def test_another_version_draws_another_sample() -> None:
    earlier = [edit(version) for version in range(1, 201)]
    assert choose(earlier, OTHER, version=300) != choose(earlier, OTHER, version=301)
