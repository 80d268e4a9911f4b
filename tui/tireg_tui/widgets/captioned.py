"""A picture with a line below it that says what it is."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tireg_tui.sources import PictureSource
from tireg_tui.widgets.picture import PictureView
from tiregistry.text import safe


class Captioned(Vertical):
    """Picture and caption, as one block."""

    DEFAULT_CSS = """
    Captioned { height: auto; }
    Captioned > Static {
        height: 1; color: $text-muted; text-align: center; text-overflow: ellipsis; text-wrap: nowrap;
    }
    """

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
        yield Static(self._caption(self._first), markup=False)

    @property
    def view(self) -> PictureView:
        """The picture."""
        return self.query_one(PictureView)

    def show(self, source: PictureSource | None) -> None:
        """Show another picture, or none."""
        self.view.source = source
        self.query_one(Static).update(self._caption(source))

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
        self.query_one(Static).styles.offset = (0, -rows)

    @staticmethod
    def _caption(source: PictureSource | None) -> str:
        return safe(source.caption, limit=300) if source else ""
