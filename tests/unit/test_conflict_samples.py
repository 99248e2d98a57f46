"""Conflicts as published data sets hold them, where their samples are at hand."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from benchmark_files import shared_path

from kedit_lifecycle.checks.conflict import Conflict, ConflictIndex, RecordedEdit
from kedit_lifecycle.facts.readers import load_requests

pytestmark = pytest.mark.unit


def sample(name: str) -> list[dict[str, Any]]:
    """A sample of ConflictEdit (Li et al., ICLR 2024)."""
    path = shared_path(name)
    if not path.is_file():
        pytest.skip(f"the sample {name} is not beside the repository")
    records: list[dict[str, Any]] = json.loads(path.read_text())
    return records


def recorded(version: int, record: dict[str, Any]) -> RecordedEdit:
    relation = record["relation"]
    subject, new = record["subject"]["label"], record["new_object"]["label"]
    return RecordedEdit(
        version, 0, subject, relation["prompt"], new, record["object"]["label"], relation["id"]
    )


def pair_conflicts(record: dict[str, Any]) -> list[Conflict]:
    """What the second edit of a record clashes with, its prerequisites known."""
    premises = [record["triples"][i] for i in record["prerequisites"]]
    known = [(t["subject"]["label"], t["relation"]["id"], t["object"]["label"]) for t in premises]
    index = ConflictIndex(known=known)
    index.add(recorded(1, record["edits"][0]))
    return index.find(recorded(2, record["edits"][1]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("conflict_reverse_edit_25.json", "reverse"),
        ("conflict_composite_edit_25.json", "composite"),
        ("conflict_coverage_edit_25.json", "overwrite"),
    ],
)
def test_every_published_pair_is_found(name: str, kind: str) -> None:
    for record in sample(name):
        found = pair_conflicts(record)
        assert [one.kind for one in found] == [kind], record
        assert found[0].severity != "note", record


def test_composite_pairs_need_their_known_premise() -> None:
    for record in sample("conflict_composite_edit_25.json"):
        assert pair_conflicts({**record, "prerequisites": []}) == []


def test_slots_of_several_true_values_are_told_from_contradictions() -> None:
    path = shared_path("counterfact_same_slot_conflicts.json")
    if not path.is_file():
        pytest.skip("the sample of same-slot conflicts is not beside the repository")
    groups = defaultdict(list)
    for one in load_requests(path).requests:
        groups[one.subject, one.relation].append(one)
    assert len(groups) == 30
    for group in groups.values():
        index, contrary = ConflictIndex(), ConflictIndex()
        for version, one in enumerate(group, start=1):
            assert all(c.kind != "contradiction" and c.severity != "refuse" for c in index.find(one)), one
            index.add(RecordedEdit.of(version, 0, one))
            fields = {"relation": "P159", "target_true": "Rome", "target_new": f"value {version}"}
            made = one.model_copy(update=fields)
            if version > 1:
                assert [c.kind for c in contrary.find(made)] == ["contradiction"], made
            contrary.add(RecordedEdit.of(version, 0, made))
