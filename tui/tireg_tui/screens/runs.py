"""The runs: the queue and the past on the left, on the right the one under the cursor as it goes on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Static

from tireg_tui.background.run_watcher import Watcher, log_tail
from tireg_tui.messages import RegistryChanged
from tireg_tui.screens.confirm import Confirm
from tireg_tui.screens.place import Place
from tireg_tui.screens.stop_run import Answer, ask_how
from tireg_tui.settings.themes import ink
from tireg_tui.texts import formatting
from tireg_tui.widgets.fitting_table import Column, FittingTable
from tireg_tui.widgets.loss_chart import LossChart
from tireg_tui.widgets.picture_strip import PictureStrip
from tiregistry.errors import NotFound, TiregError
from tiregistry.quantities import duration
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredRun
    from tiregistry.registry.registry import Registry
    from tiregistry.runs.liveness import Standing

_POLL = 0.5
_SILENT_SECONDS = 10.0
"""After which a run that is under way and writes nothing is asked for its process's own log."""
_SHORTEST_BAR = 6
_LIMIT = 200
_COLORS: dict[Standing, str] = {"running": "accent", "failed": "error", "dead": "error"}
_WAITING: dict[Standing, str] = {
    "queued": "waiting in the queue",
    "in vain": "waiting, and nothing is at work; r starts it",
    "held": "held back; Space in 5 Queue lets it go on",
}
_EMPTY = "No runs yet. n starts a training."


class RunsTable(FittingTable):
    """Runs as rows."""

    COLUMNS = (
        Column("status", "Run"),
        Column("concept", "Word", shortened=True),
        Column("steps", "Steps", 1),
        Column("loss", "Loss", 2),
        Column("when", "When", 3),
    )


