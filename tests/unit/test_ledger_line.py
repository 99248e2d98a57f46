"""What a line of history holds: edits, what took their place, checks, numbers about the whole model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_store import META, WHO, commit_edits, edit

from kedit_lifecycle.ledger.line import line_checks, line_edits, line_metric, superseded_on_line
from kedit_lifecycle.ledger.records import CheckDraft, MetricDraft, Supersession
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "store", META, **WHO) as opened:
        yield opened


def test_a_superseded_edit_is_marked_on_its_line_and_whole_on_another(store: Store) -> None:
    commit_edits(store, ["France", "Spain"])
    at_two = store.reader.head()
    draft = edit(store.blobs, at_two.id, "France again", supersedes=[Supersession(0, 1, 0)])
    at_three = store.commit(draft, **WHO)
    assert [(e.version, e.position, e.superseded) for e in line_edits(store.reader, at_three)] == [
        (1, 0, True),
        (2, 0, False),
        (3, 0, False),
    ]
    assert [e.request.subject for e in line_edits(store.reader, at_three)] == [
        "France",
        "Spain",
        "France again",
    ]
    assert not any(e.superseded for e in line_edits(store.reader, at_two))
    assert superseded_on_line(store.reader, at_three) == {(1, 0)}
    assert superseded_on_line(store.reader, at_two) == set()


def test_only_what_is_deeper_than_a_version_is_read(store: Store) -> None:
    commit_edits(store, ["France", "Spain", "Peru"])
    head = store.reader.head()
    assert [e.version for e in line_edits(store.reader, head, above=1)] == [2, 3]
    assert line_edits(store.reader, head, above=3) == []


def test_checks_and_supersessions_come_back_as_they_were_written(store: Store) -> None:
    (version,) = commit_edits(store, ["France"], rich=True)
    checks = store.reader.checks(version.number)
    assert checks == [
        CheckDraft("perplexity", "pass", "1.01 times the unedited model's", 1.01, 1.1, 1.5),
        CheckDraft("conflict", "warn", "v1 said Rome", detail={"kind": "overwrite", "with": [1]}),
    ]
    assert store.reader.supersedes(version.number) == [Supersession(0, 0, 1)]
    assert line_checks(store.reader, version) == [(version.number, one) for one in checks]


def test_a_number_of_the_whole_model_is_a_series_over_the_line(store: Store) -> None:
    commit_edits(store, ["France", "Spain"], rich=True)
    store.add_metrics(1, [MetricDraft("PPL", "text-1", "teacher-forced", 99.0, 512, None, 2)], **WHO)
    series = line_metric(store.reader, store.reader.head(), "PPL")
    assert [(number, value.value) for number, value in series] == [(1, 20.125), (2, 20.125), (2, 99.0)]
    assert line_metric(store.reader, store.reader.head(), "ES") == []
