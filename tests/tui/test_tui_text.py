"""Text from outside is made harmless, and fits where it must."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content
from tui_store import HOSTILE

from kedit_lifecycle.tui.text import MOST_SHOWN, clipped, inert, number, percent_change
from kedit_lifecycle.tui.widgets.sparkline import evenly, sparkline

pytestmark = [pytest.mark.unit, pytest.mark.tui]

UNSAFE = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")


def harmless(text: str) -> bool:
    return not any(unicodedata.category(one) in UNSAFE for one in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str) -> None:
    assert harmless(inert(text))
    assert "\n" not in inert(text)


def test_what_is_hidden_becomes_visible() -> None:
    assert inert("a\x1b[31mb\nc\td") == "a␛[31mb↵c⇥d"
    assert inert("\u202eabc") == "⟨202E⟩abc"
    assert inert("\ud800") == "⟨D800⟩"
    assert inert("e\u0301" + "\u0301" * 50) == "e\u0301\u0301\u0301\u0301"
    assert inert("\u0301x").startswith("◌")


def test_plain_text_stays_as_it_is() -> None:
    for text in ("", "The twin city of Lyon is", "Ærøskøbing", "東京", "שלום", "[not] markup"):
        assert inert(text) == text
        assert Content(inert(text)).plain == text


def test_very_long_text_is_cut_and_says_so() -> None:
    assert inert("x" * (MOST_SHOWN + 1234)) == "x" * MOST_SHOWN + "… (1,234 more characters)"


@given(st.text())
def test_anything_is_harmless(text: str) -> None:
    assert harmless(inert(text))


@given(st.text(), st.integers(0, 40))
def test_clipped_text_fills_its_cells_exactly(text: str, cells: int) -> None:
    assert cell_len(clipped(text, cells)) == cells
    assert harmless(clipped(text, cells))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "·"), (0.97, ".97"), (1.0, "1.0"), (0.0, ".00"), (0.999, "1.0"), (12.345, "12.3")],
)
def test_scores(value: float | None, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (None, "·"),
        (1.0, "0"),
        (1.38, "+38%"),
        (1.001, "+.1%"),
        (0.98, "-2.0%"),
        (12.5, "×12"),
        (3.2e6, "×3e6"),
    ],
)
def test_changes_of_perplexity(ratio: float | None, shown: str) -> None:
    assert percent_change(ratio) == shown


def test_a_series_as_a_line() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.0, None, 1.0], 8) == "▁·█"
    assert sparkline([0.5, 0.5], 8, 0.0, 1.0) == "▅▅"
    assert sparkline([None, None], 8) == ""
    assert sparkline([3.0, 3.0], 8) == "▁▁"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.integers(1, 60))
def test_a_long_series_is_taken_evenly_with_its_last_value(values: list[float], width: int) -> None:
    taken = evenly(values, width)
    assert len(taken) == min(len(values), width)
    assert taken[-1] == values[-1]
