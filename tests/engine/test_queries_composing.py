"""What helps to write a request: suggestions of the built-in facts, and conflicts while one types."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from query_store import ask, commit, new_store
from small_store import WHO

from kedit_lifecycle.checks.conflict import ConflictIndex, RecordedEdit
from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.world import world_facts, world_subjects
from kedit_lifecycle.ledger.records import RequestDraft, Supersession
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "store") as made:
        yield made


def says(subject: str, target: str, true: str | None = None, relation: str | None = "P36") -> RequestDraft:
    declared = relation_of(relation)
    prompt = declared.prompt if declared else "The twin of {} is"
    payload = {"subject": subject, "prompt": prompt, "target_new": target}
    digest = hashlib.sha256(f"{subject} {target}".encode()).hexdigest()
    return RequestDraft(digest, subject, relation, prompt, target, true, payload)


# Suggestions


@pytest.mark.parametrize("typed", ["côte", "COTE D", "Ivory", "ivory coast"])
def test_subjects_begin_like_what_is_typed_in_any_case_or_accent(tmp_path: Path, typed: str) -> None:
    assert ask(tmp_path, "/suggest", subject=typed).subjects == ("Ivory Coast",)


def test_names_come_before_aliases_and_as_many_as_asked_for(tmp_path: Path) -> None:
    found = ask(tmp_path, "/suggest", subject="A", limit=5).subjects
    assert len(found) == 5
    assert all(one.casefold().startswith("a") for one in found)
    assert list(found) == sorted(found)
    assert ask(tmp_path, "/suggest", subject="zzz").subjects == ()
    assert ask(tmp_path, "/suggest").subjects == ()


@pytest.mark.parametrize(
    ("prompt", "relation", "completed"),
    [
        ("", "P36", None),
        ("The curr", "P38", "The currency of {} is the"),
        ("the currency of France is", "P38", "The currency of {} is"),
        ("The capital of {} is", "P36", "The capital of {} is"),
        ("{} shares a b", "P47", "{} shares a border with"),
        ("France shares", "P47", "{} shares a border with"),
    ],
)
def test_a_known_subject_has_a_relation_and_its_true_answer(
    tmp_path: Path, prompt: str, relation: str, completed: str | None
) -> None:
    found = ask(tmp_path, "/suggest", subject="France", prompt=prompt)
    france = world_subjects()["France"]
    assert found.relation == relation
    assert completed is None or found.prompt == completed
    assert found.prompt.count("{}") == 1
    assert found.target_true in france.facts[relation]
    assert found.targets
    assert not any(france.allows(relation, one) for one in found.targets)
    assert len(found.paraphrases) == 4
    assert all("France" in one for one in found.paraphrases)


def test_neighbors_have_the_same_true_answer(tmp_path: Path) -> None:
    found = ask(tmp_path, "/suggest", subject="france", prompt="The currency of {} is the")
    assert len(found.neighborhood) == 5
    expected = next(one for one in world_facts(0, ["P38"]) if one.subject == "France")
    assert found.neighborhood == expected.neighborhood
    assert found.target_true == expected.target_true == "euro"


def test_an_unknown_subject_gets_wordings_of_the_relation(tmp_path: Path) -> None:
    found = ask(tmp_path, "/suggest", subject="Edwin", prompt="The religion of Edw")
    assert (found.relation, found.target_true) == (None, None)
    found = ask(tmp_path, "/suggest", subject="Edwin", prompt="The religion of Edwin")
    assert (found.relation, found.prompt) == ("P140", "The religion of {} is")
    assert found.paraphrases
    assert all("Edwin" in one and "{}" not in one for one in found.paraphrases)
    assert ask(tmp_path, "/suggest", subject="Edwin", relation="religion").relation == "P140"
    nothing = ask(tmp_path, "/suggest", subject="Edwin", prompt="The hovercraft of {} is")
    assert (nothing.relation, nothing.prompt, nothing.targets) == (None, None, ())


def test_an_article_does_not_hide_a_relation(tmp_path: Path) -> None:
    found = ask(tmp_path, "/suggest", subject="Netherlands", prompt="The capital of the Netherlands is")
    assert (found.relation, found.target_true) == ("P36", "Amsterdam")


def test_the_same_question_has_the_same_suggestions(tmp_path: Path) -> None:
    asked = {"subject": "Japan", "prompt": "The capital of"}
    assert ask(tmp_path, "/suggest", **asked) == ask(tmp_path, "/suggest", **asked)


# Conflicts


def clashes(store: Store, subject: str, target: str, **more: object) -> list[tuple[str, str, int | None]]:
    fields: dict[str, Any] = {"prompt": "The capital of {} is", "relation": "P36"} | more
    found = ask(store, "/conflicts", subject=subject, target=target, **fields)
    return [(one.kind, one.verdict, one.version) for one in found]


def test_conflicts_with_the_live_edits(store: Store) -> None:
    commit(store, "France", requests=[says("France", "Rome", "Paris")])
    assert clashes(store, "France", "Rome") == [("duplicate", "pass", 1)]
    assert clashes(store, "France", "Oslo") == [("contradiction", "fail", 1)]
    alias = world_subjects()["France"].aliases[0]
    assert clashes(store, alias, "Oslo", target_true="Rome") == [("overwrite", "fail", 1)]
    assert clashes(store, "Spain", "Oslo") == []
    (one,) = ask(store, "/conflicts", subject="France", prompt="The capital of France is", target="Oslo")
    assert (one.subject, one.target) == ("France", "Rome")
    assert "v1 said: The capital of France is -> Rome" in one.message
    reverse = clashes(store, "Rome", "Spain", prompt="{} is the capital of", relation="P1376")
    assert [(kind, version) for kind, _, version in reverse] == [("reverse", 1)]


def test_conflicts_follow_undo_supersession_and_other_lines(store: Store) -> None:
    commit(store, "France", requests=[says("France", "Rome", "Paris")])
    commit(store, "Spain", requests=[says("Spain", "Rome", "Madrid")])
    assert clashes(store, "Spain", "Oslo") == [("contradiction", "fail", 2)]
    commit(store, "Spain", requests=[says("Spain", "Bonn", "Rome")], supersedes=[Supersession(0, 2, 0)])
    assert clashes(store, "Spain", "Oslo") == [("contradiction", "fail", 3)]
    assert clashes(store, "Spain", "Oslo", ref="2") == [("contradiction", "fail", 2)]
    store.undo(**WHO)
    assert clashes(store, "Spain", "Bonn") == [("contradiction", "fail", 2)]
    store.undo(**WHO)
    assert clashes(store, "Spain", "Oslo") == []
    commit(store, "Spain", requests=[says("Spain", "Kiev", "Madrid")])
    assert clashes(store, "Spain", "Oslo") == [("contradiction", "fail", 4)]


def test_an_index_carried_on_finds_what_one_made_anew_finds(store: Store) -> None:
    whole = ConflictIndex()
    for number in range(1, 8):
        edit = says(f"City {number % 3}", f"Target {number}")
        made = commit(store, f"edit {number}", requests=[edit])
        recorded = RecordedEdit(made.number, 0, edit.subject, edit.prompt, edit.target_new, None, "P36")
        whole.add(recorded)
        found = clashes(store, "City 1", "Oslo")
        asked = RecordedEdit(99, 0, "City 1", "The capital of {} is", "Oslo", None, "P36")
        assert [version for _, _, version in found] == [one.with_.version for one in whole.find(asked)]


def test_on_a_very_long_line_edits_of_the_same_names_are_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, "France", requests=[says("France", "Rome", "Paris")])
    commit(store, "Spain", requests=[says("Spain", "Bonn", "Madrid")])
    commit(store, "Spain", requests=[says("Spain", "Kiev", "Bonn")], supersedes=[Supersession(0, 2, 0)])
    store.branch("side", "1", **WHO)
    store.move("side", kind="switch", **WHO)
    commit(store, "Peru", requests=[says("Peru", "Rome", "Lima")])
    monkeypatch.setattr(sys.modules["kedit_lifecycle.engine.queries.conflicts"], "MOST_WHOLE", 0)
    assert clashes(store, "France", "Oslo", ref="main") == [("contradiction", "fail", 1)]
    assert clashes(store, "Spain", "Oslo", ref="main") == [("contradiction", "fail", 3)]
    assert clashes(store, "Peru", "Oslo", ref="main") == []
    reverse = clashes(store, "Rome", "Spain", prompt="{} is the capital of", relation="P1376")
    assert reverse == []  # found by its other names only: the whole line would say that Rome is France's


@pytest.mark.parametrize("whole_line", [True, False])
def test_what_was_superseded_meets_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, whole_line: bool
) -> None:
    commit(store, "Spain", requests=[says("Spain", "Rome", "Madrid")])
    gone = [Supersession(0, 1, 0)]
    commit(store, "Kingdom of Spain", requests=[says("Chad", "Rome", "N'Djamena")], supersedes=gone)
    if not whole_line:
        monkeypatch.setattr(sys.modules["kedit_lifecycle.engine.queries.conflicts"], "MOST_WHOLE", 0)
    assert clashes(store, "Spain", "Oslo") == []
    assert clashes(store, "Spain", "Oslo", ref="1") == [("contradiction", "fail", 1)]


@pytest.mark.parametrize("empty", ["subject", "prompt", "target"])
def test_half_a_fact_meets_nothing_yet(store: Store, empty: str) -> None:
    fields = {"subject": "France", "prompt": "The capital of {} is", "target": "Rome"} | {empty: " "}
    assert ask(store, "/conflicts", **fields) == []


def test_a_fact_that_makes_no_request_is_named(store: Store) -> None:
    with pytest.raises(BadRecordError, match="is not in the prompt"):
        ask(store, "/conflicts", subject="France", prompt="The capital of Spain is", target="Rome")
    with pytest.raises(BadRecordError, match="exactly once"):
        ask(store, "/conflicts", subject="France", prompt="{} {}", target="Rome")
