"""Pictures in rows, a page at a time, with a cursor; only what is on the page is decoded and sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from tireg_tui.pictures.sources import PictureSource
from tireg_tui.widgets.captioned import Captioned

EACH = (26, 13)
"""Cells that a picture should have at least, with its caption: columns and rows."""
SMALL = (16, 8)


class PictureStrip(Widget, can_focus=True):
    """As many pictures as fit, in rows; the arrows and clicks move among them, a click on the current one zooms."""

    DEFAULT_CSS = """
    PictureStrip { height: 1fr; layout: vertical; }
    PictureStrip > Grid { height: 1fr; grid-gutter: 0 1; }
    PictureStrip Captioned { width: 1fr; height: 1fr; }
    PictureStrip > Static { height: 1; color: $text-muted; text-align: center; }
    PictureStrip .-current > Caption { color: $foreground; text-style: bold; }
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
        Binding("enter,z", "zoom", "Larger", show=False, id="strip.zoom"),
        Binding("escape", "smaller", "Smaller", show=False, id="strip.smaller"),
        Binding("o", "viewer", "Open in a viewer", show=False, id="strip.viewer"),
    ]

    pairs: reactive[bool] = reactive(False)
    """Pictures belong together two by two, and stay side by side; the cursor moves by pairs."""

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002
        follow: bool = False,
        each: tuple[int, int] = EACH,
    ) -> None:
        super().__init__(id=id)
        self._each = each
        self.sources: list[PictureSource] = []
        self.index = 0
        self._first = 0
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

    async def on_click(self, event: events.Click) -> None:
        """Take the picture that was clicked; the one that is taken already becomes large, and small again."""
        way = event.widget.ancestors_with_self if event.widget is not None else []
        shown = list(self.query(Captioned))
        clicked = next((shown.index(widget) for widget in way if widget in shown), None)
        if clicked is None:
            return
        step = 2 if self.pairs else 1
        wanted = self._first + clicked
        if self._single or wanted // step == self.index // step:
            await self.action_zoom()
        else:
            self.index = wanted - wanted % step
            await self._lay_out()

    async def action_move(self, by: int) -> None:
        """Move the cursor."""
        step = 2 if self.pairs else 1
        self.index = max(0, min(len(self.sources) - step, self.index + step * by))
        self.index -= self.index % step
        await self._lay_out()

    async def action_move_row(self, by: int) -> None:
        """Move the cursor by rows; beyond the ends the focus goes on, as where there is one row only."""
        wanted = self.index + by * self._columns
        if 0 <= wanted < len(self.sources) and self._per_page > self._columns:
            await self.action_move(by * self._columns // (2 if self.pairs else 1))
        elif by < 0:
            self.screen.focus_previous()
        else:
            self.screen.focus_next()

    def action_viewer(self) -> None:
        """Open the picture with the system's own viewer."""
        path = self.sources[self.index].path if self.sources else None
        if path is not None:
            self.app.open_url(path.absolute().as_uri())

    async def action_zoom(self) -> None:
        """One large picture, or several."""
        self._single = not self._single
        await self._lay_out()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape makes a large picture smaller first; else it is the screen's."""
        return self._single if action == "smaller" else super().check_action(action, parameters)

    async def action_smaller(self) -> None:
        """Several pictures again."""
        await self.action_zoom()

    async def _lay_out(self) -> None:
        self._laid_out = False  # who waits for it may be cancelled in between
        async with self._laying_out:
            await self._fill()
        self._laid_out = True

    async def _fill(self) -> None:
        """Put the pictures of the page that the cursor is on into as many places as there is room for."""
        sources, row = list(self.sources), self.query_one(Grid)
        columns, rows = _shape((self.size.width, self.size.height - 1), self._each, len(sources))
        if self._single:
            columns, rows = (2 if self.pairs else 1), 1
        elif self.pairs:
            columns = max(2, columns // 2 * 2)
        per_page = max(1, min(columns * rows, len(sources)))
        self._columns, self._per_page = columns, per_page
        row.styles.grid_size_columns = columns
        row.styles.grid_size_rows = rows
        # What a division leaves over stays empty: given to some of the places, it would make pictures of two sizes.
        row.styles.grid_columns = [max(1, (self.size.width - columns + 1) // columns)]
        row.styles.grid_rows = [max(1, (self.size.height - 1) // rows)]
        captions = list(row.query(Captioned))
        if len(captions) != (per_page if sources else 0):
            await row.remove_children()
            captions = [Captioned() for _ in range(per_page if sources else 0)]
            await row.mount_all(captions)
        step = 2 if self.pairs else 1
        self._first = max(0, min(self.index // per_page * per_page, len(sources) - per_page))
        for at, captioned in enumerate(captions, self._first):
            captioned.show(sources[at])
            captioned.set_class(at // step == self.index // step and len(captions) > step, "-current")
        text = f"{self.index // step + 1} of {len(sources) // step} · ← →" if len(sources) > per_page else ""
        self._count.update(text)


def _shape(room: tuple[int, int], each: tuple[int, int], count: int) -> tuple[int, int]:
    """Columns and rows for `count` pictures: as large as they can be while all are shown, if there is room for all.

    A cell is about twice as high as wide, so the best cell for a square picture is twice as wide as high.
    """
    width, height = room
    most_columns, most_rows = max(1, width // each[0]), max(1, height // each[1])
    best, best_side = (most_columns, most_rows), 0.0
    for columns in range(1, most_columns + 1):
        rows = -(-count // columns)
        if 0 < rows <= most_rows:
            side = min(width / columns, 2 * (height / rows - 1))
            if side > best_side:
                best, best_side = (columns, rows), side
    return best
