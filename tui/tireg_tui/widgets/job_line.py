"""One line above the footer: what is under way, wherever one is. Not there while nothing is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from tireg_tui.background.announcer import UnderWay
from tireg_tui.settings.themes import ink
from tireg_tui.texts import formatting

_BAR = 14


class JobLine(Widget):
    """Name, bar and percentage of everything under way, as far as there is room; a click goes to the queue."""

    DEFAULT_CSS = """
    JobLine { dock: bottom; height: 1; background: $panel; color: $text-muted; margin-bottom: 1; display: none; }
    JobLine.-busy { display: block; }
    """

    class Clicked(Message):
        """The line was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way: tuple[UnderWay, ...] = ()
        self._waiting = self._held = 0

    def show(self, under_way: Sequence[UnderWay], waiting: int, held: int) -> None:
        """Show these; nothing hides the line."""
        self._under_way, self._waiting, self._held = tuple(under_way), waiting, held
        self.set_class(bool(under_way) or waiting > 0 or held > 0, "-busy")
        self.refresh()

    def render(self) -> Text:
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        rest = len(self._under_way)
        for entry in self._under_way:
            part = Text.assemble(("● ", ink(self.app, "accent")), entry.text)
            if entry.total:
                percent = min(100, 100 * entry.done // entry.total)
                part.append(f" {formatting.bar(entry.done, entry.total, _BAR)} ", style=ink(self.app, "primary"))
                part.append(f"{percent} %")
            if line.cell_len > 1 and line.cell_len + part.cell_len + 14 > self.size.width:
                break
            line.append_text(part).append("   ")
            rest -= 1
        if rest > 0:
            line.append(f"+{rest}   ")
        for number, what in ((self._waiting, "waiting"), (self._held, "held")):
            text = f"{number} {what}   "
            if number and line.cell_len + cell_len(text.rstrip()) <= self.size.width:
                line.append(text)
        return line

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Clicked())
