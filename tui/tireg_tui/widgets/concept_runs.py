"""The trainings of one word, newest first; Enter goes to one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.text import Text
from textual import work
from textual.message import Message
from textual.widgets import DataTable

from tireg_tui.texts import formatting
from tireg_tui.widgets.table import Table
from tiregistry.errors import TiregError
from tiregistry.quantities import duration
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredRun
    from tiregistry.registry.registry import Registry
    from tiregistry.runs.liveness import Standing

_MOST = 100


class ConceptRuns(Table):
    """One row for each training."""

    class Chosen(Message):
        """One was chosen with Enter."""

        def __init__(self, run_id: str) -> None:
            super().__init__()
            self.run_id = run_id

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._ids: list[str] = []

    def on_mount(self) -> None:
        for label in ("Run", "Steps", "Loss", "Recipe", "Took", "When"):
            self.add_column(label, key=label)

    @work(exclusive=True, group="concept-runs", exit_on_error=False)
    async def read(self, registry: Registry, concept: str) -> None:
        """Read the trainings of a word."""
        try:
            runs, standings = await asyncio.to_thread(_read, registry, concept)
        except TiregError:  # the screen around it says what is wrong
            return
        self.clear()
        self._ids = [run.id for run in runs]
        for run in runs:
            self.add_row(*_cells(run, standings[run.id]), key=run.id)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Tell which one was chosen."""
        event.stop()
        if 0 <= event.cursor_row < len(self._ids):
            self.post_message(self.Chosen(self._ids[event.cursor_row]))


def _read(registry: Registry, concept: str) -> tuple[list[RegisteredRun], dict[str, Standing]]:
    from tiregistry.runs.liveness import standings_of

    runs = registry.runs(concept=concept, limit=_MOST)
    return runs, standings_of(registry, runs)


def _cells(run: RegisteredRun, standing: Standing) -> list[Text]:
    took = duration(run.finished_at - run.started_at) if run.started_at and run.finished_at else ""
    return [
        Text(formatting.standing(standing)),
        Text(f"{run.step}/{run.max_steps}" if run.max_steps else str(run.step), style="dim"),
        Text("" if run.loss is None else f"{run.loss:.4f}", style="dim"),
        Text(safe(run.config.get("training", {}).get("recipe", ""), limit=20), style="dim"),
        Text(took, style="dim"),
        Text(formatting.ago(run.finished_at or run.created_at), style="dim"),
    ]