class Runs(Place):
    """Training runs of this registry, whoever started them."""

    HERE = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "app.train", "Train", id="runs.train"),
        Binding("r", "resume", "Resume", id="runs.resume"),
        Binding("X", "stop", "Stop", key_display="X", id="runs.stop"),
        Binding("o,enter", "open", "Open word", key_display="↵", id="runs.open"),
        Binding("L", "logarithmic", "Log scale", show=False, id="runs.logarithmic"),
        Binding("D,delete", "remove", "Remove", key_display="D", id="runs.remove"),
        Binding("escape", "app.go('library')", "Library", show=False, id="runs.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[RegisteredRun] = []
        self._standings: dict[str, Standing] = {}
        self._watcher: Watcher | None = None
        self._wanted = ""

    def body(self) -> ComposeResult:
        with Horizontal(id="runs"):
            with Vertical(id="runs-list"):
                yield RunsTable(id="runs-table")
                yield Static(_EMPTY, id="runs-empty", markup=False)
            with Vertical(id="monitor"):
                yield Static("", id="run-title", markup=False)
                yield Static("", id="run-progress", markup=False)
                yield LossChart()
                yield PictureStrip(id="previews", follow=True)
                with VerticalScroll(id="run-log", can_focus=False):
                    yield Static("", id="run-log-text", markup=False)

    @property
    def table(self) -> RunsTable:
        """The runs, newest first."""
        return self.query_one("#runs-table", RunsTable)

    @property
    def current(self) -> RegisteredRun | None:
        """The run under the cursor."""
        row = self.table.cursor_row
        return self._runs[row] if 0 <= row < len(self._runs) else None

    def on_mount(self) -> None:
        self.table.focus()
        self._load()
        self.set_interval(_POLL, self._poll)

    def put_cursor(self, run_id: str) -> None:
        """Show this run."""
        self._wanted = run_id
        self._load()

    # -- showing -------------------------------------------------------------------------------------------------

    @on(RegistryChanged)
    def look_again(self) -> None:
        self._load()

    @work(exclusive=True, group="runs", exit_on_error=False)
    async def _load(self) -> None:
        try:
            runs, standings = await asyncio.to_thread(_read, self.registry)
        except TiregError as error:
            self.tireg.report(error)
            return
        before, self._runs, self._standings = self.current, runs, standings
        wanted = self._wanted or (before.id if before else self.tireg.remembered.text("run"))
        self._wanted = ""
        table = self.table
        table.show({run.id: self._cells(run) for run in runs}, wanted)
        self.query_one("#runs-empty").display = not runs
        table.display = bool(runs)
        self._show()

    def _cells(self, run: RegisteredRun) -> dict[str, Text]:
        standing = self._standings[run.id]
        color = ink(self.app, _COLORS.get(standing, ""))
        return {
            "status": Text(formatting.standing(standing), style=color),
            "concept": Text(safe(run.concept, limit=40)),
            "steps": Text(f"{run.step}/{run.max_steps}" if run.max_steps else str(run.step), style="dim"),
            "loss": Text("" if run.loss is None else f"{run.loss:.4f}", style="dim"),
            "when": Text(formatting.ago(run.finished_at or run.started_at or run.created_at), style="dim"),
        }

    @on(DataTable.RowHighlighted, "#runs-table")
    def run_highlighted(self) -> None:
        if self.current is not None:
            self.tireg.remembered.set("run", self.current.id)
        self._show()

    def _poll(self) -> None:
        run = self.current
        # On a busy machine a look may take longer than until the next; it must not be cut short each time.
        looking = any(worker.group == "follow" and not worker.is_finished for worker in self.workers)
        if self.is_current and run is not None and run.status in ("running", "queued") and not looking:
            self._follow()

    def _show(self) -> None:
        run = self.current
        if run is None:
            self._watcher = None
            self.query_one("#run-title", Static).update("")
            self.query_one("#run-progress", Static).update("")
            return
        if self._watcher is None or self._watcher.run_id != run.id:
            self._watcher = Watcher(self.registry, run.id)
            self.query_one(LossChart).values = ()
            self.query_one("#run-log-text", Static).update("")
        self._follow()

    @work(exclusive=True, group="follow", exit_on_error=False)
    async def _follow(self) -> None:
        """Read what the run has told since the last look, and show it."""
        run, watcher = self.current, self._watcher
        if run is None or watcher is None:
            return
        await asyncio.to_thread(watcher.look)
        if watcher is not self._watcher:
            return
        watched = watcher.watched
        base = run.config.get("base", {}).get("name", "")
        title = " · ".join(str(part) for part in (run.concept, base, watched.device or run.device, run.id) if part)
        self.query_one("#run-title", Static).update(safe(title))
        self.query_one("#run-progress", Static).update(self._progress_line(run, watcher))
        chart = self.query_one(LossChart)
        chart.values, chart.last = tuple(watched.losses), watched.step  # on a full disk some steps are not told
        strip = self.query_one("#previews", PictureStrip)
        strip.display = bool(watched.previews)
        await strip.show(watched.previews)
        lines = list(watched.log)
        if run.message and not any(run.message in line for line in lines[-2:]):
            lines.append(run.message)
        if run.status == "running" and time.time() - (run.heartbeat_at or 0) > _SILENT_SECONDS:
            # Nothing can be told in a registry on a full disk; what the process has written last may say so.
            lines += await asyncio.to_thread(log_tail, self.registry.home, run.id, 3)
        self.query_one("#run-log-text", Static).update("\n".join(safe(line, limit=300) for line in lines))
        self.query_one("#run-log", VerticalScroll).scroll_end(animate=False)

    def _progress_line(self, run: RegisteredRun, watcher: Watcher) -> Text:
        watched, standing = watcher.watched, self._standings[run.id]
        step, last = max(watched.step, run.step), watched.last_step or run.max_steps
        line = Text(no_wrap=True, overflow="ellipsis")
        if watched.diverged:
            line.append("the loss is no number: the training has diverged ", style=ink(self.app, "error", bold=True))
        elif standing == "running":
            line.append(f"  {step}/{last}")
            if watched.doing:
                line.append(f"  {safe(watched.doing, limit=100)}")
            elif last and step >= last:
                line.append("  its last previews are drawn, then it is registered")
            elif watched.losses:
                line.append(f"  loss {watched.losses[-1]:.4f}")
            if watched.seconds_left is not None:
                line.append(f"  {duration(watched.seconds_left)} left at most")
            room = self.query_one("#run-progress").content_size.width - line.cell_len
            bar = formatting.bar(step, last, min(40, room)) if room >= _SHORTEST_BAR else ""
            line = Text.assemble((bar, ink(self.app, "primary")), line if bar else line[2:])
            line.no_wrap, line.overflow = True, "ellipsis"
        elif standing == "dead":
            line.append(f"its process is gone at step {step}; r resumes it", style=ink(self.app, "error"))
        elif standing in _WAITING:
            line.append(_WAITING[standing])
        else:
            line.append(f"{run.status} at step {step}")
            if watched.seconds:  # of work: a run that was taken up again was left alone in between
                line.append(f" after {duration(sum(watched.seconds))}")
        return line

    # -- keys ----------------------------------------------------------------------------------------------------

    def action_logarithmic(self) -> None:
        """Show the loss on a logarithmic scale, or not."""
        chart = self.query_one(LossChart)
        chart.logarithmic = not chart.logarithmic

    def action_open(self) -> None:
        """Open the word that the run learned."""
        run = self.current
        if run is not None:
            try:
                self.registry.concept(run.concept)
            except NotFound as error:
                self.tireg.say(error.message)
                return
            self.tireg.open_concept(run.concept)

    @on(DataTable.RowSelected, "#runs-table")
    def row_chosen(self) -> None:
        self.action_open()

    def action_stop(self) -> None:
        """Stop the run, after asking how."""
        from tiregistry.runs.control import OPEN, cancel

        if self.tireg.refuses_changes():
            return
        run, registry = self.current, self.registry
        if run is None or run.status not in OPEN:
            self.tireg.say("Only a run that is queued or running can be stopped")
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                keep = answer == "keep"
                self.tireg.change(
                    lambda: cancel(registry, run, keep=keep), lambda how: self._say_stopped(run.id, how, keep)
                )

        ask_how(self.tireg, run, answered)

    def _say_stopped(self, run_id: str, how: str, keep: bool) -> None:
        if how == "stopping":
            self.tireg.say("It stops after its step")
        elif keep:  # registering it takes the base model, which this process does not load
            self.tireg.say(f"Its process was gone. tireg runs cancel {run_id} --keep registers its checkpoint")
        else:
            self.tireg.say("Cancelled")

    def action_resume(self) -> None:
        """Take the run up at its checkpoint, in the background."""
        if self.current is not None:
            self.tireg.resume(self.current)

    def action_remove(self) -> None:
        """Forget the run with its checkpoint, after asking."""
        from tiregistry.runs.control import remove

        if self.tireg.refuses_changes():
            return
        run, registry = self.current, self.registry
        if run is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.tireg.change(lambda: remove(registry, run))

        text = "Its checkpoint, previews and log are deleted for good. The version it made stays."
        self.app.push_screen(Confirm(f"Forget run {run.id} of {run.concept}?", text, "Forget run"), answered)


def _read(registry: Registry) -> tuple[list[RegisteredRun], dict[str, Standing]]:
    """The newest runs, and how each really stands."""
    from tiregistry.runs.liveness import standings_of

    runs = registry.runs(limit=_LIMIT)
    return runs, standings_of(registry, runs)
