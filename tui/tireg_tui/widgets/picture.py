"""A picture in a box of cells: half blocks at once, real pixels as soon as they are encoded."""

from __future__ import annotations

import asyncio
import textwrap
from itertools import count
from typing import TYPE_CHECKING, ClassVar, cast

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.geometry import Offset, Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tireg_tui.pictures.drawer import Drawn, look_of, pixel_box
from tireg_tui.pictures.pixel_layer import PixelLayer, Placement
from tireg_tui.pictures.sources import PictureSource
from tiregistry.errors import Damaged, TiregError
from tiregistry.graphics import kitty
from tiregistry.graphics.fitting import Box
from tiregistry.graphics.terminal import Terminal
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp

_DEBOUNCE = 0.08
_PLACES = count(1)


class PictureView(Widget):
    """Shows one picture, whole, as large as the widget; posts `Ready` or `Failed`.

    Args:
        source: the picture; None for none yet.
        names_itself: say what the picture is where pictures are off; not where a caption says so anyway.
    """

    # A selection would change the colours that name a picture.
    ALLOW_SELECT: ClassVar[bool] = False
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
        names_itself: bool = True,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._names_itself = names_itself
        self.set_reactive(PictureView.source, source)
        self.drawn: Drawn | None = None
        """The picture in its cells; None while nothing is shown."""
        self.shows_pixels = False
        """Whether the terminal shows pixels over the cells; the pixel layer decides."""
        self.picture_id = 0
        """What kitty knows the picture by; 0 while it does not know it."""
        self.place = next(_PLACES)
        self._encoded: tuple[Region | None, str] | None = None
        self._encoding: tuple[Region | None] | None = None
        self._message = self._short_message = ""

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
        self._prepare(0.0 if self.drawn is None else _DEBOUNCE)  # a window is dragged through many sizes

    def refit(self) -> None:
        """Fit the picture again, after the terminal's cells or its way to show pictures has changed."""
        self._prepare(0.0)

    # -- preparing, in a thread ----------------------------------------------------------------------------------

    @work(exclusive=True, group="picture", exit_on_error=False)
    async def _prepare(self, wait: float) -> None:
        """Decode, fit and draw the source; a newer request takes this one's place."""
        await asyncio.sleep(wait)  # while a cursor moves quickly, pictures on its way are not decoded
        source, size, terminal = self.source, self.content_size, self.terminal
        if source is None or terminal.protocol == "off" or not size.width or not size.height:
            is_named = source is not None and terminal.protocol == "off" and self._names_itself
            self._show(None, safe(source.caption) if source is not None and is_named else "")
            return
        try:
            drawn = await asyncio.to_thread(self._layer.drawer.draw, source, size.width, size.height, terminal)
        except Exception as error:  # noqa: BLE001 (a damaged picture must not end the app)
            reason = f"{error.message} · {error.hint}" if isinstance(error, TiregError) else repr(error)
            short = "missing or damaged · tireg verify" if isinstance(error, Damaged) else "cannot be shown"
            self._show(None, safe(f"cannot be shown: {reason}", limit=300), short)
            self.post_message(self.Failed(self, reason))
            return
        self._show(drawn, "")
        self.post_message(self.Ready(self))

    @work(exclusive=True, group="encoding", exit_on_error=False)
    async def _encode(self, part: Region | None) -> None:
        """Encode a part as sixel, or the whole for kitty."""
        drawn, cell = self.drawn, self.terminal.cell
        if drawn is not None:
            if part is None:
                sequence = await asyncio.to_thread(self._layer.drawer.for_kitty, drawn)
            else:
                sequence = await asyncio.to_thread(self._layer.drawer.sixel, drawn, part, cell)
            if drawn is self.drawn:
                self._encoded = (part, sequence)
        self._encoding = None
        self.refresh()

    def _show(self, drawn: Drawn | None, message: str, short_message: str = "") -> None:
        if self.shows_pixels:
            # The old picture goes; the layer turns the pixels on again when the new ones are ready.
            self._layer.drop(self)
            self._layer.add(self)
        self.shows_pixels = False
        self.drawn, self._message, self._short_message = drawn, message, short_message or message
        self.forget_pixels()

    def forget_pixels(self) -> None:
        """Encode or transmit again before pixels are shown."""
        self.picture_id, self._encoded, self._encoding = 0, None, None
        self.refresh()

    # -- for the pixel layer -------------------------------------------------------------------------------------

    @property
    def box(self) -> Box | None:
        """Cells and pixels of the picture; None while nothing is shown."""
        return None if self.drawn is None else self.drawn.box

    @property
    def picture_region(self) -> Region:
        """The picture's cells on the screen, centred in the widget."""
        assert self.box is not None
        return Region.from_offset(self.content_region.offset + self._offset, (self.box.columns, self.box.rows))

    @property
    def rows_below(self) -> int:
        """Rows of the widget below the picture's cells."""
        return 0 if self.box is None else max(0, self.content_size.height - self._offset.y - self.box.rows)

    @property
    def _offset(self) -> Offset:
        if self.box is None:
            return Offset(0, 0)
        size = self.content_size
        return Offset(max(0, (size.width - self.box.columns) // 2), max(0, (size.height - self.box.rows) // 2))

    def pixels_ready(self, placement: Placement) -> bool:
        """Whether the pixels of this part can be shown now; where they must be encoded first, that begins."""
        assert self.drawn is not None
        if self.drawn.look != look_of(self.terminal):
            return False  # it is being fitted again
        sixel = self.terminal.protocol == "sixel"
        if not sixel and not self.picture_id:
            self.picture_id = self._layer.id_of(self.drawn)
        if self.picture_id:
            return True
        part = placement.part if sixel else None
        if self._encoded is not None and self._encoded[0] == part:
            if not sixel:
                self.picture_id, self._encoded = self._layer.keep(self.drawn, self._encoded[1]), None
            return True
        if self._encoding != (part,):
            self._encoding = (part,)
            self._encode(part)
        return False

    def pixel_sequence(self, placement: Placement) -> str:
        """What draws the visible part at the cursor."""
        assert self.box is not None
        if self._encoded is not None and self.terminal.protocol == "sixel":
            return self._encoded[1]
        return kitty.place_direct(
            self.picture_id,
            self.place,
            placement.part.width,
            placement.part.height,
            pixel_box(placement.part, self.box, self.terminal.cell),
        )

    def _message_lines(self, width: int, height: int) -> list[str]:
        """The message as far as there is room; where there is little, in short."""
        whole = textwrap.wrap(self._message, max(1, width - 2))
        return whole if len(whole) <= height else textwrap.wrap(self._short_message, max(1, width))[:height]

    # -- cells ---------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        background = self.rich_style
        if self._message:
            lines = self._message_lines(width, self.content_size.height)
            at = y - (self.content_size.height - len(lines)) // 2
            text = lines[at] if 0 <= at < len(lines) else ""
            return Strip([Segment(text.center(width), background + Style(dim=True))]).adjust_cell_length(width)
        row, drawn = y - self._offset.y, self.drawn
        if drawn is None or not 0 <= row < drawn.box.rows:
            return Strip.blank(width, background)
        left = self._offset.x
        if self.shows_pixels and self.terminal.protocol == "kitty":
            color = Color.from_rgb(*kitty.id_color(self.picture_id))
            style = Style(color=color, bgcolor=background.bgcolor)
            cells = [Segment(kitty.placeholder_row(row, column, 1), style) for column in range(drawn.box.columns)]
            line = Strip(cells, drawn.box.columns)
        elif self.shows_pixels or row >= len(drawn.lines):
            return Strip.blank(width, background)
        else:
            line = drawn.lines[row]
        return Strip.join([Strip.blank(left, background), line]).extend_cell_length(width, background)
