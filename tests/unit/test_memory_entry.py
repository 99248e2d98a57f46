"""Ids, slots and the fingerprint of a memory."""

from __future__ import annotations

import pytest

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry, memory_fingerprint

pytestmark = pytest.mark.unit


def entry(
    version: int, subject: str, prompt: str = "The capital of {} is", relation: str | None = None
) -> MemoryEntry:
    request = EditRequest(subject=subject, prompt=prompt, target_new="Rome", relation=relation)
    return MemoryEntry(EntryId(version, 0), request)


def test_keys_go_there_and_back_in_the_order_of_the_ids() -> None:
    ids = [EntryId(0, 0), EntryId(0, 7), EntryId(1, 0), EntryId(1, 2**24 - 1), EntryId(2**30, 3)]
    assert [EntryId.of_key(one.key) for one in ids] == ids
    assert sorted(one.key for one in ids) == [one.key for one in ids]


@pytest.mark.parametrize("wrong", [EntryId(-1, 0), EntryId(0, -1), EntryId(0, 2**24), EntryId(2**39, 0)])
def test_ids_that_do_not_fit_are_refused(wrong: EntryId) -> None:
    with pytest.raises(UsageError, match="no entry"):
        _ = wrong.key


def test_a_slot_is_subject_and_relation_whatever_their_spelling() -> None:
    one = entry(1, "France", relation="P36")
    assert one.slot == entry(2, " france", "{}'s capital is", relation="capital").slot
    assert one.slot != entry(2, "France", relation="P37").slot
    assert one.slot != entry(2, "Italy", relation="P36").slot
    assert entry(1, "France").slot == entry(2, "FRANCE").slot
    assert entry(1, "France").slot != entry(1, "France", "{} lies in").slot


def test_the_fingerprint_is_of_entries_in_order_encoder_and_scope() -> None:
    one, two = entry(1, "France"), entry(2, "Italy")
    prints = [
        memory_fingerprint([one, two], "encoder", "scope"),
        memory_fingerprint([two, one], "encoder", "scope"),
        memory_fingerprint([one], "encoder", "scope"),
        memory_fingerprint([one, two], "other", "scope"),
        memory_fingerprint([one, two], "encoder", "other"),
        memory_fingerprint([], "encoder", "scope"),
    ]
    assert len(set(prints)) == len(prints)
    assert prints[0] == memory_fingerprint(iter([one, two]), "encoder", "scope")
    # by content: the same requests under other version numbers are the same memory
    assert prints[2] == memory_fingerprint([entry(9, "France")], "encoder", "scope")
