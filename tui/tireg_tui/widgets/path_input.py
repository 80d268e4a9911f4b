"""A field for paths: what is half typed is proposed, and Tab takes it, as in a shell."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from tireg_tui.input.path_suggester import PathSuggester, completed, is_there


class PathInput(Input):
    """One line of paths.

    Args:
        value: what stands there at first.
        placeholder: what may be typed.
        id: as of any widget.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", show=False, id="path.complete")]

    def __init__(self, value: str = "", *, placeholder: str = "", id: str) -> None:  # noqa: A002
        super().__init__(
            value, placeholder=placeholder, suggester=PathSuggester(), id=id, compact=True, select_on_focus=False
        )

    def take_completion(self) -> bool:
        """Complete the last path; False where it is whole already, or nothing goes on like it."""
        if self.cursor_position < len(self.value) or is_there(self.value):
            return False
        whole = completed(self.value)
        if whole is None:
            return False
        self.value = whole
        self.cursor_position = len(whole)
        return True

    def action_complete(self) -> None:
        """Complete the path, or go to the next field."""
        if not self.take_completion():
            self.screen.focus_next()
