"""Importing words from files: what they hold is said while the path is typed, and registered when that is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tireg_tui.themes import ink
from tireg_tui.widgets.path_input import PathInput
from tiregistry.errors import TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.exchange.importing import Outcome
    from tiregistry.registry.registry import Registry

_WAIT = 0.4
_MOST_SHOWN = 40


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
        import shlex

        try:
            return [Path(part).expanduser() for part in shlex.split(self.query_one(Input).value)]
        except ValueError:
            return []

    @on(Input.Changed)
    def typed(self) -> None:
        self._look()

    @work(exclusive=True, group="import", exit_on_error=False)
    async def _look(self) -> None:
        self._useful = False
        await asyncio.sleep(_WAIT)
        paths = self._paths()
        said = self.query_one("#import-said", Static)
        if not paths or not all(path.exists() for path in paths):
            said.update(Text("nothing is there" if paths else "", style="dim"))
            return
        if any(path.resolve() in (Path(path.anchor), Path.home()) for path in paths):
            said.update(Text("go on typing: a whole disk or home is not searched", style="dim"))
            return
        said.update(Text("reading …", style="dim"))
        given_up = threading.Event()
        try:
            outcomes = await asyncio.to_thread(imported, self._registry, paths, dry_run=True, stopped=given_up.is_set)
        except asyncio.CancelledError:
            given_up.set()
            raise
        except (TiregError, OSError) as error:
            said.update(Text(safe(error, limit=400), style=ink(self.app, "error")))
            return
        self._useful = any(outcome.status == "imported" for outcome in outcomes)
        text = Text()
        for outcome in outcomes[:_MOST_SHOWN]:
            mark, what = _line(outcome)
            text.append(f"{mark} ", style=ink(self.app, {"✓": "success", "✗": "error"}.get(mark, "")))
            text.append(f"{safe(outcome.path.name, limit=60)}  ", style="dim").append(f"{safe(what, limit=300)}\n")
        if len(outcomes) > _MOST_SHOWN:
            text.append(f"and {len(outcomes) - _MOST_SHOWN} more", style="dim")
        said.update(text if outcomes else Text("no embedding is in there", style="dim"))

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Import what is listed."""
        if self._useful:
            self.dismiss(self._paths())


def imported(
    registry: Registry, paths: list[Path], *, dry_run: bool, stopped: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """Import files and folders, or only say what that would do; to be called in a thread.

    Args:
        stopped: asked after every file; True ends it there.

    Raises:
        TiregError: the registry cannot take it; what was imported so far stays.
    """
    from tiregistry.exchange.importing import ImportOptions, import_path

    options = ImportOptions(dry_run=dry_run)
    outcomes: list[Outcome] = []
    for path in paths:
        for outcome in import_path(registry, path, options):
            if stopped():
                return outcomes
            outcomes.append(outcome)
    return outcomes


def _line(outcome: Outcome) -> tuple[str, str]:
    """A sign and the words for one outcome."""
    if outcome.error is not None:
        return "✗", outcome.error.message
    if outcome.status == "imported":
        return "✓", f"{outcome.placeholder_token} → {outcome.reference}"
    if outcome.status == "already there":
        return "=", f"already here as {outcome.reference}"
    return "–", outcome.other
