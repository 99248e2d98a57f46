"""The history on the left, what one version is on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.checking import check_again
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.screens.ledger.actions import ACTIONS, other
from kedit_lifecycle.tui.screens.ledger.history_list import LEGEND, HistoryList
from kedit_lifecycle.tui.styles import style_sheet
from kedit_lifecycle.tui.widgets.paged_list import PagedList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import VersionView

WIDE = 120  # cells from which on both halves are seen beside each other
TALL = 34  # lines from which on both are seen, one below the other
_RESTED = 0.08  # seconds that the cursor rests before a version is read
_MORE = 0.3  # seconds until a filter that has more to look at is asked again
_FACTS = 20


class LedgerScreen(KeditScreen):
    """What the model was made to believe, version by version."""

    TITLE: ClassVar[str] = "Ledger"
    ORDER: ClassVar[int] = 10
    ACTIONS: ClassVar[tuple[Action, ...]] = ACTIONS
    FILTERS: ClassVar[str] = "words in subject, target, method, message; or v12"
    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = LEGEND
    DEFAULT_CSS = style_sheet("ledger")

    _view: VersionView | None = None
    _first_rows = True
    _follows: int | None = (
        None  # the row that the cursor was on when rows were asked for anew, if it is HEAD's
    )

    def compose(self) -> ComposeResult:
        """The history, a version, and the trends beneath."""
        with Horizontal():
            with Vertical(id="history-side"):
                yield Static(id="history-heading")
                yield HistoryList(id="history")
            with Vertical(id="version-side"):
                yield Static(id="version-title")
                with VerticalScroll(id="version-scroll"):
                    yield Static(id="version")
        yield Static(id="trends")

    @property
    def history(self) -> HistoryList:
        """The list."""
        return self.query_one(HistoryList)

    def first_focus(self) -> Widget:
        """The list."""
        return self.history

    def on_resize(self, event: events.Resize) -> None:
        """One half or both."""
        self.set_class(event.size.width >= WIDE, "wide")
        self.set_class(event.size.width < WIDE and event.size.height >= TALL, "tall")
        self.call_after_refresh(self._show_heading)
        if self.kedit.connected:
            self.work(self._load_trends(), group="trends")

    # Reading

    async def load(self) -> None:
        """The rows in sight anew; the version under the cursor and the trends follow."""
        overview = await self.kedit.client.overview()
        history = self.history
        place = history.head_place()
        row = history.row
        self._follows = row.key if row is not None and place == history.cursor else None
        history.head, history.highest = overview.head, max(overview.versions, overview.head)
        history.filtered = bool(self.filter)
        history.renew()
        self.work(self._load_trends(), group="trends")

    def filter_changed(self) -> None:
        """Other rows altogether."""
        self.history.filtered = bool(self.filter)
        self.history.clear()

    @on(PagedList.Wanted)
    def _wanted(self, event: PagedList.Wanted) -> None:
        if self.kedit.connected:
            self.work(self._load_rows(event.offset, event.limit), group="rows")
        else:
            self.history.failed()

    async def _load_rows(self, offset: int, limit: int) -> None:
        try:
            page = await self.kedit.client.history(offset, limit, self.filter)
        except BaseException:
            self.history.failed()
            raise
        row = self.history.row
        follows = self._first_rows or (row is not None and row.key == self._follows)
        self.history.put(page.offset, page.total, page.rows)
        if not page.complete:  # the filter has not looked at all of a long history yet
            self.set_timer(_MORE, self.history.renew)
        self._show_heading()
        if follows:
            self._go_to_head()

    def _go_to_head(self) -> None:
        """Follow HEAD, where the cursor was on it and is still, or at the beginning."""
        place = self.history.head_place()
        if place is not None:
            self._first_rows, self._follows = False, None
            self.history.cursor = place

    async def _load_trends(self) -> None:
        from kedit_lifecycle.tui.screens.ledger.trends import POINTS, trends

        view = await self.kedit.client.health("HEAD", POINTS)
        self.query_one("#trends", Static).update(trends(view, self.size.width))

    def _show_heading(self) -> None:
        self.query_one("#history-heading", Static).update(Content(self.history.heading()))

    # The version under the cursor

    @on(PagedList.Moved)
    def _moved(self) -> None:
        self.settle()
        row = self.history.row
        if row is not None:
            self.work(self._load_version(row.key, row.number), group="version")

    def settle(self) -> None:
        """The version of the row that the cursor is on; none while the row is still being read."""
        row = self.history.row
        if row is None:
            self.move_cursor(None)
        elif row.number is None:
            self.move_cursor(row.parent, row.key)
        else:
            self.move_cursor(row.number)

    async def _load_version(self, key: int, number: int | None) -> None:
        import asyncio

        from kedit_lifecycle.tui.screens.ledger.version_text import title, version_text

        await asyncio.sleep(_RESTED)
        client = self.kedit.client
        view = await (client.attempt(key, _FACTS) if number is None else client.version(str(number), _FACTS))
        changed = self._view is None or self._view.row.key != view.row.key
        self._view = view
        self.query_one("#version-title", Static).update(Content.styled(title(view.row), "bold"))
        self.query_one("#version", Static).update(version_text(view))
        if changed:
            self.query_one("#version-scroll").scroll_home(animate=False)

    def cursor_moved(self) -> None:
        """Another screen looks at another version: go there if its row is at hand."""
        for place, row in self.history.known_rows():
            if row.number is not None and row.number == self.kedit.cursor:
                self.history.cursor = place
                return

    @on(PagedList.Chosen)
    def _chosen(self) -> None:
        """Open the version: on a narrow terminal in the place of the list."""
        self.add_class("opened")
        focus(self.query_one("#version-scroll"))

    def on_key(self, event: events.Key) -> None:
        """Escape and enter lead back to the list; vim keys scroll."""
        scroll = self.query_one("#version-scroll", VerticalScroll)
        if not scroll.has_focus:
            return
        if event.key in ("escape", "enter", "left"):
            event.stop()
            self.remove_class("opened")
            focus(self.history)
        elif event.key in ("j", "k"):
            event.stop()
            scroll.scroll_relative(y=1 if event.key == "j" else -1, animate=False)

    def copied(self) -> str | None:
        """The id of the version, or the fact of the attempt."""
        row = self.history.row
        if row is None:
            return None
        return row.id or f"{row.subject} → {row.target}"

    # Doing

    async def act_new(self) -> None:
        """Compose an edit."""
        await self.kedit_app.show("compose")

    async def act_ask(self) -> None:
        """Ask this version."""
        facts = self._view.facts if self._view and self._view.row.number == self.kedit.cursor else ()
        prompt = facts[0].prompt.replace("{}", facts[0].subject) if facts else ""
        await self.kedit_app.show("ask", refs=[str(self.kedit.cursor), "base"], prompt=prompt)

    def act_undo(self) -> None:
        """Take the last move back."""
        self._move("undo", self.kedit.cli("undo"))

    def act_redo(self) -> None:
        """Do it again."""
        self._move("redo", self.kedit.cli("redo"))

    def act_roll_back(self) -> None:
        """Take the branch here."""
        ref = str(self.kedit.cursor)
        self._move("rollback", self.kedit.cli("rollback", ref), ref=ref)

    def _move(self, kind: str, command: str, **arguments: Any) -> None:
        self.work(self._moving(kind, command, arguments), group="moving")

    async def _moving(self, kind: str, command: str, arguments: dict[str, Any]) -> None:
        moved = await self.kedit.result(kind, command=command, **arguments)
        branch = f" · {moved['branch']}" if moved.get("branch") else ""
        self.kedit.notify(f"{kind}: HEAD is at v{moved['number']}{branch}")

    def act_check(self) -> None:
        """Check its health."""
        number = self.kedit.cursor
        if number is not None:
            self.work(check_again(self.kedit, number, self.kedit.cli("check", number)), group="checking")

    def act_mark(self) -> None:
        """Mark it, or take the mark away."""
        number = self.kedit.cursor
        self.kedit.marked = None if self.kedit.marked == number else number
        self.history.marked = self.kedit.marked
        self.history.refresh()
        self.kedit.notify(f"v{number} is marked" if self.kedit.marked is not None else "nothing is marked")

    def act_compare(self) -> None:
        """Show what differs."""
        self.work(self._comparing(str(other(self.kedit)), str(self.kedit.cursor)), group="compare")

    async def _comparing(self, a: str, b: str) -> None:
        from kedit_lifecycle.tui.screens.ledger.compare import comparison_dialog

        self.app.push_screen(comparison_dialog(await self.kedit.client.compare(a, b)))
