"""The facts outside the weights, and a query to test them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.screens.memory.actions import ACTIONS, LEGEND
from kedit_lifecycle.tui.screens.memory.consolidating import ConsolidateDialog, How, consolidated
from kedit_lifecycle.tui.screens.memory.entry_list import EntryList, question
from kedit_lifecycle.tui.screens.memory.roc import picture, summary
from kedit_lifecycle.tui.screens.memory.tested import tested_text
from kedit_lifecycle.tui.styles import style_sheet
from kedit_lifecycle.tui.widgets.paged_list import PAGE, PagedList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import MemoryView

WIDE = 120  # cells from which on the list and the test stand beside each other
_TOKENS = 12  # of what would be answered
_LONGEST = 2000  # characters of a query


class MemoryScreen(KeditScreen):
    """What a version keeps outside the weights."""

    TITLE: ClassVar[str] = "Memory"
    ORDER: ClassVar[int] = 50
    ACTIONS: ClassVar[tuple[Action, ...]] = ACTIONS
    FILTERS: ClassVar[str] = "words in subject, prompt, target or relation; or v12"
    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = LEGEND
    DEFAULT_CSS = style_sheet("memory")

    _memory: MemoryView | None = None
    _ref = 0
    _read = False
    _score: float | None = None

    def compose(self) -> ComposeResult:
        """The entries; a query, what it came to, and the ROC curve."""
        yield Static(id="memory-summary")
        with Container(id="memory-main"):
            with Vertical(id="memory-list"):
                yield Static(id="memory-heading")
                yield EntryList(id="memory-entries")
            with Vertical(id="memory-side"):
                with Horizontal(id="memory-query-row"):
                    yield Static("? ", id="memory-query-sign")
                    yield Input(id="memory-query", placeholder="t: test a query", max_length=_LONGEST)
                with Container(id="memory-tests"):
                    with VerticalScroll(id="memory-result-scroll"):
                        yield Static(id="memory-result")
                    yield Static(id="memory-roc")

    @property
    def entries(self) -> EntryList:
        """The list."""
        return self.query_one(EntryList)

    def first_focus(self) -> Widget:
        """The list."""
        return self.entries

    def on_resize(self, event: events.Resize) -> None:
        """Beside or below each other."""
        self.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self._show_around)

    # Reading

    @property
    def _version(self) -> int:
        """The version whose memory is shown: the cursor's, else HEAD."""
        overview = self.kedit.overview
        return self.kedit.cursor if self.kedit.cursor is not None else (overview.head if overview else 0)

    async def load(self) -> None:
        """The rows in sight anew; all of them, of another version."""
        if self._version != self._ref or not self._read:
            self._ref, self._read = self._version, True
            self.entries.marked.clear()
            self.entries.clear()
        else:
            self.entries.renew()

    def filter_changed(self) -> None:
        """Other rows altogether."""
        self.entries.clear()

    def cursor_moved(self) -> None:
        """Another screen looks at another version, whose memory may be another."""
        if self.shown:
            self.reload_soon()
        else:
            self.stale = True

    @on(PagedList.Wanted)
    def _wanted(self, event: PagedList.Wanted) -> None:
        if self.kedit.connected:
            self.work(self._load_rows(event.offset), group="rows")
        else:
            self.entries.failed()

    async def _load_rows(self, offset: int) -> None:
        try:
            page = await self.kedit.client.memory(str(self._ref), self.filter, offset, PAGE)
        except BaseException:
            self.entries.failed()
            raise
        entries = self.entries
        self._memory = page
        empty = not page.total and not self.filter
        entries.nothing = (
            "this memory is empty: kedit edit --method serac" if empty else "no fact is like that"
        )
        entries.highest = max([entries.highest, *(one.version for one in page.entries)])
        entries.put(offset, page.total, page.entries)
        self._show_around()

    def _show_around(self) -> None:
        if self._memory is None or not self.is_attached:
            return
        head = self.kedit.overview.head if self.kedit.overview else None
        line = summary(self._memory, self._ref, head, len(self.entries.marked))
        self.query_one("#memory-summary", Static).update(line)
        width = self.entries.room.width
        self.query_one("#memory-heading", Static).update(Content(self.entries.heading(width)))
        roc = self.query_one("#memory-roc", Static)
        room = roc.content_region.size
        if room.width > 10 and room.height > 3:
            roc.update(picture(self._memory, self._score, room.width, min(room.height, 20)))

    # The list

    @on(PagedList.Chosen)
    async def _chosen(self) -> None:
        """Show the version of the fact."""
        await self.kedit_app.perform("memory.ledger")

    async def act_ledger(self) -> None:
        """Go to its version."""
        row = self.entries.row
        if row is not None:
            self.move_cursor(row.version)
            self.stale = True
            await self.kedit_app.show("ledger")

    def act_roc(self) -> None:
        """On a narrow terminal, the curve or what was tested."""
        if self.has_class("wide"):
            self.kedit.notify("both are seen on this terminal")
        self.toggle_class("tested")
        self.call_after_refresh(self._show_around)

    def act_head(self) -> None:
        """Back to HEAD's memory."""
        if self.kedit.overview is not None:
            self.move_cursor(self.kedit.overview.head)
            self.reload()

    def copied(self) -> str | None:
        """The fact at the cursor."""
        row = self.entries.row
        return None if row is None else f"{question(row)} → {row.target}"

    def act_mark(self) -> None:
        """Mark all facts of the version, or take the mark away."""
        row = self.entries.row
        if row is not None:
            self.entries.marked ^= {row.version}
            self.entries.cursor += 1
            self.entries.refresh()
            self._show_around()

    def act_mark_none(self) -> None:
        """Nothing is marked."""
        self.entries.marked.clear()
        self.entries.refresh()
        self._show_around()

    # A query

    @property
    def _query(self) -> Input:
        return self.query_one("#memory-query", Input)

    def act_test(self) -> None:
        """Write a query; the fact at the cursor is a beginning."""
        row = self.entries.row
        if not self._query.value and row is not None:
            self._query.value = question(row)[:_LONGEST]
        focus(self._query)

    def on_key(self, event: events.Key) -> None:
        """Escape and down lead from the query back to the list."""
        if self._query.has_focus and event.key in ("escape", "down"):
            event.stop()
            focus(self.entries)

    @on(Input.Submitted, "#memory-query")
    def _asked(self, event: Input.Submitted) -> None:
        event.stop()
        query = event.value.strip()
        if query and self.kedit.connected:
            self.kedit.log(self.kedit.cli("memory", "search", query, "--at", self._ref))
            self._result(Content.styled("▸ asking …", "$text-muted"))
            self.work(self._testing(query, str(self._ref)), group="testing")

    async def _testing(self, query: str, ref: str) -> None:
        route: dict[str, Any] = await self.kedit.result("route", prompt=query, ref=ref)
        best = (route.get("candidates") or [{}])[0].get("entry") if route["route"] == "memory" else None
        self.entries.hit = (best["version"], best["position"]) if best else None
        self.entries.refresh()
        self._score = route.get("score") if route.get("candidates") else None
        self._result(tested_text(query, route, None))
        self._show_around()
        answers = await self.kedit.result("ask", prompt=query, refs=[ref], tokens=_TOKENS, top=1)
        self._result(tested_text(query, route, answers[0]))

    def _result(self, text: Content) -> None:
        self.add_class("tested")
        self.query_one("#memory-result", Static).update(text)
        self.query_one("#memory-result-scroll").scroll_home(animate=False)

    # Into the weights

    def act_consolidate(self) -> None:
        """Ask how, then do it."""
        versions = sorted(self.entries.marked)
        total = self.kedit.overview.memory_entries if self.kedit.overview else 0
        self.app.push_screen(ConsolidateDialog(versions, total), self._begin)

    def _begin(self, how: How | None) -> None:
        if how is not None:
            command = self.kedit.cli(*how.arguments())
            self.kedit.log(command)
            self._result(Content.styled("▸ writing into the weights …", "$text-muted"))
            self.work(self._consolidating(how, command), group="consolidating")

    async def _consolidating(self, how: How, command: str) -> None:
        done = await consolidated(self.kedit, how, command)
        self._result(done.text)
        self.kedit.notify(f"consolidate: {done.told}", done.severity)
        if done.version is not None:
            self.entries.marked.clear()
            self.move_cursor(done.version)
        self.reload_soon()
