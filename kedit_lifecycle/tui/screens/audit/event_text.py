"""Everything about one event, and what a verification found, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textual.content import Content

from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.lines import joined, named, section

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import AuditView, Job

_PAYLOAD_LINES = 400
_FINDINGS = 50


def event_text(event: AuditView) -> Content:
    """Author, time, command, hash, and what the event says."""
    return joined(
        [
            Content.assemble((inert(event.kind, 60), "bold"), " ", inert(event.summary, 2000)),
            named("time", event.time),
            named("author", inert(event.author, 400)),
            named("command", inert(event.command, 4000)),
            named("hash", inert(event.hash, 100)),
            *section("what was written", _payload(event.payload)),
        ]
    )


def _payload(payload: Mapping[str, Any]) -> Iterator[Content]:
    lines = json.dumps(payload, indent=2, ensure_ascii=False, default=str).split("\n")
    for line in lines[:_PAYLOAD_LINES]:
        yield Content(inert(line, 4000))
    if len(lines) > _PAYLOAD_LINES:
        yield Content.styled(f"… {len(lines) - _PAYLOAD_LINES:,} more lines", "$text-muted")


def verified_text(job: Job) -> Content:
    """What a verification came to, in one line, and what it found wrong."""
    if job.state != "done":
        why = job.error.message if job.error is not None else job.state
        return Content.assemble(("✗ ", "bold $text-error"), f"verification {job.state}: {inert(why, 400)}")
    summary = job.result.get("summary", {}) if isinstance(job.result, dict) else {}
    findings = [one for one in summary.get("findings", ()) if isinstance(one, dict)]
    if summary.get("damaged"):
        head = Content.assemble(("✗ ", "bold $text-error"), ("the store is damaged", "bold"))
    else:
        head = Content.assemble(("✓ ", "bold $text-success"), "the store is what was written")
    return joined([head, *map(_finding, findings[:_FINDINGS])])


def _finding(found: Mapping[str, Any]) -> Content:
    words = [str(value) for value in found.values() if value not in (None, "", [], {})]
    return Content(f"  {inert(' · '.join(words), 400)}")
