"""A picture in a box of cells: half blocks at once, real pixels as soon as they are encoded."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.geometry import Offset, Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tireg_tui.pixels import PixelLayer, Placement
from tireg_tui.sources import PictureSource
from tiregistry.errors import TiregError
from tiregistry.graphics import kitty
from tiregistry.graphics.fitting import Box, fit, scaled
from tiregistry.graphics.terminal import Terminal
from tiregistry.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image

    from tireg_tui.app import TiregApp

_DEBOUNCE = 0.08


class PictureView(Widget):
    """Shows one picture, whole, as large as the widget; posts `Ready` or `Failed`."""

    DEFAULT_CSS = "PictureView { width: 1fr; height: 1fr; min-height: 2; }"

    source: reactive[PictureSource | None] = reactive[PictureSource | None](None)

    class Ready(Message):
        """The picture is on the screen, at least as half blocks."""

        def __init__(self, view: PictureView) -> None:
            super().__init__()
            self.view = view

    class Failed(Message):
        """The picture cannot be shown."""

        def __init__(self, view: PictureView, reason: str) -> None:
            super().__init__()
            self.view, self.reason = view, reason

    def __init__(
        self,
        source: PictureSource | None = None,
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(PictureView.source, source)
        self.box: Box | None = None
        """Cells and pixels of the picture; None while nothing is shown."""
        self.shows_pixels = False
        """Whether the terminal shows pixels over the cells; the pixel layer decides."""
        self.picture_id = 0
        self._image: Image | None = None
        self._encoded: tuple[Region, str] | None = None
        self._encoding: Region | None = None
        self._lines: list[Strip] = []
        self._message = ""

    @property
    def _layer(self) -> PixelLayer:
        return cast("TiregApp", self.app).pixels

    @property
    def terminal(self) -> Terminal:
        """The terminal that pictures are fitted to."""
        return self._layer.terminal

    def on_mount(self) -> None:
        self._layer.add(self)

    def on_unmount(self) -> None:
        self._layer.drop(self)

    def watch_source(self, before: PictureSource | None, now: PictureSource | None) -> None:
        if self.is_mounted and (before is None or now is None or before.key != now.key):
            self._prepare(0.0 if before is None else _DEBOUNCE)

    def on_resize(self) -> None:
        self._prepare(0.0)

    def refit(self) -> None:
        """Fit the picture again, after the size of the terminal's cells has changed."""
        self._prepare(0.0)

    # -- preparing, in a thread ----------------------------------------------------------------------------------

    @work(exclusive=True, group="picture", exit_on_error=False)
    async def _prepare(self, wait: float) -> None:
        """Decode, fit and draw the source; a newer request takes this one's place."""
        await asyncio.sleep(wait)  # while a cursor moves quickly, pictures on its way are not decoded
        source, size, terminal = self.source, self.content_size, self.terminal
        if source is None or terminal.protocol == "off" or not size.width or not size.height:
            self._show(None, None, [], safe(source.caption) if source and terminal.protocol == "off" else "")
            return
        try:
            image, box, lines = await asyncio.to_thread(_drawn, source, size.width, size.height, terminal)
        except Exception as error:  # a damaged picture must not end the app
            reason = error.message if isinstance(error, TiregError) else f"{type(error).__name__}: {error}"
            self._show(None, None, [], safe(f"cannot be shown: {reason}", limit=300))
            self.post_message(self.Failed(self, reason))
            return
        self._show(image, box, lines, "")
        self.post_message(self.Ready(self))

    @work(exclusive=True, group="encoding", exit_on_error=False)
    async def _encode(self, part: Region) -> None:
        image, box, cell = self._image, self.box, self.terminal.cell
        if image is not None and box is not None:
            sequence = await asyncio.to_thread(_sixel_part, image, box, part, cell)
            if image is self._image:
                self._encoded = (part, sequence)
        self._encoding = None
        self.refresh()

    def _show(self, image: Image | None, box: Box | None, lines: list[Strip], message: str) -> None:
        if self.shows_pixels:
            # The old picture goes; the layer turns the pixels on again when the new ones are ready.
            self._layer.drop(self)
            self._layer.add(self)
        self.shows_pixels = False
        self._image, self.box, self._lines, self._message = image, box, lines, message
        self.forget_pixels()

    def forget_pixels(self) -> None:
        """Encode or transmit again before pixels are shown."""
        self.picture_id, self._encoded, self._encoding = 0, None, None
        self.refresh()

    # -- for the pixel layer -------------------------------------------------------------------------------------

    @property
    def can_show_pixels(self) -> bool:
        """Whether there is a picture."""
        return self._image is not None and self.box is not None

    @property
    def picture_region(self) -> Region:
        """The picture's cells on the screen, centred in the widget."""
        assert self.box is not None
        return Region.from_offset(self.content_region.offset + self._offset, (self.box.columns, self.box.rows))

    @property
    def _offset(self) -> Offset:
        if self.box is None:
            return Offset(0, 0)
        size = self.content_size
        return Offset(max(0, (size.width - self.box.columns) // 2), max(0, (size.height - self.box.rows) // 2))

    def pixels_ready(self, placement: Placement) -> bool:
        """Whether the pixels of this part can be shown now; where they must be encoded first, that begins."""
        assert self._image is not None
        assert self.box is not None
        if self.terminal.protocol != "sixel":
            if not self.picture_id:
                self.picture_id = self._layer.keep(self, self._image, self.box.columns, self.box.rows)
            return True
        if self._encoded is not None and self._encoded[0] == placement.part:
            return True
        if self._encoding != placement.part:
            self._encoding = placement.part
            self._encode(placement.part)
        return False

    def pixel_sequence(self, placement: Placement) -> str:
        """What draws the visible part at the cursor."""
        assert self.box is not None
        if self._encoded is not None and self.terminal.protocol == "sixel":
            return self._encoded[1]
        return kitty.place_direct(
            self.picture_id,
            placement.part.width,
            placement.part.height,
            _pixel_box(placement.part, self.box, self.terminal.cell),
        )

    # -- cells ---------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        background = self.rich_style
        if self._message and y == self.content_size.height // 2:
            text = self._message[:width]
            return Strip([Segment(text.center(width), background + Style(dim=True))]).adjust_cell_length(width)
        row = y - self._offset.y
        if self.box is None or not 0 <= row < self.box.rows or (not self._lines and not self.shows_pixels):
            return Strip.blank(width, background)
        left = self._offset.x
        if self.shows_pixels and self.terminal.protocol == "kitty":
            color = Color.from_rgb(*kitty.id_color(self.picture_id))
            style = Style(color=color, bgcolor=background.bgcolor)
            cells = [Segment(kitty.placeholder_row(row, column, 1), style) for column in range(self.box.columns)]
            line = Strip(cells, self.box.columns)
        elif self.shows_pixels or row >= len(self._lines):
            return Strip.blank(width, background)
        else:
            line = self._lines[row]
        return Strip.join([Strip.blank(left, background), line]).extend_cell_length(width, background)


def _drawn(source: PictureSource, columns: int, rows: int, terminal: Terminal) -> tuple[Image, Box, list[Strip]]:
    """Decode a source and draw it as text; the image returned has the pixels of the box."""
    original = source.load()
    if terminal.protocol == "kitty":
        columns, rows = min(columns, kitty.MAX_CELLS), min(rows, kitty.MAX_CELLS)
    box = fit(original.size, columns, rows, terminal.cell)
    if terminal.protocol == "sixel" and box.height > 6:
        # Whole bands of six, so that nothing reaches below the box: at the screen's end that would scroll it.
        box = Box(box.columns, box.rows, box.width, box.height // 6 * 6)
    image = scaled(original, box)
    return image, box, _text_lines(image, box, terminal)


def _text_lines(image: Image, box: Box, terminal: Terminal) -> list[Strip]:
    from PIL import Image as Pillow

    if terminal.protocol == "ascii" or terminal.colors == "none":
        from tiregistry.graphics.halfblocks import halfblocks

        return [Strip([Segment(line)]) for line in halfblocks(image, box.columns, box.rows, "none")]
    small = image.resize((box.columns, 2 * box.rows), Pillow.Resampling.BOX)
    data, stride = small.tobytes(), 3 * box.columns
    lines = []
    for row in range(box.rows):
        upper = 2 * row * stride
        segments = []
        for x in range(upper, upper + stride, 3):
            segments.append(Segment("▀", _cell_style(data[x : x + 3], data[x + stride : x + stride + 3])))
        lines.append(Strip(segments, box.columns).simplify())
    return lines


@lru_cache(maxsize=8192)
def _cell_style(upper: bytes, lower: bytes) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def _pixel_box(part: Region, box: Box, cell: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels of some cells of a picture."""
    left, top = part.x * cell[0], part.y * cell[1]
    return (
        left,
        top,
        max(1, min(box.width - left, part.width * cell[0])),
        max(1, min(box.height - top, part.height * cell[1])),
    )


def _sixel_part(image: Image, box: Box, part: Region, cell: tuple[int, int]) -> str:
    from tiregistry.graphics.sixel import sixel

    left, top, width, height = _pixel_box(part, box, cell)
    if (width, height) != image.size:
        image = image.crop((left, top, left + width, top + max(1, height // 6 * 6 if height > 6 else height)))
    return sixel(image)
