"""The line at the top: which screen this is, which others there are, where the words live."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from tireg_tui.painted_app import PaintedApp
from tireg_tui.places import PLACES
from tireg_tui.settings.themes import ink
from tireg_tui.texts import formatting
from tiregistry.text import safe

_PICTURES = "pictures: "
_FULL, _CLOSE = " {0} {1} ", "{0} {1} "
_FORMS = ((" tireg ", _FULL), ("", _FULL), ("", _CLOSE), (" tireg ", " {0} "), ("", " {0} "), ("", "{0} "))
_WARNINGS = ("read-only", "disk full")


class TopBar(Widget):
    """Names of the places with their digits; a click goes there."""

    DEFAULT_CSS = """
    TopBar { dock: top; height: 1; background: $panel; color: $text-muted; }
    """

    class Clicked(Message):
        """A place was clicked."""

        def __init__(self, place: str) -> None:
            super().__init__()
            self.place = place

    def __init__(self, here: str) -> None:
        super().__init__()
        self.here = here
        self._spans: list[tuple[int, int, str]] = []
        self.asked = range(0)
        """The cells that tell what the terminal has answered."""

    def on_mount(self) -> None:
        if isinstance(self.app, PaintedApp):
            self.app.pixels.changed.subscribe(self, lambda _: self.refresh())

    def render(self) -> Text:
        line = Text(no_wrap=True)
        self._spans, self.asked = [], range(0)
        here = ink(self.app, "block-cursor-foreground", on="block-cursor-background", bold=True)
        parts = self.status()
        warned = sum(cell_len(part) + 1 for part in parts[:1] if part in _WARNINGS)
        name, labels = self._fitting(self.size.width - warned)
        line.append(name, style=ink(self.app, "accent", bold=True))
        for place, label in zip(PLACES, labels, strict=True):
            start = line.cell_len
            line.append(label, style=here if place.id == self.here else "")
            self._spans.append((start, line.cell_len, place.id))
        room = self.size.width - line.cell_len - 2
        while parts and cell_len(" · ".join(parts)) > room:
            parts.pop()
        status = " · ".join(parts)
        line.append(" " * (room - cell_len(status) + 1) + status)
        if parts and parts[-1].startswith(_PICTURES):
            self.asked = range(line.cell_len - cell_len(parts[-1]), line.cell_len)
        return line

    @staticmethod
    def _fitting(width: int) -> tuple[str, list[str]]:
        """Our name and the places', as much of them as there is room for; where there is little, each by its digit.

        Ours gives way to theirs: it leads nowhere.
        """
        for name, form in _FORMS:
            labels = [form.format(place.digit, place.label) for place in PLACES]
            if cell_len(name) + sum(map(cell_len, labels)) <= width:
                return name, labels
        return "", [place.digit for place in PLACES]

    def status(self) -> list[str]:
        """What stands at the right end, most important first; what does not fit is left out."""
        from tireg_tui.app import TiregApp

        app = self.app
        if not isinstance(app, TiregApp) or app.registry is None:
            return []
        parts = [_WARNINGS[app.registry.is_full]] if app.registry.readonly else []
        return [*parts, safe(formatting.place(app.registry.home)), f"{_PICTURES}{app.pixels.terminal.protocol}"]

    def on_click(self, event: events.Click) -> None:
        for start, end, place in self._spans:
            if start <= event.x < end:
                self.post_message(self.Clicked(place))
