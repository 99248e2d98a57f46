"""The columns of the history: how wide each is, and a row laid out in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from kedit_lifecycle.tui.signs import ROUTES, state_sign
from kedit_lifecycle.tui.text import clipped, inert, number, percent_change

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style

    from kedit_lifecycle.engine.messages import HistoryRow

    Styles = Callable[[str], Style]

_ARROW = " → "
_SCORE, _PERPLEXITY, _STATE, _METHOD, _METHOD_WIDE = 4, 7, 2, 8, 13
_WIDE = 92  # from so many cells on, words stand beside signs
_WORST = {"warn": 1.1, "fail": 1.5}  # perplexity ratios that stand out


@dataclass(frozen=True, slots=True)
class Columns:
    """Cells of each column; `what` is for labels, subject and target."""

    digits: int
    method: int
    what: int
    state: int

    @classmethod
    def fitting(cls, width: int, highest: int) -> Columns:
        """For a list of this width whose highest version number is this."""
        digits = max(len(str(highest)), 2)
        method = _METHOD_WIDE if width >= _WIDE else _METHOD
        state = _STATE + (10 if width >= _WIDE else 0)
        rest = width - (3 + 1 + digits + 3 + method + 1) - (3 * _SCORE + _PERPLEXITY + state)
        return cls(digits, method, max(rest, 8), state)


def heading(columns: Columns, found: int | None) -> str:
    """What stands over the columns; `found` rows are left by a filter."""
    what = "subject → new target" if found is None else f"{found:,} found"
    scores = "".join(f"{name:>{_SCORE}}" for name in ("ES", "PS", "NS"))
    return (
        f"{'':3} {'v':>{columns.digits}}   {'by':<{columns.method}} {clipped(what, columns.what)}"
        f"{scores}{'ppl':>{_PERPLEXITY}} state"
    )


def row_text(row: HistoryRow, columns: Columns, head: int, marked: int | None, styles: Styles) -> Text:
    """One row; those that HEAD's line does not hold are dimmed as a whole."""
    plain = styles("history--row" if row.on_line and row.number is not None else "history--off")
    text = Text(no_wrap=True, end="", style=plain)
    text.append("*" if row.number is not None and row.number == marked else " ", styles("history--label"))
    text.append(_graph(row, head), styles("history--attempt" if row.number is None else "history--graph"))
    text.append(f" {'' if row.number is None else row.number!s:>{columns.digits}} ")
    text.append(ROUTES.get(row.route, "?"), styles("history--route"))
    text.append(" " + clipped(_by(row), columns.method) + " ", styles("history--muted"))
    _append_what(text, row, columns.what, styles)
    _append_scores(text, row, columns, styles)
    return text


def _graph(row: HistoryRow, head: int) -> str:
    """HEAD's line on the left; beside it what it does not hold."""
    if row.number is None:
        return "│✗" if row.parent is not None and row.parent < head else " ✗"
    if row.on_line:
        return "● "
    return "│○" if row.number < head else " ○"


def _by(row: HistoryRow) -> str:
    if row.number == 0 or row.route == "base":
        return "unedited"
    return inert(row.method or row.operation, 40)


def _append_what(text: Text, row: HistoryRow, room: int, styles: Styles) -> None:
    """Branch and tag names, where it came from if not from the version before, and the fact."""
    for label in row.labels:
        name = clipped(label.name, min(cell_len(inert(label.name, 80)), 18)).rstrip()
        shown = f"▸{name}" if label.head else (f"<{name}>" if label.kind == "tag" else f"[{name}]")
        if room - cell_len(shown) - 1 < 12:
            break
        text.append(shown + " ", styles("history--head" if label.head else "history--label"))
        room -= cell_len(shown) + 1
    if row.number and row.parent is not None and row.parent != row.number - 1 and room > 24:
        text.append(f"↰{row.parent} ", styles("history--muted"))
        room -= cell_len(f"↰{row.parent} ")
    if not row.subject and not row.target:
        text.append(clipped(row.message or _operation(row), room), styles("history--muted"))
        return
    more = f" +{row.requests - 1:,}" if row.requests > 1 else ""
    more += " ⊘" if row.superseded else ""
    room -= cell_len(more) + cell_len(_ARROW)
    target = min(cell_len(inert(row.target, 200)), max(room // 2, room - cell_len(inert(row.subject, 200))))
    subject = room - target
    text.append(clipped(row.subject, min(subject, cell_len(inert(row.subject, 200)))))
    text.append(_ARROW, styles("history--muted"))
    text.append(clipped(row.target, target), styles("history--target"))
    text.append(more, styles("history--muted"))
    text.append(" " * max(subject - cell_len(inert(row.subject, 200)), 0))


def _operation(row: HistoryRow) -> str:
    return "the model as it came" if row.route == "base" else row.operation


def _append_scores(text: Text, row: HistoryRow, columns: Columns, styles: Styles) -> None:
    for value in (row.efficacy, row.paraphrase, row.neighborhood):
        text.append(f"{number(value):>{_SCORE}}")
    text.append(f"{percent_change(row.perplexity):>{_PERPLEXITY}}", styles(_perplexity_style(row.perplexity)))
    word = row.verdict if row.number is None else row.state
    sign = "✗" if row.number is None else ("·" if not row.state else state_sign(row.state)[0])
    shown = f" {sign} {inert(word, 12)}" if columns.state > _STATE else f" {sign}"
    text.append(clipped(shown, columns.state), styles(f"history--{_state_style(row)}"))


def _perplexity_style(ratio: float | None) -> str:
    if ratio is None or ratio < _WORST["warn"]:
        return "history--plain"
    return "history--fail" if ratio >= _WORST["fail"] else "history--warn"


def _state_style(row: HistoryRow) -> str:
    if row.number is None:
        return "attempt"
    return {"healthy": "pass", "degrading": "warn", "collapsed": "fail"}.get(row.state, "muted")
