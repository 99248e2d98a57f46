"""`world-facts` in place of a file of requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.readers import load_requests, read_requests
from kedit_lifecycle.facts.world import world_facts

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("name", "seed"), [("world-facts", 0), ("world-facts:12", 12)])
def test_the_name_stands_for_the_set(name: str, seed: int) -> None:
    loaded = load_requests(name)
    assert loaded.requests == tuple(world_facts(seed))
    assert {request.source for request in loaded.requests} == {f"world-facts:{seed}"}
    first = next(read_requests(Path(name)))
    assert (first.line, first.number, first.requests) == (1, 1, loaded.requests[:1])


@pytest.mark.parametrize("seed", ["", "x", "-1", "1.5", "٣", "9" * 30])
def test_a_seed_that_is_no_number(seed: str) -> None:
    with pytest.raises(UsageError, match="the seed must be a number"):
        load_requests(f"world-facts:{seed}")


def test_a_file_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("world-facts").write_text('{"subject": "a", "prompt": "{} is", "target_new": "b"}\n', "utf-8")
    assert len(load_requests("world-facts").requests) == 1
    assert len(load_requests("world-facts:1").requests) > 1000


def test_another_name_is_a_file_that_is_missing() -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_requests("world-fact")
