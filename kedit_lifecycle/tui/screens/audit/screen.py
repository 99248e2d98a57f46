"""Who did what and when, link by link; and whether the chain and the store hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.screens.audit.event_list import EventList
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.styles import style_sheet
from kedit_lifecycle.tui.widgets.paged_list import PAGE, PagedList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import AuditPage

WIDE = 120  # cells from which on both halves are seen


class AuditScreen(KeditScreen):
    """The chain of events."""

    TITLE: ClassVar[str] = "Audit"
    ORDER: ClassVar[int] = 60
    FILTERS: ClassVar[str] = "one kind of event: commit, undo, attempt, eval, rollback …"
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("audit.verify", "v", "Verify the chain, the rows and the blobs, with progress", "verify",
               cli=lambda s: s.cli("verify")),
        Action("audit.verify-quick", "V", "Verify the chain alone", "quick",
               cli=lambda s: s.cli("verify", "--quick")),
    )  # fmt: skip
    DEFAULT_CSS = style_sheet("audit")

    def compose(self) -> ComposeResult:
        """The chain, one event, and what a verification found."""
        with Horizontal():
            with Vertical(id="events-side"):
                yield Static(id="events-heading")
                yield EventList(id="events")
            with VerticalScroll(id="event-side"):
                yield Static(id="event")
        yield Static(id="verified")

    @property
    def chain(self) -> EventList:
        """The list."""
        return self.query_one(EventList)

    def first_focus(self) -> Widget:
        """The list."""
        return self.chain

    def on_resize(self, event: events.Resize) -> None:
        """One half or both."""
        self.set_class(event.size.width >= WIDE, "wide")

    async def load(self) -> None:
        """The rows in sight anew."""
        self.chain.renew()

    def filter_changed(self) -> None:
        """Other rows altogether."""
        self.chain.clear()

    @on(PagedList.Wanted)
    def _wanted(self, event: PagedList.Wanted) -> None:
        if self.kedit.connected:
            self.work(self._load_rows(event.offset), group="rows")
        else:
            self.chain.failed()

    async def _load_rows(self, offset: int) -> None:
        try:
            page = await (self._kind_page(offset) if self.filter.strip() else self._page(offset))
        except BaseException:
            self.chain.failed()
            raise
        if page is not None:
            self.chain.highest = max(self.chain.highest, page.events[0].seq if page.events else 0)
            self.chain.put(offset, page.total, page.events)
            self.query_one("#events-heading", Static).update(Content(self.chain.heading()))

    async def _page(self, offset: int) -> AuditPage:
        """The chain has no gaps: the event at a place is known from how many there are."""
        client = self.kedit.client
        if not offset:
            return await client.audit(None, PAGE)
        total = (await client.audit(None, 1)).total
        return await client.audit(total - offset + 1, PAGE)

    async def _kind_page(self, offset: int) -> AuditPage | None:
        """Of one kind, pages follow each other: those before come first."""
        chain = self.chain
        place = offset
        while place and chain.row_at(place - 1) is None:
            place -= PAGE
        page = None
        while place <= offset:
            last = chain.row_at(place - 1) if place else None
            page = await self.kedit.client.audit(last.seq if last else None, PAGE, self.filter.strip())
            if place < offset:
                chain.put(place, page.total, page.events)
            place += PAGE
        return page

    @on(PagedList.Moved)
    def _moved(self) -> None:
        from kedit_lifecycle.tui.screens.audit.event_text import event_text

        row = self.chain.row
        if row is not None:
            self.query_one("#event", Static).update(event_text(row))
            self.query_one("#event-side").scroll_home(animate=False)

    @on(PagedList.Chosen)
    def _chosen(self) -> None:
        """Open the event: on a narrow terminal in the place of the list."""
        self.add_class("opened")
        focus(self.query_one("#event-side"))

    def on_key(self, event: events.Key) -> None:
        """Escape and enter lead back to the list; vim keys scroll."""
        scroll = self.query_one("#event-side", VerticalScroll)
        if not scroll.has_focus:
            return
        if event.key in ("escape", "enter", "left"):
            event.stop()
            self.remove_class("opened")
            focus(self.chain)
        elif event.key in ("j", "k"):
            event.stop()
            scroll.scroll_relative(y=1 if event.key == "j" else -1, animate=False)

    def copied(self) -> str | None:
        """The command, or the hash of an event without one."""
        row = self.chain.row
        return None if row is None else (row.command or row.hash)

    def act_verify(self) -> None:
        """All of the store."""
        self.work(self._verify(quick=False), group="verify")

    def act_verify_quick(self) -> None:
        """The chain alone."""
        self.work(self._verify(quick=True), group="verify")

    async def _verify(self, *, quick: bool) -> None:
        from kedit_lifecycle.tui.screens.audit.event_text import verified_text

        verified = self.query_one("#verified", Static)
        verified.add_class("there")
        verified.update(Content.styled("▸ verifying …", "$text-muted"))
        command = self.kedit.cli("verify", *(["--quick"] if quick else []))
        verified.update(verified_text(await self.kedit.run("verify", command=command, quick=quick)))
