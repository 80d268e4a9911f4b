"""The line at the bottom: the keys that work now, as one widget.

Textual's own footer makes a widget for each key, and makes them all anew whenever the focus moves; that takes longer
than drawing the rest of a screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.keys import KEY_NAME_REPLACEMENTS, key_to_character
from textual.screen import Screen
from textual.widget import Widget

_ALWAYS = "help"
"""The action whose key stays where there is no room for all: it leads to the others."""
_UNICODE_NAMES = {ours: unicode for unicode, ours in KEY_NAME_REPLACEMENTS.items()}


@dataclass(frozen=True, slots=True)
class Shown:
    """A key on the line."""

    key: str
    display: str
    description: str
    action: str
    enabled: bool
    tooltip: str

    @property
    def width(self) -> int:
        """Cells it takes."""
        return Text(self.display).cell_len + Text(self.description).cell_len + 3


def _is_typed(key: str) -> bool:
    """Whether a field takes the key as a letter, so that it does nothing else."""
    return (key_to_character(_UNICODE_NAMES.get(key, key)) or "\n").isprintable()


class KeyLine(Widget):
    """Keys with what they do; a click is the key."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key", "key-line--description"}
    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $footer-background; color: $footer-foreground; }
    KeyLine > .key-line--key {
        color: $footer-key-foreground; background: $footer-key-background; text-style: bold;
    }
    KeyLine > .key-line--description {
        color: $footer-description-foreground; background: $footer-description-background;
    }
    """
    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[Shown] = []
        self._spans: list[tuple[int, int, Shown]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        """Show the keys of what has the focus now."""
        if screen is not self.screen or not self.is_attached:
            return
        found: dict[str, Shown] = {}
        focused = screen.focused
        typing = focused is not None and focused.check_consume_key("x", "x")
        for _, binding, enabled, tooltip in screen.active_bindings.values():
            if binding.show and binding.action not in found and not (typing and _is_typed(binding.key)):
                # The key by which a binding is called may be the very one that is typed now.
                display = self.app.get_key_display(replace(binding, key_display=None) if typing else binding)
                found[binding.action] = Shown(
                    binding.key, display, binding.description, binding.action, enabled, tooltip
                )
        if list(found.values()) != self._keys:
            self._keys = list(found.values())
            self.refresh()

    def render(self) -> Text:
        line, self._spans = Text(no_wrap=True, end=""), []
        style = self.get_component_rich_style("key-line--key")
        description = self.get_component_rich_style("key-line--description")
        for key in self._fitting(self.size.width):
            start = line.cell_len
            line.append(f" {key.display} ", style=style)
            line.append(f"{key.description} ", style=description)
            if not key.enabled:
                line.stylize("dim", start)
            self._spans.append((start, line.cell_len, key))
        return line

    def _fitting(self, width: int) -> list[Shown]:
        """As many keys as there is room for, the one for help among them."""
        left = width - sum(key.width for key in self._keys if key.action.endswith(_ALWAYS))
        fitting = []
        for key in self._keys:
            if key.action.endswith(_ALWAYS):
                fitting.append(key)
            elif key.width <= left:
                fitting.append(key)
                left -= key.width
            else:
                left = 0
        return fitting

    def _at(self, x: int) -> Shown | None:
        return next((key for start, end, key in self._spans if start <= x < end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        key = self._at(event.x)
        self.tooltip = key.tooltip or None if key else None

    def on_click(self, event: events.Click) -> None:
        key = self._at(event.x)
        if key is not None and key.enabled:
            self.app.simulate_key(key.key)
