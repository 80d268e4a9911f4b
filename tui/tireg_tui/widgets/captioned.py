"""A picture with a line below it that says what it is."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tireg_tui.pictures.sources import PictureSource
from tireg_tui.widgets.picture import PictureView
from tiregistry.text import safe


class Caption(Widget):
    """One line; where it is too long its last part stays whole, which is what tells pictures of a row apart."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Caption { height: 1; color: $text-muted; text-align: center; }"

    text: reactive[str] = reactive("")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.set_reactive(Caption.text, text)

    def render(self) -> Content:
        return Content(shortened(self.text, self.content_size.width))


def shortened(text: str, width: int) -> str:
    """A caption in so many cells; `a photo of <gno… · seed 7` rather than without the seed."""
    if cell_len(text) <= width:
        return text
    head, dot, tail = text.rpartition(" · ")
    room = width - cell_len(dot + tail) - 1
    if not head or room < width // 3:
        head, dot, tail, room = text, "", "", width - 1
    return set_cell_size(head, max(0, room)).rstrip() + "…" + dot + tail


class Captioned(Vertical):
    """Picture and caption, as one block."""

    DEFAULT_CSS = "Captioned { height: auto; }"

    def __init__(
        self,
        source: PictureSource | None = None,
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._first = source

    def compose(self) -> ComposeResult:
        yield PictureView(self._first, names_itself=False)
        yield Caption(self._caption(self._first))

    @property
    def view(self) -> PictureView:
        """The picture."""
        return self.query_one(PictureView)

    def show(self, source: PictureSource | None) -> None:
        """Show another picture, or none."""
        self.view.source = source
        self.query_one(Caption).text = self._caption(source)

    def on_resize(self) -> None:
        """Until the picture is fitted anew the caption must not lie over it."""
        self._lift(0)

    @on(PictureView.Failed)
    def caption_below_message(self) -> None:
        self._lift(0)

    @on(PictureView.Ready)
    def caption_below_picture(self) -> None:
        """A picture that is wider than its box is tall leaves room below; the caption belongs to the picture."""
        self._lift(self.view.rows_below)

    def _lift(self, rows: int) -> None:
        self.query_one(Caption).styles.offset = (0, -rows)

    @staticmethod
    def _caption(source: PictureSource | None) -> str:
        return safe(source.caption, limit=300) if source else ""
