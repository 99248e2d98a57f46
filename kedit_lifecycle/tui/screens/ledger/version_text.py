"""Everything about a version or an attempt, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.signs import state_sign, verdict_sign
from kedit_lifecycle.tui.text import inert, number, percent_change
from kedit_lifecycle.tui.widgets.lines import joined, named, outside, section
from kedit_lifecycle.tui.widgets.sparkline import sparkline

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import (
        AuditView,
        CheckView,
        FactView,
        HistoryRow,
        MetricView,
        TensorView,
        VersionView,
    )

_FACTS, _TENSORS = 20, 24  # shown of a large batch
_LOSS_CELLS = 24
_HASH, _ID = 10, 10
_VERDICTS = {"commit": "pass", "pass": "pass", "warn": "warn"}


def title(row: HistoryRow) -> str:
    """What stands over it."""
    if row.number is None:
        return f"attempt {row.key} · taken back"
    return f"v{row.number} · {row.id[:_ID]}"


def version_text(view: VersionView) -> Content:
    """All sections; what there is nothing about is left out."""
    return joined(
        [
            *_summary(view),
            *_facts(view),
            *section("checks", map(_check, view.checks)),
            *section("gate", _gate(view)),
            *section("measures", _measures(view)),
            *section("changed", _changed(view)),
            *section("how", _how(view)),
            *section("audit", map(_event, view.audit)),
        ]
    )


def _summary(view: VersionView) -> Iterator[Content]:
    row = view.row
    sign, style = state_sign(row.state)
    by = row.method or row.operation
    parts = [outside(by, "bold"), Content(" in the memory" if row.route == "memory" else "")]
    if row.state:
        parts.append(Content.assemble(" · ", (f"{sign} {row.state}", style)))
    if row.perplexity is not None:
        parts.append(Content(f" · perplexity {percent_change(row.perplexity)}"))
    yield Content("").join(parts)
    yield Content.styled(f"{row.time[:19].replace('T', ' ')} · {inert(view.author, 80)}", "$text-muted")
    if row.message:
        yield outside(row.message, "italic")
    if row.superseded:
        yield Content.styled("⊘ later edits took the place of all its facts", "$text-warning")
    for warning in view.warnings:
        yield Content.assemble(("! ", "$text-warning"), inert(warning))


def _facts(view: VersionView) -> list[Content]:
    rows: list[Content] = []
    for fact in view.facts[:_FACTS]:
        rows += section("request" if len(view.facts) == 1 else f"request {fact.position + 1}", _fact(fact))
    if view.row.requests > len(view.facts[:_FACTS]):
        rows += [Content.styled(f"… {view.row.requests - _FACTS:,} more facts", "$text-muted")]
    return rows


def _fact(fact: FactView) -> Iterator[Content]:
    before, braces, after = fact.prompt.partition("{}")
    prompt = (
        [inert(before), (inert(fact.subject), "bold underline"), inert(after)] if braces else [inert(before)]
    )
    yield Content.assemble(*prompt, (" → ", "$text-muted"), (inert(fact.target_new), "bold $accent"))
    if fact.target_true is not None:
        yield named("instead of", inert(fact.target_true))
    if fact.before is not None or fact.before_probability is not None:
        yield named("before", *_answer(fact.before, fact.before_probability, fact.target_new))
    if fact.after is not None or fact.after_probability is not None:
        yield named("after", *_answer(fact.after, fact.after_probability, fact.target_new))
    asked = [(len(fact.paraphrases), "paraphrases"), (len(fact.neighborhood), "neighbors")]
    if any(count for count, _ in asked):
        yield named("asked too", " · ".join(f"{count} {name}" for count, name in asked if count))
    for name, value in (("relation", fact.relation), ("reason", fact.reason), ("source", fact.source)):
        if value:
            yield named(name, inert(value))
    if fact.supersedes:
        yield named("replaces", ", ".join(f"v{one}" for one in fact.supersedes))
    if fact.superseded_by is not None:
        yield named("⊘ now", f"v{fact.superseded_by} says otherwise")


def _answer(text: str | None, probability: float | None, target: str) -> list[str | tuple[str, str]]:
    """What the model said, and how probable the new target was."""
    parts: list[str | tuple[str, str]] = [(inert((text or "·").strip(), 200), "bold")]
    if probability is not None:
        parts.append((f"   p({inert(target, 24)}) {number(probability)}", "$text-muted"))
    return parts


def _check(check: CheckView) -> Content:
    sign, style = verdict_sign(check.verdict)
    return Content.assemble(
        (f"{sign} ", f"bold {style}"), f"{inert(check.check, 40):<13} ", inert(check.message, 400)
    )


def _gate(view: VersionView) -> Iterator[Content]:
    if not view.row.verdict and not view.reasons:
        return
    verdict = view.row.verdict or "·"
    sign, style = verdict_sign(_VERDICTS.get(verdict, "fail"))
    yield Content.assemble((f"{sign} {inert(verdict, 40)}", f"bold {style}"))
    for reason in view.reasons:
        yield Content.assemble(("  ", ""), inert(reason, 400))


def _measures(view: VersionView) -> Iterator[Content]:
    for one in view.metrics:
        yield _metric(one, view.row.number)


def _metric(one: MetricView, own: int | None) -> Content:
    base = f" (unedited {number(one.unedited, 3)})" if one.unedited is not None else ""
    later = f" at v{one.evaluated}" if one.evaluated != own else ""
    value = (
        "NaN" if one.value is None else (number(one.value, 3) if abs(one.value) < 10 else f"{one.value:.1f}")
    )
    how = f"{inert(one.protocol, 40)} {inert(one.scorer, 40)} n={one.count}"
    return Content.assemble(
        (f"{inert(one.metric, 40):<13} ", "$text-muted"),
        (value, "bold"),
        base,
        later,
        (f"  {how}", "$text-muted"),
    )


def _changed(view: VersionView) -> Iterator[Content]:
    for one in view.tensors[:_TENSORS]:
        yield _tensor(one)
    if len(view.tensors) > _TENSORS:
        yield Content.styled(f"… {len(view.tensors) - _TENSORS} more tensors", "$text-muted")


def _tensor(one: TensorView) -> Content:
    layer = f"layer {one.layer}" if one.layer is not None else ""
    return Content.assemble(
        (f"{layer:<9} ", "$text-muted"),
        inert(one.tensor, 120),
        (f"  {inert(one.operation, 20)} {one.rank}  ‖Δ‖ {one.norm:.3g}", "$text-muted"),
    )


def _how(view: VersionView) -> Iterator[Content]:
    if view.losses:
        line = sparkline(view.losses, _LOSS_CELLS)
        ends = f" {view.losses[0]:.3g} → {view.losses[-1]:.3g} in {len(view.losses)} steps"
        yield named("loss", (line, "$primary"), ends)
    if view.command:
        yield named("command", inert(view.command, 2000))
    yield named("seed", str(view.seed))
    if view.config:
        shown = (
            f"{name}={json.dumps(value, ensure_ascii=False, default=str)}"
            for name, value in view.config.items()
        )
        yield named("settings", inert("  ".join(shown), 4000))


def _event(event: AuditView) -> Content:
    return Content.assemble(
        (f"#{event.seq} ", "$text-muted"),
        (f"{inert(event.kind, 30)} ", "bold"),
        inert(event.summary, 300),
        (
            f"  {event.time[:19].replace('T', ' ')} {inert(event.author, 60)} {event.hash[:_HASH]}",
            "$text-muted",
        ),
    )
