"""Pictures in rows, a page at a time, with a cursor; only what is on the page is decoded and sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tireg_tui.sources import PictureSource
from tireg_tui.widgets.captioned import Captioned

_WIDTH, _HEIGHT = 26, 13
"""Cells that a picture should have at least, with its caption."""


class PictureStrip(Widget, can_focus=True):
    """As many pictures as fit, in rows; the arrows move among them."""

    DEFAULT_CSS = """
    PictureStrip { height: 1fr; layout: vertical; }
    PictureStrip > Grid { height: 1fr; grid-gutter: 0 1; }
    PictureStrip Captioned { width: 1fr; height: 1fr; }
    PictureStrip > Static { height: 1; color: $text-muted; text-align: center; }
    PictureStrip .-current > Static { color: $foreground; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "Previous picture", show=False, id="strip.previous"),
        Binding("right,l", "move(1)", "Next picture", show=False, id="strip.next"),
        Binding("up,k", "move_row(-1)", "Row above", show=False, id="strip.above"),
        Binding("down,j", "move_row(1)", "Row below", show=False, id="strip.below"),
        Binding("shift+left,H", "move(-10)", "Ten back", show=False, id="strip.back"),
        Binding("shift+right,L", "move(10)", "Ten on", show=False, id="strip.on"),
        Binding("home", "move(-100000)", "First picture", show=False, id="strip.first"),
        Binding("end", "move(100000)", "Newest picture", show=False, id="strip.last"),
        Binding("enter", "open", "Open picture", show=False, id="strip.open"),
        Binding("z", "zoom", "Larger", show=False, id="strip.zoom"),
    ]

    class Opened(Message):
        """A picture was chosen with Enter."""

        def __init__(self, strip: PictureStrip, index: int) -> None:
            super().__init__()
            self.strip, self.index = strip, index

    def __init__(self, *, id: str | None = None, follow: bool = False) -> None:  # noqa: A002
        super().__init__(id=id)
        self.sources: list[PictureSource] = []
        self.index = 0
        self._follow = follow
        self._per_page = 1
        self._columns = 1
        self._single = False
        self._laid_out = True
        self._laying_out = asyncio.Lock()
        self._count = Static("", markup=False)

    def compose(self) -> ComposeResult:
        yield Grid()
        yield self._count

    async def show(self, sources: Sequence[PictureSource]) -> None:
        """Show these pictures; a strip that follows stays at the newest while the cursor is there."""
        at_end = self.index >= len(self.sources) - 1
        if self._laid_out and [source.key for source in sources] == [source.key for source in self.sources]:
            return
        self.sources = list(sources)
        self.index = len(sources) - 1 if self._follow and at_end else min(self.index, len(sources) - 1)
        self.index = max(0, self.index)
        await self._lay_out()

    async def on_resize(self, event: events.Resize) -> None:
        await self._lay_out()

    async def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.index = max(0, min(len(self.sources) - 1, self.index + by))
        await self._lay_out()

    async def action_move_row(self, by: int) -> None:
        """Move the cursor by rows; beyond the ends the focus goes on, as where there is one row only."""
        wanted = self.index + by * self._columns
        if 0 <= wanted < len(self.sources) and self._per_page > self._columns:
            await self.action_move(by * self._columns)
        elif by < 0:
            self.screen.focus_previous()
        else:
            self.screen.focus_next()

    def action_open(self) -> None:
        """Choose the picture under the cursor."""
        if self.sources:
            self.post_message(self.Opened(self, self.index))

    async def action_zoom(self) -> None:
        """One large picture, or several."""
        self._single = not self._single
        await self._lay_out()

    async def _lay_out(self) -> None:
        self._laid_out = False  # who waits for it may be cancelled in between
        async with self._laying_out:
            await self._fill()
        self._laid_out = True

    async def _fill(self) -> None:
        """Put the pictures of the page that the cursor is on into as many places as there is room for."""
        columns, rows = (1, 1) if self._single else _shape(self.size.width, self.size.height - 1, len(self.sources))
        self._columns = columns
        self._per_page = max(1, min(columns * rows, len(self.sources)))
        row = self.query_one(Grid)
        row.styles.grid_size_columns = columns
        row.styles.grid_size_rows = rows
        captions = list(row.query(Captioned))
        if len(captions) != (self._per_page if self.sources else 0):
            await row.remove_children()
            if self.sources:
                await row.mount_all([Captioned() for _ in range(self._per_page)])
            captions = list(row.query(Captioned))
        first = max(0, min(self.index // self._per_page * self._per_page, len(self.sources) - self._per_page))
        for offset, captioned in enumerate(captions):
            captioned.show(self.sources[first + offset])
            captioned.set_class(first + offset == self.index and len(captions) > 1, "-current")
        more = len(self.sources) > self._per_page
        self._count.update(f"{self.index + 1} of {len(self.sources)} · ← →" if more else "")


def _shape(width: int, height: int, count: int) -> tuple[int, int]:
    """Columns and rows for `count` pictures: as large as they can be while all are shown, if there is room for all.

    A cell is about twice as high as wide, so the best cell for a square picture is twice as wide as high.
    """
    most_columns, most_rows = max(1, width // _WIDTH), max(1, height // _HEIGHT)
    best, best_side = (most_columns, most_rows), 0.0
    for columns in range(1, most_columns + 1):
        rows = -(-count // columns)
        if 0 < rows <= most_rows:
            side = min(width / columns, 2 * (height / rows - 1))
            if side > best_side:
                best, best_side = (columns, rows), side
    return best
