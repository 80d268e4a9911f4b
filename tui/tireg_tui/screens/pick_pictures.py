"""Picking pictures from folders: a tree on the left, on the right what is under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Static

from tireg_tui.pictures.sources import from_file
from tireg_tui.widgets.captioned import Captioned
from tiregistry.images import SUFFIXES
from tiregistry.text import safe


class PictureTree(DirectoryTree):
    """Folders and pictures, nothing else."""

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out what is hidden or no picture."""
        return [
            path
            for path in paths
            if not path.name.startswith(".") and (path.suffix.lower() in SUFFIXES or _is_folder(path))
        ]


class PickPictures(ModalScreen[list[Path] | None]):
    """Dismissed with the paths that were marked, or the one under the cursor; None when cancelled.

    Args:
        start: the folder to begin in.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="pick.cancel"),
        Binding("space", "mark", "Mark", id="pick.mark", priority=True),
        Binding("ctrl+g,f5", "take", "Take", id="pick.take", priority=True),
        Binding("backspace", "up", "Folder above", id="pick.up"),
        Binding("j", "move('cursor_down')", show=False, id="pick.down"),
        Binding("k", "move('cursor_up')", show=False, id="pick.back"),
    ]

    def __init__(self, start: Path) -> None:
        super().__init__()
        self._start = start
        self._marked: list[Path] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="pick"):
            yield Static("", id="pick-title", classes="dialog-title", markup=False)
            with Horizontal(id="pick-both"):
                yield PictureTree(self._start, id="pick-tree")
                yield Captioned(id="pick-picture")
            hint = "Space marks files or folders, Ctrl+G takes them, Backspace goes a folder up, Esc cancels"
            yield Static(hint, classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(PictureTree).focus()
        self._say()

    def _say(self) -> None:
        marked = f"{len(self._marked)} marked: {', '.join(path.name for path in self._marked[:6])}"
        where = str(self.query_one(PictureTree).path)
        self.query_one("#pick-title", Static).update(safe(marked if self._marked else where, limit=200))

    @property
    def _current(self) -> Path | None:
        node = self.query_one(PictureTree).cursor_node
        return node.data.path if node is not None and node.data is not None else None

    @on(DirectoryTree.NodeHighlighted)
    def show(self) -> None:
        path = self._current
        is_picture = path is not None and path.suffix.lower() in SUFFIXES
        source = from_file(path, path.name) if path is not None and is_picture else None
        self.query_one("#pick-picture", Captioned).show(source)

    @on(DirectoryTree.FileSelected)
    def chosen(self) -> None:
        self.action_take()

    def action_mark(self) -> None:
        """Mark what is under the cursor, or take its mark away, and go on to the next."""
        path = self._current
        if path is not None:
            if path in self._marked:
                self._marked.remove(path)
            else:
                self._marked.append(path)
            self._say()
            self.query_one(PictureTree).action_cursor_down()

    def action_take(self) -> None:
        """Take what is marked, or what is under the cursor."""
        path = self._current
        self.dismiss(self._marked or ([path] if path is not None else None))

    def action_up(self) -> None:
        """Begin again in the folder above."""
        tree = self.query_one(PictureTree)
        tree.path = Path(tree.path).resolve().parent
        self._say()

    def action_move(self, how: str) -> None:
        """Move as the arrows do."""
        tree = self.query_one(PictureTree)
        tree.action_cursor_down() if how == "cursor_down" else tree.action_cursor_up()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
