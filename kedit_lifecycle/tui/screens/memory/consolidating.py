"""How facts of the memory go into the weights: what is asked before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.tui.screens.memory.tested import gate_text
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.dialog import Dialog

if TYPE_CHECKING:
    from kedit_lifecycle.tui.session import Session, Severity

_SHOWN = 12  # versions named
_FIELDS = (("method", "method", "memit"), ("policy", "policy", "guarded"), ("settings", "settings", ""))


@dataclass(frozen=True, slots=True)
class How:
    """Of which versions the facts are, by which editor they are written, and what they are held to."""

    versions: tuple[int, ...]
    method: str
    policy: str
    settings: tuple[str, ...]
    dry_run: bool

    @property
    def config(self) -> dict[str, Any]:
        """The settings by name; a value is JSON, else a word, as `--set` has it.

        Raises:
            UsageError: one is not NAME=VALUE.
        """
        found: dict[str, Any] = {}
        for one in self.settings:
            name, equals, value = one.partition("=")
            if not equals or not name:
                raise UsageError(f"a setting is NAME=VALUE, not {one!r}")
            try:
                found[name] = json.loads(value)
            except json.JSONDecodeError:
                found[name] = value
        return found

    def arguments(self) -> list[str]:
        """What follows `kedit` on the command line."""
        given = ["consolidate", *map(str, self.versions), "--method", self.method, "--policy", self.policy]
        for one in self.settings:
            given += ["--set", one]
        return [*given, "--dry-run"] if self.dry_run else given


@dataclass(frozen=True, slots=True)
class Done:
    """What it came to: as text, in a few words, and the new version; None where the memory is as before."""

    text: Content
    told: str
    severity: Severity
    version: int | None = None


async def consolidated(session: Session, how: How, command: str) -> Done:
    """Have the engine do it, and wait.

    Raises:
        KeditError: the engine does not take the job.
    """
    job = await session.run(
        "consolidate",
        command=command,
        versions=list(how.versions),
        method=how.method,
        policy=how.policy,
        config=how.config,
        dry_run=how.dry_run,
    )
    if isinstance(job.result, dict):
        text = gate_text(job.result, dry_run=how.dry_run)
        good = job.state == "done"
        version = job.result.get("version") if good and not how.dry_run else None
        return Done(text, str(job.result.get("action")), "information" if good else "warning", version)
    told = inert(job.error.message) if job.error else job.state
    return Done(Content.styled(f"✗ {told}", "$text-error"), told, "error" if job.error else "warning")


class ConsolidateDialog(Dialog[How | None]):
    """Enter begins; ctrl+t makes and measures the batch, and takes it back."""

    DEFAULT_CSS = """
    ConsolidateDialog Horizontal { height: 1; margin-top: 1; }
    ConsolidateDialog .consolidate-name { width: 10; color: $text-muted; }
    ConsolidateDialog Input { height: 1; border: none; padding: 0 1; background: $boost; width: 1fr; }
    ConsolidateDialog Input:focus { border: none; background: $panel; text-style: bold; }
    ConsolidateDialog #consolidate-what { margin-top: 1; height: auto; }
    ConsolidateDialog #consolidate-wrong { height: auto; color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "go(True)", "Dry run", show=False),
        Binding("escape", "close", "Close"),
    ]

    def __init__(self, versions: Sequence[int], facts: int) -> None:
        super().__init__(
            "Consolidate into the weights", "⏎ begins · ctrl+t dry run · tab next field · esc closes"
        )
        self.versions = tuple(versions)
        self.facts = facts

    def content(self) -> ComposeResult:
        """The facts, and the three things that can be chosen."""
        yield Static(self._what(), id="consolidate-what")
        for name, label, value in _FIELDS:
            with Horizontal():
                yield Static(label, classes="consolidate-name")
                yield Input(value, id=f"consolidate-{name}", placeholder="NAME=VALUE …")
        yield Static("", id="consolidate-wrong")

    def _what(self) -> Content:
        named = ", ".join(f"v{one}" for one in self.versions[:_SHOWN])
        more = f" and {len(self.versions) - _SHOWN} more" if len(self.versions) > _SHOWN else ""
        which = f"all {self.facts:,} facts" if not self.versions else f"the facts of {named}{more}"
        told = "One version, one undo. Where the policy does not let it pass, the memory keeps them."
        return Content.assemble(
            (which, "bold"), " go from the memory into the weights.\n", (told, "$text-muted")
        )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Begin."""
        event.stop()
        self.action_go(False)

    def action_go(self, dry_run: bool) -> None:
        """Close with what was chosen, if it can be read."""
        method, policy, settings = (self.query_one(f"#consolidate-{one}", Input).value for one, *_ in _FIELDS)
        how = How(self.versions, method.strip(), policy.strip(), tuple(settings.split()), dry_run)
        try:
            _ = how.config
        except UsageError as error:
            self.query_one("#consolidate-wrong", Static).update(Content(str(error)))
            return
        self.dismiss(how)
