"""Text from facts, models and users, made harmless to a terminal before it is shown.

Whatever comes from outside goes through `inert` and is shown as a plain string of a `Content` or `Text`,
never as markup.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

MOST_SHOWN = 20_000
"""Characters of one text; what is beyond is counted, not shown."""

_MOST_MARKS = 4  # combining marks on one letter; more would run into the lines above and below
_PICTURES = {0x0A: "↵", 0x0D: "␍", 0x09: "⇥", 0x7F: "␡", 0x85: "↵", 0x2028: "↵", 0x2029: "¶"}
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)  # terminals disagree on how wide they make a character


def inert(text: str, most: int = MOST_SHOWN) -> str:
    """The text on one line with all that could move, colour or reorder others made visible.

    Control characters become their pictures (␛ for escape, ↵ for a new line), what has no picture its number
    (⟨202E⟩ for a right-to-left override). Of very long texts, the first `most` characters.
    """
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    shown = _seen(text[:most])
    return shown if len(text) <= most else f"{shown}… ({len(text) - most:,} more characters)"


def _seen(text: str) -> str:
    parts: list[str] = []
    marks = 0
    for character in text:
        if _is_mark(character):
            marks += 1
            if marks > _MOST_MARKS:
                continue
            if not parts:
                parts.append("◌")
        else:
            marks = 0
        parts.append(_visible(character))
    return "".join(parts)


@lru_cache(maxsize=4096)
def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me") and ord(character) not in _VARIATION_SELECTORS


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    code = ord(character)
    if code in _PICTURES:
        return _PICTURES[code]
    if code < 0x20:
        return chr(0x2400 + code)
    if code in _VARIATION_SELECTORS:
        return ""
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"):
        return f"⟨{code:04X}⟩"
    return character


def clipped(text: str, cells: int) -> str:
    """Inert text in exactly so many cells: cut with an ellipsis, or filled up with spaces."""
    if cells <= 0:
        return ""
    shown = inert(text, most=max(cells, 1) * 4)
    if cell_len(shown) <= cells:
        return set_cell_size(shown, cells)
    return set_cell_size(set_cell_size(shown, cells - 1).rstrip() + "…", cells)


def number(value: float | None, digits: int = 2) -> str:
    """A score without its leading zero, as tables have it: `.97`, `1.0`, `·` where there is none."""
    if value is None:
        return "·"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else f"{value:.{max(digits - 1, 0)}f}"


def percent_change(ratio: float | None) -> str:
    """A ratio to the unedited model as a change: `+38%`, `+.1%`, `0`."""
    if ratio is None:
        return "·"
    change = (ratio - 1) * 100
    if abs(change) < 0.05:
        return "0"
    if abs(change) >= 1000:
        return f"×{ratio:.0f}" if ratio < 10_000 else f"×{ratio:.0e}".replace("e+0", "e").replace("e+", "e")
    text = f"{change:+.0f}" if abs(change) >= 9.95 else f"{change:+.1f}"
    return text.replace("+0.", "+.").replace("-0.", "-.") + "%"
