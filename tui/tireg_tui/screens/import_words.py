"""Importing words from files: what they hold is said while the path is typed, and registered when that is asked."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tireg_tui.background.importing import import_words
from tireg_tui.input.path_line import paths_in
from tireg_tui.settings.themes import ink
from tireg_tui.texts.unsaid import unsay
from tireg_tui.widgets.path_input import PathInput
from tiregistry.errors import TiregError
from tiregistry.quantities import count
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.exchange.importing import Outcome, Status
    from tiregistry.registry.registry import Registry

_WAIT = 0.4
_NOTHING = "Nothing to import"
_MOST_SHOWN = 40
_STATUSES: dict[Status, str] = {
    "imported": "can be imported",
    "already there": "here already",
    "refused": "refused",
    "passed over": "passed over",
}


class ImportWords(ModalScreen[list[Path] | None]):
    """Dismissed with the paths to import, or None.

    Args:
        registry: what is there already is told apart.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="import.cancel"),
        Binding("ctrl+g,f5", "take", "Import", id="import.take", priority=True),
    ]

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry
        self._useful = False
        self._why_not = "Type the path of a file or a folder first"
        """Why nothing can be imported now."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="import"):
            yield Static("Import words from files", classes="dialog-title", markup=False)
            yield PathInput(placeholder="a file or folder: .safetensors, .bin, .pt, .png …", id="import-path")
            with VerticalScroll(id="import-list", can_focus=False):
                yield Static("", id="import-said", markup=False)
            hint = "Tab completes, Ctrl+G imports what is listed, Esc cancels. Pickles are read without being executed."
            yield Static(hint, classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def _paths(self) -> list[Path]:
        """The paths that stand in the field; none while a quote is open."""
        try:
            return paths_in(self.query_one(Input).value)
        except ValueError:
            return []

    @on(Input.Changed)
    def typed(self) -> None:
        unsay(self.app, _NOTHING)
        self._look()

    @work(exclusive=True, group="import", exit_on_error=False)
    async def _look(self) -> None:
        self._useful, self._why_not = False, "It is still being read"
        await asyncio.sleep(_WAIT)
        paths = self._paths()
        said = self.query_one("#import-said", Static)
        if not paths or not all(path.exists() for path in paths):
            self._why_not = "Nothing is there" if paths else "Type the path of a file or a folder first"
            said.update(Text("nothing is there" if paths else "", style="dim"))
            return
        if any(path.resolve() in (Path(path.anchor), Path.home()) for path in paths):
            self._why_not = "A whole disk or home is not searched"
            said.update(Text("go on typing: a whole disk or home is not searched", style="dim"))
            return

        def tell(number: int) -> None:
            said.update(Text(f"reading … {count(number, 'file')}" if number else "reading …", style="dim"))

        app = cast("TiregApp", self.app)
        tell(0)
        try:
            outcomes = await import_words(app, self._registry, paths, tell, threading.Event(), dry_run=True)
        except (TiregError, OSError) as error:
            self._why_not = safe(error, limit=400)
            said.update(Text(safe(error, limit=400), style=ink(self.app, "error")))
            return
        self._useful = any(outcome.status == "imported" for outcome in outcomes)
        self._why_not = f"None of it is new: {_counted(outcomes) or 'no embedding is in there'}"
        said.update(self._summary(outcomes, paths))

    def _summary(self, outcomes: list[Outcome], paths: list[Path]) -> Text:
        """How many of each, then what can be imported, then what is here, what is refused and what is no word."""
        if not any(outcome.status != "passed over" for outcome in outcomes):
            return Text("no embedding is in there", style="dim")
        text = Text(_counted(outcomes) + "\n", style="bold")
        order = list(_STATUSES)
        # What is said of a whole folder comes first: that there is more in it than was read.
        outcomes = sorted(
            outcomes, key=lambda one: (one.error is None or one.path not in paths, order.index(one.status))
        )
        for outcome in outcomes[:_MOST_SHOWN]:
            mark, what = _line(outcome)
            text.append(f"{mark} ", style=ink(self.app, {"✓": "success", "✗": "error"}.get(mark, "")))
            text.append(f"{safe(outcome.path.name, limit=60)}  ", style="dim").append(f"{safe(what, limit=300)}\n")
        if len(outcomes) > _MOST_SHOWN:
            text.append(f"and {len(outcomes) - _MOST_SHOWN:,} more", style="dim")
        return text

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Import what is listed, or say why nothing can be."""
        if self._useful:
            self.dismiss(self._paths())
        else:
            cast("TiregApp", self.app).say(self._why_not, title=_NOTHING)


def _counted(outcomes: list[Outcome]) -> str:
    """How many of each."""
    count = Counter(outcome.status for outcome in outcomes)
    return " · ".join(f"{count[status]:,} {what}" for status, what in _STATUSES.items() if count[status])


def _line(outcome: Outcome) -> tuple[str, str]:
    """A sign and the words for one outcome."""
    if outcome.error is not None:
        return "✗", outcome.error.message
    if outcome.status == "imported":
        return "✓", f"{outcome.placeholder_token} → {outcome.reference}"
    if outcome.status == "already there":
        return "=", f"already here as {outcome.reference}"
    return "–", outcome.other
