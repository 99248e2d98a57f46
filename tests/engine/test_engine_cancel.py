"""Cancelling at every stage: nothing is half done, and the weights are the same bytes as before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_process import SLOW, EngineProcess, done, ended, engine_on, fact, until
from tiny_workbench import QUICK, requests

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.messages import Event
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.workbench import Workbench

pytestmark = pytest.mark.engine


def standing(store: Path) -> tuple[str, int]:
    """HEAD, and how many events there are."""
    with LedgerReader(store) as reader:
        return reader.head().id, reader.counts()["event"]


def answers(client: EngineClient) -> Any:
    """What the model at HEAD says, with its probabilities to the last digit."""
    return done(client, "ask", prompt="City A0 is in the country of", refs=["HEAD"], tokens=4, top=5)


def cancelled_at(client: EngineClient, wanted: Any, **arguments: Any) -> str:
    """Begin an edit, cancel it at an event, and say how it ended."""
    after = client.info().event
    job = client.submit("edit", **arguments)
    events = client.events(after)
    until(events, lambda event: event.job == job.id and wanted(event))
    client.cancel(job.id)
    return ended(client, job).state


def test_a_queued_job_is_cancelled_at_once(shared: EngineProcess, client: EngineClient) -> None:
    before = standing(shared.store)
    running = client.submit("edit", **fact(2, config=SLOW))
    waiting = client.submit("edit", **fact(3))
    assert client.cancel(waiting.id).state == "cancelled"
    assert client.cancel(running.id).state in ("running", "cancelled")
    assert ended(client, running).state == "cancelled"
    assert client.job(waiting.id).started is None
    assert standing(shared.store) == before


def test_while_it_plans(shared: EngineProcess, client: EngineClient) -> None:
    before, said = standing(shared.store), answers(client)
    state = cancelled_at(client, lambda event: event.kind == "loss", **fact(2, config=SLOW))
    assert state == "cancelled"
    assert standing(shared.store) == before
    assert answers(client) == said


def test_at_whatever_check_the_weights_are_those_of_an_engine_that_was_left_alone(
    shared: EngineProcess, client: EngineClient, made: Path, tmp_path: Path
) -> None:
    moments = random.Random("cancel")
    said = answers(client)
    states = []
    for _ in range(6):
        before = standing(shared.store)
        check = moments.choice(["conflict", "efficacy", "perplexity", "drift", "retention", "collapse"])
        state = cancelled_at(client, lambda event, name=check: named(event, name), **fact(2))
        states.append(state)
        if state == "cancelled":
            assert standing(shared.store) == before
        else:
            done(client, "undo")
        assert answers(client) == said
    assert "cancelled" in states
    result = done(client, "edit", **fact(2))
    assert made_alone(made, tmp_path) == result["view"]["row"]["id"]
    done(client, "undo")
    assert not verify(shared.store, "deep").damaged


def named(event: Event, check: str) -> bool:
    return event.kind == "check" and event.data["check"] == check


def made_alone(made: Path, folder: Path) -> str:
    """The id of the version that the same edit makes in this process."""
    import shutil

    with Workbench.open(shutil.copytree(made, folder / "alone")) as workbench:
        outcome = workbench.edit(requests(3)[2], config=QUICK["rome"], policy="observe")
    assert outcome.version is not None
    return outcome.version.id


@pytest.fixture
def run_of_eight(client: EngineClient) -> Iterator[int]:
    """A long job of small steps, and HEAD back where it was after it."""
    begin = client.overview().head
    facts = [request.model_dump(mode="json") for request in requests(12)[4:]]
    job = client.submit("apply", requests=facts, method="rome", config=QUICK["rome"], policy="observe")
    yield job.id
    client.cancel(job.id)
    ended(client, job)
    if client.overview().head != begin:
        done(client, "rollback", ref=str(begin))


def test_of_a_sequence_the_committed_steps_stay(client: EngineClient, run_of_eight: int) -> None:
    begin = client.overview().head
    until(client.events(0), lambda event: event.kind == "version" and event.job == run_of_eight)
    client.cancel(run_of_eight)
    assert client.wait(run_of_eight, 60).state in ("cancelled", "done")
    assert client.overview().head > begin


def test_what_has_ended_is_not_cancelled(client: EngineClient) -> None:
    job = ended(client, client.submit("ask", prompt="Paris is", refs=["HEAD"], tokens=1, top=1))
    assert client.cancel(job.id).state == "done"


def test_what_is_made_at_the_first_edit_is_told_and_can_be_cancelled(store: Path, tmp_path: Path) -> None:
    with engine_on(store, KEDIT_CACHE=str(tmp_path / "cache")) as engine, engine.client() as mine:
        after = mine.info().event
        config = QUICK["rome"] | {"covariance": True, "second_moment_tokens": 200_000}
        job = mine.submit("edit", **fact(2, config=config))
        until(mine.events(after), lambda event: "sampling" in str(event.data.get("stage")))
        assert mine.job(job.id).stage == "sampling text from the base model"
        mine.cancel(job.id)
        assert ended(mine, job).state == "cancelled"
        assert done(mine, "edit", **fact(2))["version"] == 3
