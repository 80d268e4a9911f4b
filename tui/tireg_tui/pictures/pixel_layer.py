"""The layer of real pixels over the text: which pictures are on the screen now, and what the terminal must be sent.

A picture's cells show half blocks until its pixels are ready and nothing lies over them. The layer looks at every
frame that Textual draws: a sixel picture is text to a terminal and is wiped by text, so it is drawn again when its
cells were; kitty's pictures float above the text, so they are moved and hidden when the cells move or are covered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.errors import NoWidget
from textual.geometry import Region
from textual.signal import Signal

from tireg_tui.pictures.drawer import Drawer, Drawn
from tiregistry.graphics import kitty, tmux
from tiregistry.graphics.ids import new_id
from tiregistry.graphics.terminal import Terminal

if TYPE_CHECKING:
    from textual.app import App

    from tireg_tui.widgets.picture import PictureView

MAX_KEPT = 64
"""Pictures that the terminal is asked to keep at once (kitty)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture is on the screen, and which part of it is visible.

    Attributes:
        region: the visible part, in cells of the screen.
        part: the same part in cells of the whole picture.
    """

    region: Region
    part: Region


class PixelLayer:
    """All pictures of one app on one terminal."""

    def __init__(self, app: App[None], terminal: Terminal) -> None:
        self.app, self.terminal = app, terminal
        self.changed: Signal[Terminal] = Signal(app, "terminal")
        """Published when pictures are shown in another way than before."""
        self.drawer = Drawer()
        self._views: dict[PictureView, Placement | None] = {}
        self._kept: OrderedDict[tuple[object, ...], int] = OrderedDict()
        self._touched: list[tuple[int, int, int]] | Region | None = None

    def add(self, view: PictureView) -> None:
        """Watch a widget from now on."""
        self._views[view] = None

    def drop(self, view: PictureView) -> None:
        """Forget a widget that goes away, and hide its picture."""
        placement = self._views.pop(view, None)
        if placement is not None and self.terminal.protocol == "kitty-direct" and view.picture_id:
            self._write(kitty.hide(view.picture_id, view.place))

    def change_terminal(self, terminal: Terminal) -> None:
        """Show pictures in another way, or in cells of another size, also those on screens that lie behind."""
        self.terminal = terminal
        for view in self._views:
            view.refit()
        self.changed.publish(terminal)

    def frame(self, update: object) -> None:
        """Note what the frame being drawn covers."""
        spans = getattr(update, "spans", None)
        self._touched = spans if spans is not None else getattr(update, "region", None)

    def paint(self) -> None:
        """Bring the pixels in line with the frame that was just drawn."""
        if not self.terminal.has_pixels:
            return
        touched, self._touched = self._touched, None
        for view in list(self._views):
            before = self._views[view]
            now = self.placement(view)
            if now is not None and not view.pixels_ready(now):
                now = None
            self._views[view] = now
            if (now is None) == view.shows_pixels:
                self._switch(view, now)
            elif (
                now is not None and self.terminal.protocol != "kitty" and (now != before or _meets(touched, now.region))
            ):
                self._draw(view, now)

    def placement(self, view: PictureView) -> Placement | None:
        """Where the widget's picture is visible; None when it is not, or something lies over it."""
        if not view.is_attached or view.screen is not self.app.screen or view.box is None:
            return None
        picture = view.picture_region
        try:
            clip = view.screen.find_widget(view).clip
        except NoWidget:  # it has no place in the layout at the moment
            return None
        visible = picture.intersection(view.content_region).intersection(clip).intersection(view.screen.region)
        if not visible:
            return None
        if self.terminal.protocol != "kitty" and self._covered(view, visible):
            return None
        return Placement(visible, visible.translate(-picture.offset))

    def id_of(self, drawn: Drawn) -> int:
        """The id that kitty knows a picture by; 0 when it must be handed over first."""
        if drawn.key in self._kept:
            self._kept.move_to_end(drawn.key)
            return self._kept[drawn.key]
        return 0

    def keep(self, drawn: Drawn, payload: str) -> int:
        """Hand an encoded picture to kitty, and return the id it is known by from then on."""
        if number := self.id_of(drawn):
            return number
        number = new_id()
        sequences = kitty.transmit(payload, number)
        if self.terminal.protocol == "kitty":
            sequences.append(kitty.place_virtual(number, drawn.box.columns, drawn.box.rows))
        self._write("".join(map(self._wrapped, sequences)))
        self._kept[drawn.key] = number
        while len(self._kept) > MAX_KEPT:
            _, old = self._kept.popitem(last=False)
            self._write(self._wrapped(kitty.delete(old)))
            for other in self._views:
                if other.picture_id == old:
                    other.forget_pixels()
        return number

    def farewell(self) -> str:
        """What frees everything the terminal keeps for this app; empty when it keeps nothing.

        Whoever comes back, as after an editor, hands it over again.
        """
        sequences = [self._wrapped(kitty.delete(number)) for number in self._kept.values()]
        self._kept.clear()
        for view in self._views:
            view.shows_pixels = False
            view.forget_pixels()
            self._views[view] = None
        return "".join(sequences)

    def _switch(self, view: PictureView, now: Placement | None) -> None:
        """Turn a picture's pixels on or off; its cells are drawn anew, blank or as half blocks."""
        view.shows_pixels = now is not None
        if now is None and self.terminal.protocol == "kitty-direct" and view.picture_id:
            self._write(kitty.hide(view.picture_id, view.place))
        self._views[view] = None
        view.refresh()

    def _draw(self, view: PictureView, now: Placement) -> None:
        x, y = now.region.offset
        sequence = view.pixel_sequence(now)
        self._write(f"\x1b7\x1b[{y + 1};{x + 1}H{sequence}\x1b8")

    def _covered(self, view: PictureView, visible: Region) -> bool:
        """Whether anything that is drawn after the view, a toast or an open list, lies over it."""
        for other, (region, clip) in view.screen._compositor.visible_widgets.items():  # the topmost first
            if other is view:
                return False
            if region.intersection(clip).overlaps(visible):
                return True
        return False

    def _wrapped(self, sequence: str) -> str:
        return tmux.passthrough(sequence) if self.terminal.in_tmux else sequence

    def _write(self, data: str) -> None:
        driver = self.app._driver
        if driver is not None:
            driver.write(data)


def _meets(touched: list[tuple[int, int, int]] | Region | None, region: Region) -> bool:
    """Whether a frame drew any cell of `region`."""
    if touched is None:
        return False
    if isinstance(touched, Region):
        return touched.overlaps(region)
    return any(region.y <= y < region.bottom and x1 < region.right and x2 > region.x for y, x1, x2 in touched)
