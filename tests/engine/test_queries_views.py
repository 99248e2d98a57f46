"""One version, one attempt, two versions beside each other, and the audit chain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from query_store import ask, attempt, commit, health_checks, new_store, score
from small_store import WHO, request, state

from kedit_lifecycle.engine.messages import VersionView
from kedit_lifecycle.errors import NoSuchRefError
from kedit_lifecycle.ledger.records import AnswerDraft, RequestDraft, Supersession
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "store") as made:
        yield made


def whole(subject: str, target: str) -> RequestDraft:
    """A request whose payload has paraphrases and reasons."""
    plain = request(subject, target)
    payload = {
        **plain.payload,
        "paraphrases": ["Which city? It is"],
        "neighborhood": ["Elsewhere it is"],
        "reason": "a test",
        "source": "tests:1",
    }
    return RequestDraft(plain.digest, subject, "P36", plain.prompt, target, "Paris", payload)


def test_a_version_has_its_facts_with_answers_before_and_after(store: Store) -> None:
    commit(store, "Nice")
    answers = [
        AnswerDraft(0, "The capital of Lyon is", " Beirut", 0.41, 1),
        AnswerDraft(0, "The capital of Lyon is", " Rome", 0.97),
        AnswerDraft(1, "The capital of Oslo is", " Rome", math.nan),
    ]
    facts = [whole("Lyon", "Rome"), request("Oslo", "Rome")]
    commit(store, "Lyon", requests=facts, answers=answers, supersedes=[Supersession(1, 1, 0)])
    commit(store, "Lyon", "Bonn", supersedes=[Supersession(0, 2, 0)])
    view = ask(store, "/versions", ref="2")
    lyon, oslo = view.facts
    assert (lyon.position, lyon.subject, lyon.target_new, lyon.target_true) == (0, "Lyon", "Rome", "Paris")
    assert (lyon.before, lyon.before_probability) == (" Beirut", 0.41)
    assert (lyon.after, lyon.after_probability) == (" Rome", 0.97)
    assert (lyon.paraphrases, lyon.neighborhood) == (("Which city? It is",), ("Elsewhere it is",))
    assert (lyon.reason, lyon.source, lyon.relation) == ("a test", "tests:1", "P36")
    assert (lyon.supersedes, lyon.superseded_by) == ((), 3)
    assert (oslo.supersedes, oslo.superseded_by) == ((1,), None)
    assert (oslo.before, oslo.after, oslo.after_probability) == (None, " Rome", None)
    assert len(ask(store, "/versions", ref="2", facts=1).facts) == 1
    store.undo(**WHO)
    assert ask(store, "/versions", ref="2").facts[0].superseded_by is None


def test_a_version_has_checks_metrics_tensors_and_how_it_was_made(store: Store) -> None:
    diagnostics = {
        "gate": {"decision": "warn", "reasons": ["drift: high"]},
        "losses": [[3.0, 1.0], [5.0]],
        "warnings": ["poor"],
    }
    metrics = [score("efficacy", 0.0, 0, 0), score("efficacy", 1.0), score("drift_kl", math.nan, None)]
    made = commit(store, "Lyon", metrics=metrics, checks=health_checks(1.2), diagnostics=diagnostics)
    commit(store, "Nice")
    store.add_metrics(1, [score("efficacy", 0.5, 0, 2)], **WHO)
    view = ask(store, "/versions", ref=made.short)
    assert view.row.number == 1
    assert [(one.check, one.verdict, one.value, one.warn, one.fail) for one in view.checks] == [
        ("perplexity", "pass", 1.2, 1.1, 1.5),
        ("retention", "pass", 0.0, 0.34, 0.67),
        ("collapse", "pass", None, None, None),
    ]
    assert view.reasons == ("drift: high",)
    assert [(one.metric, one.evaluated, one.value, one.unedited) for one in view.metrics] == [
        ("efficacy", 1, 1.0, 0.0),
        ("drift_kl", 1, None, None),
        ("efficacy", 2, 0.5, 0.0),
    ]
    (tensor,) = view.tensors
    assert (tensor.tensor, tensor.layer, tensor.rank, tensor.norm) == ("mlp.weight", None, 1, 0.25)
    assert tensor.master == made.tensors["mlp.weight"].master
    assert (view.config, view.seed) == ({"layer": 5, "learning_rate": 0.5}, 7)
    assert (view.author, view.command) == (WHO["author"], WHO["command"])
    assert (view.losses, view.warnings) == ((4.0, 1.0), ("poor",))
    assert [one.kind for one in view.audit] == ["commit", "eval"]
    assert VersionView.model_validate_json(view.model_dump_json()) == view


def test_a_layer_is_read_from_the_name_of_a_tensor(store: Store) -> None:
    made = commit(store, "Lyon")
    (update,) = store.reader.updates(made.number)
    name = "model.layers.12.mlp.down_proj.weight"
    deep = type(update)(name, "rank", update.left, update.right, None, update.before, update.after, 1, 0.5)
    commit(store, "Nice", updates=[deep])
    assert ask(store, "/versions", ref="HEAD").tensors[0].layer == 12


def test_the_unedited_model_is_a_version_too(store: Store) -> None:
    view = ask(store, "/versions", ref="0")
    assert (view.facts, view.tensors, view.checks, view.losses) == ((), (), (), ())
    assert [one.kind for one in view.audit] == ["create"]


def test_a_branch_may_have_a_slash_in_its_name(store: Store) -> None:
    commit(store, "Lyon")
    store.branch("fix/lyon", "HEAD", **WHO)
    assert ask(store, "/versions", ref="fix/lyon").row.number == 1


def test_an_attempt_says_what_was_tried_and_why_it_was_taken_back(store: Store) -> None:
    commit(store, "Lyon")
    event = attempt(store, "Toko")
    view = ask(store, "/attempts", event=event)
    assert (view.row.number, view.row.key, view.row.parent) == (None, event, 1)
    assert [(fact.subject, fact.target_new) for fact in view.facts] == [("Toko", "Oslo")]
    assert view.reasons == ("perplexity: 1.6 ×",)
    assert (view.checks[0].check, view.checks[0].verdict, view.checks[0].value) == ("perplexity", "fail", 1.6)
    assert (view.config, view.seed, view.author) == ({"layer": 5}, 3, WHO["author"])
    assert [one.seq for one in view.audit] == [event]
    for other in (event - 1, 0, event + 1):
        with pytest.raises(NoSuchRefError, match="keeps no attempt"):
            ask(store, "/attempts", event=other)


@pytest.mark.parametrize("payload", [{"requests": "x"}, {"checks": [1, {}]}, {"config": None, "seed": "s"}])
def test_an_attempt_of_another_make_is_shown_as_far_as_it_goes(
    store: Store, payload: dict[str, object]
) -> None:
    event = attempt(store, "Toko", **payload)
    assert ask(store, "/attempts", event=event).row.verdict == "reject"
    assert ask(store, "/history", filter="reject").total == 1


def test_two_versions_beside_each_other(store: Store) -> None:
    commit(store, "one", checks=health_checks(1.0))
    commit(store, "two", checks=health_checks(1.1))
    commit(store, "three", checks=health_checks(1.3), supersedes=[Supersession(0, 2, 0)])
    store.branch("side", "1", **WHO)
    store.move("side", kind="switch", **WHO)
    commit(store, "four", metrics=[score("drift_kl", 0.2, None)], tensors={"other.weight": state("x")})
    found = ask(store, "/compare", a="main", b="side")
    assert (found.a.number, found.b.number, found.ancestor) == (3, 4, 1)
    assert [fact.subject for fact in found.facts_only_a] == ["three"]  # two was superseded there
    assert [fact.subject for fact in found.facts_only_b] == ["four"]
    assert found.tensors == ("mlp.weight", "other.weight")
    assert found.metrics == (("perplexity", 1.3, None), ("retention", 0.0, None), ("drift_kl", None, 0.2))
    up = ask(store, "/compare", a="1", b="main")
    assert (up.ancestor, up.facts_only_a) == (1, ())
    assert [fact.subject for fact in up.facts_only_b] == ["three"]
    same = ask(store, "/compare", a="2", b="2")
    assert (same.facts_only_a, same.facts_only_b, same.tensors) == ((), (), ())


def test_of_many_facts_the_newest_are_compared(store: Store) -> None:
    for number in range(6):
        commit(store, f"City {number}")
    found = ask(store, "/compare", a="0", b="HEAD", facts=2)
    assert [fact.subject for fact in found.facts_only_b] == ["City 5", "City 4"]


def test_the_audit_chain_is_read_newest_first(store: Store) -> None:
    commit(store, "Lyon")
    event = attempt(store, "Toko")
    store.tag("good", "HEAD", **WHO)
    store.undo(**WHO)
    store.redo(**WHO)
    page = ask(store, "/audit")
    assert page.total == len(page.events) == 6
    assert [(one.kind, one.summary) for one in page.events] == [
        ("redo", "makes event 2 again"),
        ("undo", "takes back event 2"),
        ("tag", f"good at {store.reader.head().short}"),
        ("attempt", "reject on version 1: perplexity: 1.6 ×"),
        ("commit", f"version 1 ({store.reader.head().short})"),
        ("create", f"version 0 ({store.reader.version(0).short})"),
    ]
    assert [one.seq for one in ask(store, "/audit", before=event, limit=1).events] == [2]
    only = ask(store, "/audit", kind="attempt")
    assert (only.total, [one.seq for one in only.events]) == (1, [event])
    attempt(store, "Toko")
    assert ask(store, "/audit", kind="attempt").total == 2
    assert ask(store, "/audit", kind="no such").total == 0
    newest = store.reader.events(limit=1)[0]
    first = ask(store, "/audit", limit=1).events[0]
    assert (first.hash, first.author, first.command) == (newest.hash, newest.author, newest.command)
    assert first.payload == newest.payload
