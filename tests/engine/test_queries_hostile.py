"""Wrong and hostile parameters, hostile text in the ledger, damage: an error of ours or an answer."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from query_store import ask, attempt, commit, health_checks, new_store, remember, score
from small_store import WHO, make_rich_store, request

from kedit_lifecycle.engine.messages import Message
from kedit_lifecycle.engine.queries import ROUTES, warm
from kedit_lifecycle.errors import KeditError, NoStoreError, StoreError
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit

LONG = "x" * 10_001
HOSTILE = (
    "-1",
    "0",
    "1.5",
    "1e9",
    "9" * 40,
    "٣",
    "HEAD~" + "9" * 200,
    "HEAD" + "^" * 250,
    "~" * 9_999,
    "^",
    "no such ref",
    "ffff",
    "%",
    "_%_",
    "' OR 1=1 --",
    "a\0b",
    "\ud800",
    "\x1b[31m[bold]",
    "‮ אבג 👩‍👩‍👧",
    "\n\n",
    "x" * 10_000,
    LONG,
)
PLACES = ("ref", "event", "offset", "limit", "filter", "facts", "before", "kind", "a", "b", "points")
NAMES = (*PLACES, "subject", "prompt", "target", "target_true", "relation")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "store") as made:
        yield made


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rich_store(tmp_path_factory.mktemp("rich") / "store")


@pytest.mark.parametrize("pattern", ROUTES)
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_in_any_parameter_is_an_answer_or_an_error_of_ours(
    rich: Path, pattern: str, value: str
) -> None:
    for given in (dict.fromkeys(NAMES, value), *({name: value} for name in NAMES)):
        answer: object = None
        wrong: KeditError | None = None
        try:
            answer = ROUTES[pattern](rich, given)
        except KeditError as error:
            wrong = error
        if wrong is None:
            assert isinstance(answer, Message | list)
        else:
            assert wrong.exit_code == 2
            assert len(str(wrong)) < 11_000


@pytest.mark.parametrize(
    ("pattern", "parameters", "said"),
    [
        ("/history", {"offset": "-1"}, "offset must be at least 0, not -1"),
        ("/history", {"limit": "0"}, "limit must be at least 1, not 0"),
        ("/history", {"limit": "ten"}, "limit must be a whole number, not 'ten'"),
        ("/history", {"filter": LONG}, "filter has 10001 characters; it may have 10000"),
        ("/audit", {"before": "-3"}, "before must be at least 0"),
        ("/compare", {"a": "nowhere"}, "there is no ref 'nowhere'"),
        ("/health", {"ref": "77"}, "there is no ref '77'"),
        ("/memory", {"ref": "x" * 301}, "ref has 301 characters, which no ref has"),
        ("/suggest", {"subject": "a\0"}, "subject holds a character that no text in a ledger has"),
    ],
)
def test_what_is_wrong_is_named(rich: Path, pattern: str, parameters: Mapping[str, str], said: str) -> None:
    with pytest.raises(KeditError) as raised:
        ROUTES[pattern](rich, parameters)
    assert said in str(raised.value)
    assert raised.value.exit_code == 2


def test_an_offset_behind_the_end_is_an_empty_page(rich: Path) -> None:
    page = ask(rich, "/history", offset=2**53)
    assert (page.rows, page.total > 0) == ((), True)
    assert ask(rich, "/memory", offset=2**53).entries == ()
    assert len(ask(rich, "/history", limit=10**9).rows) == page.total


def test_no_store_is_said(tmp_path: Path) -> None:
    for pattern in ROUTES.keys() - {"/suggest"}:
        fact = {"subject": "a", "prompt": "{} is", "target": "b"}
        with pytest.raises(NoStoreError):
            ROUTES[pattern](tmp_path / "none", fact)


def test_a_damaged_row_is_said(store: Store) -> None:
    commit(store, "Lyon", checks=health_checks(1.0))
    attempt(store, "Toko")
    sqlite = sqlite3.connect(store.path / "ledger.db")
    with sqlite:
        sqlite.execute("UPDATE version SET diagnostics = '{' WHERE number = 1")
        sqlite.execute("UPDATE event SET payload = '[' WHERE kind = 'attempt'")
    sqlite.close()
    for route in ("/history", "/versions"):
        with pytest.raises(StoreError):
            ask(store, route, ref="1")
    with pytest.raises(StoreError):
        ask(store, "/history", filter="toko")


@pytest.mark.parametrize("text", ["[red]x[/]", "\x1b]0;x\x07", "‮txet", "👩‍👩‍👧", "a\nb\r\tc", "y" * 10_000])
def test_hostile_text_goes_through_as_it_is(store: Store, text: str) -> None:
    made = commit(store, text, text, message=text)
    attempt(store, text)
    remember(store, request(text, text))
    assert ask(store, "/versions", ref=made.number).facts[0].subject == text
    rows = ask(store, "/history", filter=" ".join(text.split())).rows
    assert [row.subject for row in rows] == [text] * 3
    assert ask(store, "/memory").entries[0].target == text
    for pattern in ("/history", "/memory", "/audit", "/overview"):
        answer = ROUTES[pattern](store.path, {})
        assert isinstance(answer, Message)
        assert type(answer).model_validate_json(answer.model_dump_json()) == answer


def test_every_answer_survives_its_way_over_the_wire(store: Store) -> None:
    commit(store, "Lyon", checks=health_checks(float("nan")), metrics=[score("efficacy", float("nan"))])
    event = attempt(store, "Toko")
    asked = {"ref": "1", "event": str(event), "a": "0", "b": "1"}
    asked |= {"subject": "Lyon", "prompt": "The capital of {} is", "target": "Oslo"}
    for query in ROUTES.values():
        answer = query(store.path, asked)
        kind: TypeAdapter[object] = TypeAdapter(type(answer) if isinstance(answer, Message) else list)
        assert (
            kind.validate_json(kind.dump_json(answer)) is not None
        )  # NaN has become null, and null is allowed


def test_queries_load_no_torch_and_no_orm(rich: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom kedit_lifecycle.engine.queries import ROUTES\n"
        "given = {'ref': '1', 'event': '999', 'subject': 'a', 'prompt': '{} is', 'target': 'b'}\n"
        "for query in ROUTES.values():\n"
        "    try:\n        query(Path(sys.argv[1]), given)\n"
        "    except Exception as error:\n        assert 'keeps no attempt' in str(error), error\n"
        "print(sorted({'torch', 'transformers', 'sqlmodel', 'sqlalchemy', 'textual'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, rich], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_queries_of_many_threads_while_the_ledger_grows(store: Store) -> None:
    errors: list[BaseException] = []
    stop = threading.Event()

    def keep_asking(route: str, **parameters: object) -> None:
        try:
            while not stop.is_set():
                ask(store.path, route, **parameters)
        except BaseException as error:
            errors.append(error)

    asked = [
        ("/history", {}),
        ("/history", {"filter": "city"}),
        ("/overview", {}),
        ("/memory", {}),
        ("/health", {}),
    ]
    asked.append(("/conflicts", {"subject": "City 1", "prompt": "The capital of {} is", "target": "Bonn"}))
    threads = [threading.Thread(target=keep_asking, args=(one,), kwargs=more) for one, more in asked]
    for thread in threads:
        thread.start()
    for number in range(20):
        commit(store, f"City {number}") if number % 3 else remember(store, request(f"City {number}", "Rome"))
        attempt(store, f"Town {number}")
        if number % 5 == 4:
            store.undo(**WHO)
    warm(store.path)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert errors == []
    page = ask(store, "/history", filter="city")
    assert (page.total, page.complete) == (20, True)
    assert ask(store, "/history").total == 41
