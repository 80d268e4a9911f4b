"""Rows that are drawn as they come into view, with a cursor: ten thousand cost no more than those that are visible.

Textual's own table makes objects of every cell and draws each through a console; for a start that is most of its time.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Leave, MouseMove
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tireg_tui.texts.fixed_width import in_column

_DIM = Style(dim=True)
_PLAIN = Style.null()


class RowList(ScrollView, can_focus=True):
    """A heading and rows of one line; whoever inherits says what is in them.

    Attributes:
        cursor_row: the row that the cursor is on, from 0; 0 where there are no rows.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", show=False),
        Binding("up", "cursor_up", "Cursor up", show=False),
        Binding("down", "cursor_down", "Cursor down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home,ctrl+home", "scroll_top", "First", show=False),
        Binding("end,ctrl+end", "scroll_bottom", "Last", show=False),
        Binding("j", "cursor_down", show=False, id="table.down"),
        Binding("k", "cursor_up", show=False, id="table.up"),
        Binding("g", "scroll_top", "First", show=False, id="table.first"),
        Binding("G", "scroll_bottom", "Last", show=False, id="table.last"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", "rows--hover"}
    DEFAULT_CSS = """
    RowList {
        height: 1fr; overflow-x: hidden; background: $background;
        & > .rows--header { background: $background; color: $text-muted; }
        & > .rows--hover { background: $block-hover-background; }
        & > .rows--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
            text-style: $block-cursor-blurred-text-style;
        }
        &:focus > .rows--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
    }
    """

    cursor_row: reactive[int] = reactive(0, repaint=False, init=False)
    _hover_row: reactive[int] = reactive(-1, repaint=False, init=False)

    class Moved(Message):
        """The cursor is on another row."""

    class Opened(Message):
        """The row under the cursor was chosen: Enter, or a click on it."""

    # -- what is in the rows -------------------------------------------------------------------------------------

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def heading(self, width: int) -> list[tuple[str, int]]:
        """The headings, with their widths, of the columns that there is room for in so many cells."""
        raise NotImplementedError

    def cells(self, row: int) -> list[tuple[str, bool]]:
        """Safe text of every column of the heading that was asked for last, and whether it is of less weight."""
        raise NotImplementedError

    def rows_changed(self, cursor: int) -> None:
        """There are other rows now; the cursor goes to this one, which is scrolled into view only where it is not."""
        self.virtual_size = Size(1, self.row_count + 1)  # rows are as wide as there is room for
        self.move_cursor(cursor)
        self.refresh()

    def row_changed(self, row: int) -> None:
        """Draw a row again."""
        self.refresh_line(row + 1)

    # -- drawing -------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self.rows_changed(self.cursor_row)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        heading = self.heading(width)
        widths = [cells for _, cells in heading]
        if y == 0:
            base += self.get_component_rich_style("rows--header")
            return _strip([(label, False) for label, _ in heading], widths, base, width)
        row = y - 1 + self.scroll_offset.y
        if row >= self.row_count:
            return Strip.blank(width, base)
        if row == self.cursor_row:
            base += self.get_component_rich_style("rows--cursor")
        elif row == self._hover_row:
            base += self.get_component_rich_style("rows--hover")
        return _strip(self.cells(row), widths, base, width)

    # -- cursor --------------------------------------------------------------------------------------------------

    def move_cursor(self, row: int) -> None:
        """Put the cursor on a row, or on the nearest there is, and bring it into view."""
        self.cursor_row = max(0, min(row, self.row_count - 1))
        height = self.scrollable_content_region.height - 1
        top = self.scroll_offset.y
        if height > 0:
            wanted = min(self.cursor_row, max(top, self.cursor_row - height + 1))
            if wanted != top:
                self.scroll_to(y=wanted, animate=False, force=True, immediate=True)

    def watch_cursor_row(self, before: int, now: int) -> None:
        """Draw both rows, and say so."""
        self.row_changed(before)
        self.row_changed(now)
        self.post_message(self.Moved())

    def watch__hover_row(self, before: int, now: int) -> None:
        """Draw both rows."""
        self.row_changed(before)
        self.row_changed(now)

    def action_cursor_up(self) -> None:
        """One row up."""
        self._hover_row = -1
        self.move_cursor(self.cursor_row - 1)

    def action_cursor_down(self) -> None:
        """One row down."""
        self._hover_row = -1
        self.move_cursor(self.cursor_row + 1)

    def action_page_up(self) -> None:
        """As many rows up as are visible."""
        self.move_cursor(self.cursor_row - max(1, self.scrollable_content_region.height - 1))

    def action_page_down(self) -> None:
        """As many rows down as are visible."""
        self.move_cursor(self.cursor_row + max(1, self.scrollable_content_region.height - 1))

    def action_scroll_top(self) -> None:
        """To the first row."""
        self.move_cursor(0)

    def action_scroll_bottom(self) -> None:
        """To the last row."""
        self.move_cursor(self.row_count - 1)

    def action_open(self) -> None:
        """Choose the row under the cursor."""
        if self.row_count:
            self.post_message(self.Opened())

    # -- mouse ---------------------------------------------------------------------------------------------------

    def _row_at(self, y: int) -> int:
        row = y - 1 + self.scroll_offset.y
        return row if y > 0 and row < self.row_count else -1

    def on_mouse_move(self, event: MouseMove) -> None:
        """Show which row a click would take."""
        self._hover_row = self._row_at(event.y)

    def on_leave(self, event: Leave) -> None:
        """The mouse is elsewhere."""
        self._hover_row = -1

    def on_click(self, event: Click) -> None:
        """The first click takes a row, another one on it opens it."""
        row = self._row_at(event.y)
        if row < 0:
            return
        event.stop()
        if row == self.cursor_row:
            self.action_open()
        else:
            self.move_cursor(row)


def _strip(cells: list[tuple[str, bool]], widths: list[int], style: Style, total: int) -> Strip:
    """One line of cells, each with a blank on both sides; what is too long ends in an ellipsis."""
    dim = style + _DIM
    segments = [
        Segment(in_column(text, width), dim if is_dim else style)
        for (text, is_dim), width in zip(cells, widths, strict=True)
    ]
    used = sum(widths) + 2 * len(widths)
    if used < total:
        segments.append(Segment(" " * (total - used), style))
    return Strip(segments, max(used, total)).crop(0, total)
