"""The queue: everything that is at work or waits, whoever started it; moved, held, cancelled, taken up again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import ScreenResume
from textual.widgets import DataTable, Static

from tireg_tui.background.jobs import Job
from tireg_tui.background.run_watcher import log_tail
from tireg_tui.messages import JobsChanged, RegistryChanged
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.place import Place
from tireg_tui.screens.stop_run import Answer, ask_how
from tireg_tui.settings.themes import ink
from tireg_tui.texts import formatting
from tireg_tui.texts.queue_rows import GLYPHS, Row, State, read, rows
from tireg_tui.widgets.fields import Fields
from tireg_tui.widgets.fitting_table import Column, FittingTable
from tiregistry.errors import TiregError
from tiregistry.quantities import duration
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.concepts import Run
    from tiregistry.runs.ordering import Where

_EMPTY = "Nothing is under way and nothing waits.\n\nn        starts a training\n4        searches the Hub"
_COLORS: dict[State, str] = {
    "at work": "accent",
    "in vain": "warning",
    "failed": "error",
    "dead": "error",
    "done": "success",
}


class QueueTable(FittingTable):
    """The lines of the queue."""

    COLUMNS = (
        Column("place", "", 3),
        Column("state", "State"),
        Column("what", "What", shortened=True),
        Column("steps", "Steps", 2),
        Column("when", "When", 4),
    )


class Queue(Place):
    """One table of trainings and of this window's own jobs, with the story of the one under the cursor."""

    HERE = "queue"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "hold", "Hold/release", id="queue.hold"),
        Binding("K", "move('up')", "Up", id="queue.up", tooltip="Move up in the queue"),
        Binding("J", "move('down')", "Down", id="queue.down", tooltip="Move down in the queue"),
        Binding("F", "move('first')", "First", show=False, id="queue.first", tooltip="Move to the front of the queue"),
        Binding("r", "again", "Resume", id="queue.again", tooltip="Resume or try again"),
        Binding("X", "cancel", "Cancel", id="queue.cancel"),
        Binding(
            "D,delete",
            "forget",
            "Take off",
            key_display="D",
            show=False,
            id="queue.forget",
            tooltip="Take off the list",
        ),
        Binding("escape", "app.go('library')", "Library", show=False, id="queue.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []

    def body(self) -> ComposeResult:
        with Horizontal(id="queue"):
            with Vertical(id="queue-list"):
                yield QueueTable(id="queue-table")
                yield Static(_EMPTY, id="queue-empty", markup=False)
            with VerticalScroll(id="queue-detail", can_focus=False):
                yield Static("", id="queue-title", markup=False)
                yield Fields(id="queue-facts")
                yield Static("", id="queue-log", markup=False)

    @property
    def table(self) -> QueueTable:
        """The lines."""
        return self.query_one("#queue-table", QueueTable)

    @property
    def current(self) -> Row | None:
        """The line under the cursor."""
        row = self.table.cursor_row
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def on_mount(self) -> None:
        self.table.focus()
        self._load()

    # -- showing -------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    @on(JobsChanged)
    @on(ScreenResume)  # this window's jobs may have changed while another place was shown
    def look_again(self) -> None:
        self._load()

    @work(exclusive=True, group="queue", exit_on_error=False)
    async def _load(self, follow: str = "") -> None:
        try:
            trainings = await asyncio.to_thread(read, self.registry)
        except TiregError as error:
            self.tireg.report(error)
            return
        before = self.current
        wanted = follow or (before.key if before else "")
        self._rows = rows(trainings, self.tireg.jobs.all)
        table = self.table
        table.show({row.key: self._cells(row) for row in self._rows}, wanted)
        self.query_one("#queue-empty").display = not self._rows
        table.display = bool(self._rows)
        self._show()

    def _cells(self, row: Row) -> dict[str, Text]:
        color = ink(self.app, _COLORS.get(row.state, ""))
        return {
            "place": Text(str(row.place) if row.place else "", style="dim", justify="right"),
            "state": Text(f"{GLYPHS[row.state]} {row.state}", style=color),
            "what": Text(row.what),
            "steps": Text(row.progress, style="dim"),
            "when": Text(row.when, style="dim"),
        }

    @on(DataTable.RowHighlighted, "#queue-table")
    def _show(self) -> None:
        row = self.current
        title, log = "", ""
        facts: dict[str, object] = {}
        if row is not None and row.job is not None:
            job = row.job
            title = job.what
            took = (job.ended_at or job.started_at) - job.started_at
            facts = {"state": job.state, "now": job.detail, "took": duration(took) if job.ended_at else ""}
            log = "" if job.is_over else "It ends with this window."
        elif row is not None and row.run is not None:
            title, facts = row.what, _facts(row.run, row)
            self._read_log(row.run.id)
        self.query_one("#queue-title", Static).update(safe(title))
        self.query_one("#queue-facts", Fields).show(facts)
        if row is None or row.run is None:
            self.query_one("#queue-log", Static).update(log)

    @work(exclusive=True, group="queue-log", exit_on_error=False)
    async def _read_log(self, run_id: str) -> None:
        lines = await asyncio.to_thread(log_tail, self.registry.home, run_id)
        row = self.current
        if row is not None and row.run is not None and row.run.id == run_id:
            self.query_one("#queue-log", Static).update("\n".join(lines))

    # -- keys ----------------------------------------------------------------------------------------------------

    @on(DataTable.RowSelected, "#queue-table")
    def open_row(self) -> None:
        row = self.current
        if row is not None and row.run is not None:
            self.tireg.show_run(row.run.id)

    def action_move(self, where: Where) -> None:
        """Move what waits; the cursor goes with it."""
        from tiregistry.runs.ordering import move

        if self.tireg.refuses_changes():
            return
        row, registry = self.current, self.registry
        if row is None or row.run is None or not row.place:
            self.tireg.say("Only a training that waits can be moved")
            return
        run: Run = row.run

        def moved(_: object) -> None:
            self._load(follow=run.id)

        self.tireg.change(lambda: move(registry, run, where), moved)

    def action_hold(self) -> None:
        """Hold a training that waits, or let it go on."""
        from tiregistry.runs.control import start
        from tiregistry.runs.ordering import hold, release

        if self.tireg.refuses_changes():
            return
        row, registry = self.current, self.registry
        if row is None or row.run is None or not row.place:
            self.tireg.say("Only a training that waits can be held")
            return
        run = row.run

        def act() -> None:
            if run.held:
                start(registry, list(release(registry, run)))
            else:
                hold(registry, run)

        self.tireg.change(act)

    def action_again(self) -> None:
        """Take a training up at its checkpoint, or do a job of this window again."""
        row = self.current
        if row is None:
            return
        if row.job is not None:
            self._do_again(row.job)
            return
        run = row.run
        assert run is not None
        if row.state not in ("interrupted", "dead", "failed", "in vain"):
            self.tireg.say("Only a training that broke off, or waits in vain, can be taken up")
            return
        self.tireg.resume(run)

    def _do_again(self, job: Job) -> None:
        """Do a job again, after asking: it may be one that others see."""
        again = job.again
        if not job.is_over or again is None:
            self.tireg.say("There is nothing to do again")
            return

        def answered(yes: bool | None) -> None:
            if yes and again is not None:
                again()

        self.app.push_screen(
            Confirm(f"Again: {job.what}?", "What is there already is not sent twice.", "Again"), answered
        )

    def action_cancel(self) -> None:
        """Cancel what is at work or waits, after asking."""
        row, registry = self.current, self.registry
        if row is None or row.state not in ("at work", "waits", "in vain", "held"):
            self.tireg.say("Only what is at work or waits can be cancelled")
            return
        job, run = row.job, row.run
        if job is not None:

            def answered(yes: bool | None) -> None:
                if yes:
                    job.cancel()

            text = "What it has done so far stays; it can be done again."
            self.app.push_screen(Confirm(f"Stop: {job.what}?", text, "Stop it", "Go on"), answered)
            return
        assert run is not None
        if self.tireg.refuses_changes():
            return

        def stopped(answer: Answer | None) -> None:
            from tiregistry.runs.control import cancel

            if answer is not None:
                self.tireg.change(lambda: cancel(registry, run, keep=answer == "keep"))

        ask_how(self.tireg, run, stopped)

    def action_forget(self) -> None:
        """Take a job of this window that is over off the list."""
        row = self.current
        if row is not None and row.job is not None and row.job.is_over:
            self.tireg.jobs.forget(row.job)
            self._load()
        elif row is not None and row.run is not None:
            self.tireg.say("Trainings are forgotten in 2 Runs, with their checkpoints")


def _facts(run: Run, row: Row) -> dict[str, object]:
    training = run.config.get("training", {})
    return {
        "state": f"{row.state}{f', place {row.place}' if row.place else ''}",
        "base model": run.config.get("base", {}).get("name", ""),
        "recipe": training.get("recipe", ""),
        "device": run.device or "the best one there is",
        "why": run.message,
        "asked for": formatting.ago(run.created_at),
        "run": run.id,
    }
