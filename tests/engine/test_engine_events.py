"""The stream of events: resumed by id, and no client of it can hold up the engine."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time

import pytest
from engine_process import EngineProcess, done, ended, fact, until

from kedit_lifecycle.engine.client import AsyncEngineClient, EngineClient
from kedit_lifecycle.engine.messages import Event
from kedit_lifecycle.engine.place import socket_path

pytestmark = pytest.mark.engine


def raw_stream(engine: EngineProcess, after: int = 0, buffer: int | None = None) -> socket.socket:
    """A connection that asked for events and has read nothing."""
    found = socket.socket(socket.AF_UNIX)
    if buffer:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    found.connect(str(socket_path(engine.store)))
    found.sendall(f"GET /events?after={after} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
    return found


def test_an_edit_is_told_from_its_first_loss_to_its_version(client: EngineClient) -> None:
    after = client.info().event
    job = client.submit("edit", **fact(2))
    seen: list[Event] = []
    until(client.events(after), lambda event: seen.append(event) or ended_in(event, job.id))  # type: ignore[func-returns-value]
    kinds = [event.kind for event in seen if event.job == job.id]
    assert [event.id for event in seen] == list(range(seen[0].id, seen[0].id + len(seen)))
    for kind in ("job", "progress", "loss", "check", "decision", "version"):
        assert kind in kinds, kind
    assert kinds.index("loss") < kinds.index("decision") < kinds.index("version")
    checks = [event.data["check"] for event in seen if event.kind == "check"]
    result = ended(client, job).result
    assert {check["check"] for check in result["checks"]} == set(checks)
    done(client, "undo")


def ended_in(event: Event, job: int) -> bool:
    return event.kind == "job" and event.job == job and event.data["state"] == "done"


def test_a_client_goes_on_behind_the_last_id_it_saw(client: EngineClient) -> None:
    after = client.info().event
    done(client, "tag", name=f"t{after}")
    whole = list(itertools.islice(client.events(after), client.info().event - after))
    middle = whole[len(whole) // 2].id
    rest = list(itertools.islice(client.events(middle), whole[-1].id - middle))
    assert rest == [event for event in whole if event.id > middle]


def test_what_is_too_old_is_said_to_be_gone(client: EngineClient) -> None:
    first = next(client.events(1))
    assert (first.kind, first.data.get("gap")) == ("engine", True)


def test_clients_that_vanish_and_clients_that_do_not_read_hold_up_nothing(
    shared: EngineProcess, client: EngineClient
) -> None:
    slow = [raw_stream(shared, buffer=1) for _ in range(20)]
    for _ in range(20):
        gone = raw_stream(shared)
        gone.recv(100)
        gone.close()
    after = client.info().event
    for place in (2, 3):
        done(client, "edit", **fact(place))
        done(client, "undo")
    events = client.events(after)
    began = time.monotonic()
    until(events, lambda event: event.id >= client.info().event)
    assert time.monotonic() - began < 30
    for one in slow:
        one.close()
    assert client.info().pid == shared.process.pid


async def test_the_asynchronous_client_hears_the_same(shared: EngineProcess) -> None:
    async with await AsyncEngineClient.connect(shared.store) as client:
        after = (await client.info()).event
        job = await client.submit("tag", name=f"told-{after}")
        ended = await client.wait(job.id, 60)
        assert ended.state == "done", ended.error
        stream = client.events(after)
        async with asyncio.timeout(60):
            async for event in stream:
                if ended_in(event, job.id):
                    break
        assert (await client.overview()).head == 2
