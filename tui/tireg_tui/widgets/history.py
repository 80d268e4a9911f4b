"""The pictures that were drawn before, newest first, each with the recipe it can be drawn with again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import work
from textual.message import Message

from tireg_tui.pictures.sources import PictureSource, from_file
from tireg_tui.texts import formatting
from tireg_tui.widgets.table import Table
from tiregistry.errors import TiregError
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.concepts import Picture

_MOST = 100
_WHEN_WIDTH = 10
"""Of the longest: a date."""


class History(Table):
    """One row for each picture."""

    class Read(Message):
        """The pictures have been read anew."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, header=False)
        self.pictures: list[tuple[Path, dict[str, Any]]] = []
        self._found: Sequence[Picture] = ()
        self._room = 0

    def on_resize(self) -> None:
        """Show as much of the prompts as fits."""
        self._fill()

    @work(exclusive=True, group="history", exit_on_error=False)
    async def read(self, registry: Registry) -> None:
        """Read the newest pictures."""
        try:
            found = await asyncio.to_thread(registry.pictures, limit=_MOST)
        except TiregError:  # the place that shows the registry says what is wrong with it
            return
        pictures = [(Path(picture.path), dict(picture.recipe)) for picture in found]
        if pictures != self.pictures:
            self.pictures, self._found = pictures, found
            self._room = 0
            self._fill()
        self.post_message(self.Read())

    def _fill(self) -> None:
        """One row for each picture, as wide as the table."""
        room = self.size.width - self.styles.scrollbar_size_vertical
        if room == self._room:
            return
        self._room = room
        seeds = [str(picture.recipe.get("seed", "")) for picture in self._found]
        seed_width = max(map(len, seeds), default=1)
        prompt_width = max(8, room - _WHEN_WIDTH - seed_width - 3 * 2 * self.cell_padding)
        row = self.cursor_row
        self.clear(columns=True)
        for name, width in (("when", _WHEN_WIDTH), ("seed", seed_width), ("prompt", prompt_width)):
            self.add_column(name, width=width)
        for picture, seed in zip(self._found, seeds, strict=True):
            self.add_row(
                Text(formatting.ago(picture.created_at), style="dim"),
                Text(seed, style="dim", justify="right"),
                Text(safe(picture.prompt, limit=300), no_wrap=True, overflow="ellipsis"),
            )
        self.move_cursor(row=max(0, min(row, len(seeds) - 1)), animate=False)

    @property
    def current(self) -> tuple[Path, dict[str, Any]] | None:
        """The picture under the cursor and its recipe."""
        return self.pictures[self.cursor_row] if 0 <= self.cursor_row < len(self.pictures) else None

    def sources(self, limit: int) -> list[PictureSource]:
        """The newest pictures whose files are still there."""
        return [source_of(path, recipe) for path, recipe in self.pictures[:limit] if path.is_file()]


def source_of(path: Path, recipe: dict[str, Any]) -> PictureSource:
    """A drawn picture, called by its prompt and seed."""
    return from_file(path, f"{recipe.get('prompt', '')} · seed {recipe.get('seed', '?')}")
