"""Jobs of a real engine on a tiny model: what they come to, in which order, and what is wrong with some."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest
from engine_process import SLOW, EngineProcess, done, ended, fact, kedit, until

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.messages import AnswerView, Peek, VersionView
from kedit_lifecycle.errors import KeditError, NoSuchRefError, UsageError

pytestmark = pytest.mark.engine


def test_an_edit_asked_about_undone_and_done_again(client: EngineClient) -> None:
    begin = client.overview().head
    question = "City C2 is in the country of"
    before = done(client, "ask", prompt=question, refs=["HEAD", "base"], tokens=3, top=4)
    result = done(client, "edit", **fact(2))
    number = result["version"]
    view = VersionView.model_validate(result["view"])
    assert view.row.number == number == client.overview().head
    assert client.version("HEAD").row.id == view.row.id
    answers = [AnswerView.model_validate(one) for one in _ask(client, question, "HEAD", "base", str(begin))]
    assert [one.version for one in answers] == [number, 0, begin]
    assert all(
        len(one.top) == 4 and math.isclose(one.top[0].probability, 0.5, abs_tol=0.5) for one in answers
    )
    assert done(client, "undo")["number"] == begin
    assert done(client, "ask", prompt=question, refs=["HEAD", "base"], tokens=3, top=4) == before
    assert done(client, "redo")["number"] == number
    assert _ask(client, question, "HEAD")[0]["text"] == answers[0].text
    done(client, "undo")


def _ask(client: EngineClient, prompt: str, *refs: str) -> Any:
    return done(client, "ask", prompt=prompt, refs=list(refs), tokens=3, top=4)


def test_a_dry_run_writes_nothing(client: EngineClient) -> None:
    before = client.overview()
    result = done(client, "edit", **fact(2, dry_run=True))
    assert result["version"] is None
    assert result["checks"]
    assert client.overview() == before


def test_what_the_gate_takes_back_is_refused_and_kept_as_an_attempt(client: EngineClient) -> None:
    before = client.overview()
    contradiction = fact(0, target="Japan", policy="strict")
    job = ended(client, client.submit("edit", **contradiction))
    assert job.state == "refused"
    assert job.error is not None
    assert job.error.exit_code == 1
    assert job.result["version"] is None
    after = client.overview()
    assert (after.head, after.attempts) == (before.head, before.attempts + 1)
    assert client.history(limit=1).rows[0].number is None


def test_moving_about(client: EngineClient) -> None:
    begin = client.overview().head
    done(client, "branch", name="aside", at="1")
    done(client, "tag", name="first", at="1")
    assert done(client, "switch", ref="aside")["number"] == 1
    assert client.overview().branch == "aside"
    assert done(client, "switch", ref="main")["number"] == begin
    assert done(client, "rollback", ref="first", message="back")["number"] == 1
    assert done(client, "undo")["number"] == begin
    labels = {label.name for _, label in client.overview().labels}
    assert {"aside", "first", "main"} <= labels


def test_the_router_s_advice(client: EngineClient) -> None:
    before = client.overview()
    asked = {name: value for name, value in fact(2).items() if name in ("subject", "prompt", "target")}
    found = done(client, "advise", **asked)
    assert set(found["methods"]) == {"memit", "serac"}
    long = done(
        client, "advise", **{**asked, "target": "a city on the Seine that has been the seat of kings"}
    )
    assert long["methods"][0] == "serac"
    assert "a target of 12 words is a text" in long["reasons"]
    assert client.overview() == before


def test_peek_and_the_memory(client: EngineClient) -> None:
    begin = client.overview().head
    question = "City D3 is in the country of"
    peek = Peek.model_validate(done(client, "peek", prompt=question, target="Italy"))
    assert peek.version == begin
    assert peek.target_probability is not None
    assert 0 <= peek.target_probability <= 1


def test_measuring(client: EngineClient) -> None:
    asked: dict[str, dict[str, Any]] = {
        "evaluate": {"ref": "HEAD"},
        "check": {"ref": "HEAD", "policy": "observe"},
        "verify": {"quick": True},
    }
    for kind, arguments in asked.items():
        assert done(client, kind, **arguments), kind


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("nonsense", {}),
        ("edit", {}),
        ("edit", {"subject": "France", "prompt": "{} is", "target": "Rome", "colour": "red"}),
        ("ask", {"prompt": "x", "refs": "HEAD", "tokens": "many"}),
        ("rollback", {"ref": 7.5}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_before_it_waits(
    client: EngineClient, kind: str, arguments: dict[str, Any]
) -> None:
    before = len(client.jobs(limit=1000))
    with pytest.raises(UsageError) as refused:
        client.submit(kind, **arguments)
    assert refused.value.exit_code == 2
    assert len(client.jobs(limit=1000)) == before


@pytest.mark.parametrize(
    ("kind", "arguments", "code"),
    [
        ("edit", fact(2, subject="Nowhere", prompt="no place for it"), 2),
        ("edit", fact(2, method="nonsense"), 2),
        ("edit", fact(2, config={"layer": 99}), 2),
        ("edit", fact(2, policy="nonsense"), 2),
        ("ask", {"prompt": "x", "refs": ["nowhere"]}, 2),
        ("ask", {"prompt": " ", "refs": ["HEAD"]}, 2),
        ("rollback", {"ref": "HEAD"}, 1),
        ("apply", {"requests": [], "method": "rome"}, 2),
    ],
)
def test_a_job_fails_as_the_command_would(
    client: EngineClient, kind: str, arguments: dict[str, Any], code: int
) -> None:
    before = client.overview()
    assert exit_code_of(client, kind, arguments) == code
    assert client.overview() == before


def exit_code_of(client: EngineClient, kind: str, arguments: dict[str, Any]) -> int:
    """Of an order that is turned down at once, or of a job that does not end well."""
    try:
        job = ended(client, client.submit(kind, **arguments))
    except KeditError as error:
        return error.exit_code
    assert job.state in ("failed", "refused")
    assert job.error is not None
    assert job.error.message
    return job.error.exit_code


def test_there_is_no_such_job(client: EngineClient) -> None:
    for ask in (client.job, client.cancel):
        with pytest.raises(KeditError):
            ask(987_654)
    with pytest.raises(NoSuchRefError):
        client.version("nowhere")


def test_requests_are_answered_while_a_job_runs(client: EngineClient) -> None:
    after = client.info().event
    job = client.submit("edit", **fact(2, config=SLOW))
    until(client.events(after), lambda event: event.kind == "loss" and event.job == job.id)
    began = time.monotonic()
    for _ in range(20):
        assert client.overview().head
        assert client.history(limit=5).rows
        assert client.info().job == job.id
    assert client.job(job.id).state == "running"
    assert time.monotonic() - began < 60
    client.cancel(job.id)
    assert ended(client, job).state == "cancelled"


def test_what_a_person_waits_for_goes_before_what_is_long(client: EngineClient) -> None:
    running = client.submit("edit", **fact(2, config=SLOW))
    long = client.submit("edit", **fact(3))
    short = client.submit("ask", prompt="Paris is", refs=["HEAD"], tokens=1, top=1)
    client.cancel(running.id)
    jobs = [ended(client, one) for one in (long, short)]
    assert [one.state for one in jobs] == ["done", "done"]
    assert str(jobs[1].started) <= str(jobs[0].started)
    done(client, "undo")


def test_a_thousand_jobs_wait_and_all_are_carried_out(client: EngineClient) -> None:
    after = client.info().event
    running = client.submit("edit", **fact(2, config=SLOW))  # a tag goes before an edit that has not begun
    until(client.events(after), lambda event: event.kind == "loss" and event.job == running.id)
    try:
        ids = [client.submit("tag", name=f"many-{place}", at="0").id for place in range(1000)]
        assert len(set(ids)) == 1000
        assert client.info().waiting == 1000
    finally:
        client.cancel(running.id)
    assert client.wait(ids[-1], 300).state == "done"
    states = {job.id: job.state for job in client.jobs(limit=1000)}
    assert {states[one] for one in ids if one in states} == {"done"}
    assert client.info().waiting == 0


def test_two_clients_and_a_command_line_at_once(shared: EngineProcess, client: EngineClient) -> None:
    begin = client.overview().head
    results: list[Any] = []

    def edit(place: int) -> None:
        with shared.client() as mine:
            results.append(done(mine, "edit", **fact(place)))

    threads = [threading.Thread(target=edit, args=(place,)) for place in (4, 5)]
    for thread in threads:
        thread.start()
    ran = kedit("ask", "Paris is", "--json", "--store", shared.store)
    for thread in threads:
        thread.join(120)
    assert ran.code == 0, ran.err
    assert ran.json[0]["version"] >= begin
    assert sorted(one["version"] for one in results) == [begin + 1, begin + 2] or len(results) == 2
    head = client.overview().head
    parents = {client.version(str(one["version"])).row.parent for one in results}
    assert parents == {begin, min(one["version"] for one in results)}
    assert head == max(one["version"] for one in results)
    done(client, "rollback", ref=str(begin))
