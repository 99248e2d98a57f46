"""A list of any length: rows come in pages when they are looked at, and no row is a widget."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

Row = TypeVar("Row")

PAGE = 100  # rows of one page
_PAGES_KEPT = 60


class PagedList(ScrollView, Generic[Row], can_focus=True, inherit_bindings=False):
    """Rows are asked for with `Wanted`, one page at a time, and given with `put`.

    Derive and write `row_text`; `key_of` says which row is the same after a change.
    """

    DEFAULT_CSS = """
    PagedList { scrollbar-size: 1 0; overflow-x: hidden; overflow-y: scroll; }
    PagedList > .list--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    PagedList > .list--cursor-blurred { background: $boost; }
    PagedList > .list--muted { color: $text-muted; }
    PagedList:ansi > .list--cursor-blurred { text-style: underline; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"list--cursor", "list--cursor-blurred", "list--muted"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Up", show=False),
        Binding("down,j", "step(1)", "Down", show=False),
        Binding("pageup,ctrl+b,ctrl+u", "page(-1)", "A page up", show=False),
        Binding("pagedown,ctrl+f,ctrl+d", "page(1)", "A page down", show=False),
        Binding("home,g", "edge(0)", "The newest", show=False),
        Binding("end,G", "edge(-1)", "The oldest", show=False),
        Binding("enter", "choose", "Open, or close", show=False),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    class Wanted(Message):
        """Rows from `offset` on are looked at and not there."""

        def __init__(self, offset: int, limit: int) -> None:
            super().__init__()
            self.offset = offset
            self.limit = limit

    class Moved(Message):
        """The cursor is on another row, or its row came."""

    class Chosen(Message):
        """Enter, or a click on the row that the cursor is on."""

    def __init__(self, *, id: str | None = None, nothing: str = "nothing here yet") -> None:
        super().__init__(id=id)
        self.nothing = nothing
        self.total = 0
        self._known = False
        self._pages: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._old: set[int] = set()  # pages that are shown until newer ones come
        self._asked: int | None = None
        self._told: object = None

    # For a list of some kind

    @abstractmethod
    def row_text(self, row: Row, width: int) -> Text:
        """One line for a row, `width` cells wide."""

    @abstractmethod
    def key_of(self, row: Row) -> object:
        """What tells a row from others, also after more came."""

    # Rows

    @property
    def room(self) -> Size:
        """What is there for rows, beside the scrollbar."""
        return self.scrollable_content_region.size

    @property
    def asked(self) -> int | None:
        """The offset of the page that is waited for."""
        return None if self._asked is None else self._asked * PAGE

    def row_at(self, place: int) -> Row | None:
        """The row at a place, if it is there."""
        page = self._pages.get(place // PAGE)
        return page[place % PAGE] if page is not None and place % PAGE < len(page) else None

    @property
    def row(self) -> Row | None:
        """The row that the cursor is on, if it is there."""
        return self.row_at(self.cursor)

    def known_rows(self) -> list[tuple[int, Row]]:
        """The rows that are there, with their places."""
        return [
            (number * PAGE + place, row)
            for number, page in sorted(self._pages.items())
            for place, row in enumerate(page)
        ]

    def renew(self) -> None:
        """All rows may have changed: ask again, and show the old ones until then."""
        self._old = set(self._pages)
        self._asked = None
        self._ask()

    def clear(self) -> None:
        """Other rows altogether, as by another filter."""
        self._pages.clear()
        self._old.clear()
        self._asked, self._known, self.total, self._told = None, False, 0, None
        self.cursor = 0
        self.scroll_to(y=0, animate=False)
        self._ask()

    def put(self, offset: int, total: int, rows: Sequence[Row]) -> None:
        """A page came."""
        page = offset // PAGE
        if self._known and total != self.total:
            self._old |= set(self._pages)
            self._shift(total - self.total)
        self._known, self.total = True, total
        self._pages[page] = rows
        self._pages.move_to_end(page)
        self._old.discard(page)
        while len(self._pages) > _PAGES_KEPT:
            self._old.discard(self._pages.popitem(last=False)[0])
        if self._asked == page:
            self._asked = None
        self.virtual_size = Size(self.room.width, total)
        self.cursor = max(min(self.cursor, total - 1), 0)
        self.refresh()
        self._ask()
        self._tell()

    def failed(self) -> None:
        """The page that was asked for does not come."""
        self._asked = None

    def _shift(self, by: int) -> None:
        """More rows above: stay on the row, unless the cursor is on the first, which follows the newest."""
        if by > 0 and self.cursor > 0:
            self.cursor += by
            self.scroll_to(y=self.scroll_offset.y + by, animate=False)

    def _ask(self) -> None:
        """Ask for the first page that is looked at and not there, one at a time."""
        if self._asked is not None or not self.is_attached:
            return
        first = self.scroll_offset.y // PAGE
        last = max(min(self.scroll_offset.y + self.room.height, self.total) - 1, 0) // PAGE
        for page in dict.fromkeys((first, last, self.cursor // PAGE)):
            if page not in self._pages or page in self._old:
                self._asked = page
                self.post_message(self.Wanted(page * PAGE, PAGE))
                return

    def _tell(self) -> None:
        row = self.row
        now = None if row is None else (self.key_of(row), id(row))
        if now != self._told:
            self._told = now
            self.post_message(self.Moved())

    # Moving

    def validate_cursor(self, place: int) -> int:
        """Stay on the list."""
        return max(min(place, self.total - 1), 0) if self._known else max(place, 0)

    def watch_cursor(self, before: int, now: int) -> None:
        """Show the row, and tell."""
        self.refresh(self._line(before), self._line(now))
        self.scroll_to_region(Region(0, now, 1, 1), animate=False, force=True, immediate=True, x_axis=False)
        self._ask()
        self._tell()

    def _line(self, place: int) -> Region:
        return Region(0, place - self.scroll_offset.y, self.room.width, 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for the rows that came into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._ask()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the rows anew."""
        self.virtual_size = Size(self.room.width, self.total)
        self._ask()

    def action_step(self, by: int) -> None:
        """A row up or down."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """A screenful up or down."""
        self.cursor += by * max(self.room.height - 1, 1)

    def action_edge(self, place: int) -> None:
        """The first row, or the last."""
        self.cursor = self.total - 1 if place < 0 else 0

    def action_choose(self) -> None:
        """Open the row."""
        if self.row is not None:
            self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        """Go to the row that was clicked; a second time opens it."""
        place = self.scroll_offset.y + event.y
        if not 0 <= place < self.total:
            return
        if place == self.cursor and event.chain > 1:
            self.action_choose()
        self.cursor = place

    def watch_has_focus(self, has_focus: bool) -> None:
        """The cursor looks otherwise without the focus."""
        super().watch_has_focus(has_focus)
        self.refresh()

    # Painting

    def style(self, name: str) -> Style:
        """The style of a component class."""
        return self.get_component_rich_style(name, partial=True)

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        width, place = self.room.width, self.scroll_offset.y + y
        base = self.rich_style
        if place >= self.total:
            text = f" {self.nothing}" if self._known and not self.total and y == 0 else ""
            return self._strip(Text(text, self.style("list--muted")), width, base)
        row = self.row_at(place)
        line = Text(" …", self.style("list--muted")) if row is None else self.row_text(row, width)
        strip = self._strip(line, width, base)
        if place != self.cursor:
            return strip
        over = self.style("list--cursor" if self.has_focus else "list--cursor-blurred")
        return Strip(Segment.apply_style(strip, post_style=over), width)

    def _strip(self, line: Text, width: int, base: Style) -> Strip:
        segments = line.render(self.app.console, end="")
        return Strip(segments).adjust_cell_length(width).apply_style(base)
