"""What goes to the terminal: text from facts is never obeyed, tables fit, JSON is ASCII."""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.cli.output import WIDTH, Column, clipped, emit_json, inert, line, narrate, number, table

texts = st.text(st.characters(), max_size=60)


@given(texts)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = inert(text)
    assert not any(unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"} for one in shown)
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("two\nlines\ttab\r", r"two\nlines\ttab\r"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066iso\u2069", r"\u2066iso\u2069"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("c1\x9b31m", r"c1\x9b31m"),
        ("\ud800", r"\ud800"),
        ("[bold]no markup[/bold]", "[bold]no markup[/bold]"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
    ],
)
def test_what_acts_is_written_out(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_lines_are_inert_on_both_streams(capsys: pytest.CaptureFixture[str]) -> None:
    line("a\x1bb")
    narrate("c\nd")
    captured = capsys.readouterr()
    assert captured.out == "a\\x1bb\n"
    assert captured.err == "c\\nd\n"


cells = st.one_of(texts, st.integers(), st.sampled_from(["x" * 200, "日本" * 60, "[red]", "\x1b[2J"]))


@given(st.lists(st.tuples(cells, cells, cells), max_size=5))
def test_a_table_is_never_wider_than_eighty_columns_nor_of_more_lines(
    rows: list[tuple[object, object, object]],
) -> None:
    from rich.cells import cell_len

    columns = [Column("one", elastic=True), Column("n", "right", elastic=True), Column("three", elastic=True)]
    drawn = table(columns, rows).split("\n")
    assert len(drawn) == len(rows) + 1
    assert all(cell_len(drawn_line) <= WIDTH for drawn_line in drawn)
    assert not any("\x1b" in drawn_line for drawn_line in drawn)


def test_only_elastic_columns_give_way() -> None:
    drawn = table(
        [Column("id"), Column("what", elastic=True), Column("n")], [("a" * 30, "b" * 100, "c" * 20)]
    )
    row = drawn.split("\n")[1]
    assert "a" * 30 in row
    assert "c" * 20 in row
    assert "…" in row


def test_a_table_is_the_same_whatever_the_terminal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, rows = [Column("one"), Column("two", elastic=True)], [("[b]x", "y" * 100)]
    plain_table = table(columns, rows)
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "200", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    assert table(columns, rows) == plain_table
    assert "[b]x" in plain_table


def test_json_is_ascii_and_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"é\u202e": [math.nan, math.inf, 1.5, True, None, ("a",)], "path": Path("a/b")})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"é\u202e": [None, None, 1.5, True, None, ["a"]], "path": "a/b"}


def test_clipping_counts_what_is_shown() -> None:
    assert clipped("abc", 3) == "abc"
    assert clipped("abcd", 3) == "ab…"
    assert len(clipped("\x1b" * 10, 7)) == 7


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (math.nan, "-"), (0.5, "0.500"), (123456.0, "1.23e+05"), (-1.0, "-1.000")],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown
