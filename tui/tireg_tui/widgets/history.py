"""The pictures that were drawn before, newest first, each with the recipe it can be drawn with again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import work
from textual.message import Message

from tireg_tui import shown
from tireg_tui.sources import PictureSource, from_file
from tireg_tui.widgets.table import Table
from tiregistry.errors import TiregError
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

_MOST = 100


class History(Table):
    """One row for each picture."""

    class Read(Message):
        """The pictures have been read anew."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, header=False)
        self.pictures: list[tuple[Path, dict[str, Any]]] = []

    def on_mount(self) -> None:
        self.add_columns("when", "seed", "prompt")

    @work(exclusive=True, group="history", exit_on_error=False)
    async def read(self, registry: Registry) -> None:
        """Read the newest pictures."""
        try:
            found = await asyncio.to_thread(registry.pictures, limit=_MOST)
        except TiregError:  # the place that shows the registry says what is wrong with it
            return
        pictures = [(Path(picture.path), dict(picture.recipe)) for picture in found]
        if pictures != self.pictures:
            self.pictures = pictures
            row = self.cursor_row
            self.clear()
            for picture in found:
                self.add_row(
                    Text(shown.ago(picture.created_at), style="dim"),
                    Text(str(picture.recipe.get("seed", "")), style="dim", justify="right"),
                    Text(safe(picture.prompt, limit=300), no_wrap=True, overflow="ellipsis"),
                )
            self.move_cursor(row=max(0, min(row, len(found) - 1)), animate=False)
        self.post_message(self.Read())

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
