"""Training progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from tireg_cli.forms import duration
from tireg_cli.interrupts import StopRequest
from tireg_cli.messages import color_allowed, hint, say, warn
from tiregistry.text import safe
from tiregistry.training.events import Event, Finished, Notice, Preparing, PreviewMade, Shortened, Started, StepDone


def follow(events: Iterable[Event], stop: StopRequest, *, quiet: bool = False) -> Finished:
    """Consume the events of one run, showing where it stands, and return its last one."""
    return follow_all(events, stop, quiet=quiet)[-1]


def follow_all(events: Iterable[Event], stop: StopRequest, *, quiet: bool = False) -> list[Finished]:
    """Consume the events of one or several runs, showing where they stand; return the last event of each."""
    finished = []
    with TrainingProgress(quiet=quiet) as progress:
        for event in events:
            if isinstance(event, Started):
                stop.armed = True
            progress.show(event)
            if isinstance(event, Finished):
                finished.append(event)
    if not finished:
        raise RuntimeError("the run ended without saying so")
    return finished


class TrainingProgress:
    """Shows training events: step, smoothed loss, steps per second, time left.

    Of several words in one pass, the one that is furthest ahead stands for all.

    Args:
        quiet: show warnings only.
        watching: the run belongs to another process.
    """

    def __init__(self, *, quiet: bool = False, watching: bool = False) -> None:
        self._quiet = quiet
        self._watching = watching
        self._shown = 0
        self._live: Any = None
        self._task: Any = None
        self._loss = 0.0
        self._first = self._last = 0
        self._lasts: dict[str, int] = {}
        self._spent = 0.0
        self._next_line = 0.0

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Notice):
            warn(event.what)
        elif self._quiet:
            return
        elif isinstance(event, Preparing):
            hint(f"{event.what} …")
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, Shortened):
            hint(event.what)
            self._ends_at(event.run_id, event.last)
        elif isinstance(event, PreviewMade):
            hint(f"preview at step {event.step}: {event.prompt}")
        elif isinstance(event, Finished) and event.message:
            hint(f"{event.reference}: {event.message}")

    def _start(self, event: Started) -> None:
        self._first = self._shown = event.first_step
        self._ends_at(event.run_id, event.max_steps)
        self._spent = 0.0
        vectors = f"{event.num_vectors} vector{'s' if event.num_vectors > 1 else ''}"
        pictures = f"{event.num_images} picture{'s' if event.num_images > 1 else ''}"
        keys = "Ctrl-C stops watching" if self._watching else "Ctrl-C stops and keeps what was learned"
        hint(f"run {event.run_id}: {event.concept}, {vectors} from {pictures}, on {event.device}; {keys}")
        if self._live is not None:
            return
        if color_allowed(sys.stderr) or (sys.stderr.isatty()):
            # rich costs 42 ms to import, which only matters to commands that do not train.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._live = Progress(
                BarColumn(bar_width=None),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("loss {task.fields[loss]}"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True, no_color=not color_allowed(sys.stderr)),
                transient=True,
            )
            self._live.start()
            self._task = self._live.add_task("", total=self._last, completed=event.first_step, loss="", rate="")

    def _ends_at(self, run_id: str, step: int) -> None:
        self._lasts[run_id] = step
        self._last = max(self._lasts.values())
        if self._live is not None:
            self._live.update(self._task, total=self._last)

    def _step(self, event: StepDone) -> None:
        if event.step <= self._shown:
            return
        self._shown = event.step
        done = max(1, event.step - self._first)
        weight = max(0.03, 1.0 / done)
        self._loss += (event.loss - self._loss) * weight
        # The steps' own time: a watched run tells of those that are long past in an instant.
        self._spent += event.seconds
        rate = done / max(1e-9, self._spent)
        if self._live is not None:
            self._live.update(self._task, completed=event.step, loss=f"{self._loss:.4f}", rate=_pace(rate))
        elif time.monotonic() >= self._next_line or event.step == self._last:
            self._next_line = time.monotonic() + 10
            left = (self._last - event.step) / rate
            pace, left_text = _pace(rate), duration(left)
            say(safe(f"step {event.step}/{self._last}  loss {self._loss:.4f}  {pace}  {left_text} left"))


def _pace(rate: float) -> str:
    """Steps per second, or seconds per step where a step takes longer than a second."""
    return f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"
