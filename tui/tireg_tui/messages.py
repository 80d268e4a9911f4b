"""Messages that travel between widgets, screens and the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tireg_tui.registry.watch import RegistryWatch


class WatchTold(Message):
    """There is something new to be seen in the attributes of what watches the registry."""

    def __init__(self, watch: RegistryWatch) -> None:
        super().__init__()
        self.watch = watch


class RegistryChanged(Message):
    """This or another process has changed the registry."""


class JobsChanged(Message):
    """A job of this window has begun, gone on or ended."""


class TerminalSaid(Message):
    """The terminal has answered something, by now unasked."""

    def __init__(self, reply: str) -> None:
        super().__init__()
        self.reply = reply


class ConceptChosen(Message):
    """A concept was opened (Enter, or a double click)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class ConceptHighlighted(Message):
    """The cursor stands on a concept; an empty name means on none."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
