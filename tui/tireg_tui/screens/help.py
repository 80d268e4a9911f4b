"""Help: every key that works on the screen below, found by typing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

_PANE, _SCREEN, _EVERYWHERE = "the focused pane", "this screen", "everywhere"
_USUAL = "moving and writing"
_ORDER = (_PANE, _SCREEN, _EVERYWHERE, _USUAL)


@dataclass
class _Key:
    """An act with its keys."""

    where: str
    keys: list[str]
    act: str
    is_ours: bool = False
    """It has an id; those of fields, lists and tables, which are as in any program, have none."""


class Help(ModalScreen[None]):
    """Keys and what they do, those of the focused pane first.

    Args:
        below: the screen that help is asked about.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1", "dismiss", "Close", id="help.close"),
        Binding("up", "scroll(-1)", show=False, id="help.up"),
        Binding("down", "scroll(1)", show=False, id="help.down"),
        Binding("pageup", "page(-1)", show=False, id="help.page_up"),
        Binding("pagedown", "page(1)", show=False, id="help.page_down"),
    ]

    def __init__(self, below: Screen[object]) -> None:
        super().__init__()
        self._keys = _keys_of(below)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="help"):
            yield Input(placeholder="type to search the keys", id="help-search", compact=True)
            with VerticalScroll(id="help-list", can_focus=False):
                yield Static(id="help-keys", markup=False)
            yield Static("Every act is also a command: tireg --help", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.search("")

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        self.search(event.value)

    def search(self, words: str) -> None:
        """Show the keys whose name, act or place contain every word."""
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", overflow="fold", max_width=max(5, (self.app.size.width - 8) // 3))
        table.add_column()
        place = None
        for where, key, act in self._keys:
            if not all(word in f"{where} {key} {act}".lower() for word in words.lower().split()):
                continue
            if where != place:
                place = where
                table.add_row("", Text(where, style="dim"))
            table.add_row(Text(key, style="bold"), Text(act))
        self.query_one("#help-keys", Static).update(table)

    def action_page(self, pages: int) -> None:
        """Scroll the list by what is seen of it, but for one line."""
        self.action_scroll(pages * max(1, self.query_one("#help-list").size.height - 1))

    def action_scroll(self, lines: int) -> None:
        """Scroll the list while the search keeps the cursor."""
        self.query_one("#help-list").scroll_relative(y=lines, animate=False)


def _keys_of(screen: Screen[object]) -> list[tuple[str, str, str]]:
    """Place, key and act of every binding that works now, the most special place first; the usual ones come last."""
    found: dict[tuple[str, str], _Key] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description and not binding.tooltip:
            continue
        where = _EVERYWHERE if active.node is screen.app else _SCREEN if active.node is screen else _PANE
        key = screen.app.get_key_display(binding)
        known = found.setdefault((where, binding.action), _Key(where, [], binding.tooltip or binding.description))
        known.is_ours |= binding.id is not None
        if key not in known.keys:
            known.keys.append(key)
    places = [known.where if known.is_ours else _USUAL for known in found.values()]
    rows = sorted(zip(places, found.values(), strict=True), key=lambda row: _ORDER.index(row[0]))
    return [(where, " ".join(known.keys), known.act) for where, known in rows]
