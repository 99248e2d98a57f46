"""Two versions beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.text import inert, number
from kedit_lifecycle.tui.widgets.dialog import TextDialog
from kedit_lifecycle.tui.widgets.lines import joined, section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kedit_lifecycle.engine.messages import Comparison, FactView

_MOST = 200


def comparison_dialog(found: Comparison) -> TextDialog:
    """What one of two versions says and the other does not."""
    a, b = f"v{found.a.number}", f"v{found.b.number}"
    rows = [
        Content.assemble((f"{a} and {b} have v{found.ancestor} in common", "$text-muted")),
        *section(f"only in {a}", _facts(found.facts_only_a)),
        *section(f"only in {b}", _facts(found.facts_only_b)),
        *section("measures", _metrics(found, a, b)),
        *section(f"{len(found.tensors)} tensors differ", (Content(inert(one, 200)) for one in found.tensors)),
    ]
    return TextDialog(f"{a} compared with {b}", joined(rows), "esc closes · j k scroll")


def _facts(facts: Sequence[FactView]) -> Iterator[Content]:
    if not facts:
        yield Content.styled("nothing", "$text-muted")
    for fact in facts[:_MOST]:
        prompt = fact.prompt.replace("{}", fact.subject)
        yield Content.assemble(
            inert(prompt, 400), (" → ", "$text-muted"), (inert(fact.target_new, 200), "bold")
        )
    if len(facts) > _MOST:
        yield Content.styled(f"… {len(facts) - _MOST:,} more", "$text-muted")


def _metrics(found: Comparison, a: str, b: str) -> Iterator[Content]:
    if not found.metrics:
        return
    yield Content.styled(f"{'':<16}{a:>10}{b:>10}", "$text-muted")
    for name, first, second in found.metrics:
        yield Content(f"{inert(name, 40):<16}{number(first, 3):>10}{number(second, 3):>10}")
