"""Training progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from tireg_cli.interrupts import StopRequest
from tireg_cli.messages import Talk, color_allowed, hint, lines_through, say, warn
from tireg_cli.output import fit
from tireg_cli.terminal import is_live
from tiregistry.errors import Interrupted
from tiregistry.quantities import count, duration
from tiregistry.text import safe
from tiregistry.training.events import (
    CheckpointSaved,
    Event,
    Finished,
    Notice,
    Preparing,
    PreviewMade,
    Shortened,
    Started,
    StepDone,
)

_NAMED = 4
"""Words of a pass that a line names one by one."""


def follow(events: Iterable[Event], stop: StopRequest) -> Finished:
    """Consume the events of one run, showing where it stands, and return its last one."""
    finished: list[Finished] = []
    follow_all(events, stop, finished)
    return finished[-1]


def follow_all(events: Iterable[Event], stop: StopRequest, finished: list[Finished]) -> None:
    """Consume the events of one or several runs, showing where they stand.

    Args:
        finished: gets the last event of each, in the order in which they began; also of those that ended before
            something was raised.

    Raises:
        Interrupted: Ctrl-C while steps were taken; names the runs that can be taken up again.
    """
    with TrainingProgress() as progress:
        try:
            for event in events:
                if isinstance(event, Started):
                    stop.armed = True
                progress.show(event)
                if isinstance(event, Finished):
                    finished.append(event)
        except KeyboardInterrupt:
            _close(events)
            raise _stopped_at_once(progress.running()) from None
        finally:
            _close(events)  # whatever went wrong here, its runs are no longer carried out
            finished.sort(key=lambda event: progress.place(event.run_id))
    if not finished:
        raise RuntimeError("the run ended without saying so")


def _close(events: Iterable[Event]) -> None:
    getattr(events, "close", lambda: None)()


def _stopped_at_once(runs: Sequence[Course]) -> BaseException:
    """What to say after a second Ctrl-C: how what was learned until the last checkpoint is taken up."""
    if not runs:
        return KeyboardInterrupt()
    if len(runs) > 1:
        return Interrupted("stopped at once", f"tireg runs resume {' '.join(r.run_id for r in runs)} goes on")
    run = runs[0]
    then = f"goes on from step {run.saved}" if run.saved else "begins again at its first step"
    return Interrupted(f"stopped at once, at step {run.step}", f"tireg runs resume {run.run_id} {then}")


@dataclass(eq=False)
class Course:
    """One word's way through its steps.

    Attributes:
        first, step, last: the step it began at here, where it stands, where it ends.
        saved: step of the last checkpoint.
        loss: running mean, because each step draws other noise.
        spent: seconds of the steps taken here.
        task: its bar.
    """

    run_id: str
    name: str
    first: int
    last: int
    step: int
    saved: int
    loss: float = 0.0
    spent: float = 0.0
    ended: bool = False
    task: Any = None

    def add(self, event: StepDone) -> None:
        """Go one step on."""
        self.step = event.step
        done = max(1, self.step - self.first)
        self.loss += (event.loss - self.loss) * max(0.03, 1.0 / done)
        # The steps' own time: a watched run tells of those that are long past in an instant.
        self.spent += event.seconds

    @property
    def rate(self) -> float:
        """Steps per second."""
        return max(1, self.step - self.first) / max(1e-9, self.spent)

    @property
    def left(self) -> float:
        """Seconds to its end."""
        return (self.last - self.step) / self.rate


class TrainingProgress:
    """Shows training events: steps, running mean of the loss, steps per second, time left.

    Args:
        watching: the run belongs to another process.
    """

    def __init__(self, *, watching: bool = False) -> None:
        self._watching = watching
        self._courses: dict[str, Course] = {}
        self._live: Any = None
        self._bars = ExitStack()
        self._next_line = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()

    def running(self) -> list[Course]:
        """The words that have begun and not ended."""
        return [course for course in self._courses.values() if not course.ended]

    def place(self, run_id: str) -> int:
        """Which of the words that have begun this is, from 0."""
        return list(self._courses).index(run_id)

    def show(self, event: Event) -> None:
        """Show one event."""
        self._follow(event)
        if isinstance(event, Notice):
            warn(event.what)
        elif isinstance(event, Preparing):
            hint(f"{event.what} …")
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, StepDone):
            self._step(event.run_id)
        elif isinstance(event, Shortened):
            hint(event.what)
        elif isinstance(event, PreviewMade):
            hint(f"preview at step {event.step}: {event.prompt}")
        elif isinstance(event, Finished) and event.message:
            hint(f"{event.reference}: {event.message}")
        elif isinstance(event, Finished) and len(self._courses) > 1 and event.reason == "finished":
            hint(f"{event.reference}: all {event.step} steps taken")

    def _follow(self, event: Event) -> None:
        """Note where each word stands."""
        if isinstance(event, Started):
            begun, before = event.first_step, self._courses.get(event.run_id)
            task = before.task if before is not None else None
            self._courses[event.run_id] = Course(
                event.run_id, event.concept, begun, event.max_steps, begun, begun, task=task
            )
            return
        course = self._courses.get(getattr(event, "run_id", ""))
        if course is None:
            return
        if isinstance(event, StepDone):
            course.add(event)
        elif isinstance(event, Shortened):
            course.last = event.last
        elif isinstance(event, CheckpointSaved):
            course.saved = event.step
        elif isinstance(event, Finished):
            course.ended = True

    def _start(self, event: Started) -> None:
        vectors, pictures = count(event.num_vectors, "vector"), count(event.num_images, "picture")
        keys = "Ctrl-C stops watching" if self._watching else "Ctrl-C stops and keeps what was learned"
        hint(f"run {event.run_id}: {event.concept}, {vectors} from {pictures}, on {event.device}; {keys}")
        if not is_live(sys.stderr):
            return
        if self._live is None:
            self._live = self._bars.enter_context(_bars())
            self._bars.enter_context(lines_through(self._above))
        course = self._courses[event.run_id]
        if course.task is None:
            course.task = self._live.add_task("", total=course.last, completed=course.first, loss="", rate="")
        else:  # watched while it was taken up again
            self._live.reset(course.task, total=course.last, completed=course.first)
        if len(self._courses) > 1:
            for each in self._courses.values():
                self._live.update(each.task, description=safe(each.name))

    def _above(self, line: str) -> None:
        """Write a line above the bars."""
        from rich.text import Text

        self._live.console.print(Text.from_ansi(line), soft_wrap=True)

    def _step(self, run_id: str) -> None:
        course = self._courses.get(run_id)
        if course is None:
            return
        if self._live is not None:
            self._live.update(
                course.task,
                total=course.last,
                completed=course.step,
                loss=f"mean loss {course.loss:.4f}",
                rate=_pace(course.rate),
            )
            return
        # One that no longer keeps step was cancelled by another process.
        going = [each for each in self.running() if course.step - 1 <= each.step < each.last] or [course]
        several = len(self._courses) > 1  # each says at its end that it has come there
        is_last = course.step == course.last and not several
        # Of several words the last one completes a step, so that all are told where they stand after it.
        if is_last or (course is going[-1] and time.monotonic() >= self._next_line):
            self._next_line = time.monotonic() + 10
            left = max(each.left for each in going)
            what = _standing(list(self._courses.values()))
            say(safe(f"{what}  {_pace(course.rate)}  {duration(left)} left"))


def _bars() -> Any:
    """A bar for each word; rich costs 42 ms to import, which only matters to commands that do not train."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    console = Console(file=cast("Any", Talk()), no_color=not color_allowed(sys.stderr))

    class Wide(ProgressColumn):
        """A column that is empty where the terminal has not so many cells."""

        def __init__(self, column: ProgressColumn, cells: int) -> None:
            super().__init__(column.get_table_column())
            self._column, self._cells = column, cells

        def render(self, task: Task) -> Any:
            return self._column(task) if console.width >= self._cells else Text("")

    class Name(ProgressColumn):
        """The word, cut where it would leave too little room for its steps."""

        def render(self, task: Task) -> Any:
            return Text(fit(task.description, max(4, console.width // 3)))

    return Progress(
        Name(),
        Wide(BarColumn(bar_width=None), 64),
        TextColumn("{task.completed}/{task.total}"),
        Wide(TextColumn("{task.fields[loss]}"), 50),
        Wide(TextColumn("{task.fields[rate]}"), 64),
        Wide(TimeRemainingColumn(compact=True), 28),
        console=console,
        transient=True,
    )


def _standing(courses: Sequence[Course]) -> str:
    """`step 3/100  mean loss 0.4321`; of several words each, of many how far they are."""
    if len(courses) == 1:
        return f"step {courses[0].step}/{courses[0].last}  mean loss {courses[0].loss:.4f}"
    if len(courses) <= _NAMED:
        return ", ".join(f"{each.name} step {each.step}/{each.last} mean loss {each.loss:.4f}" for each in courses)
    going = [each for each in courses if each.step < each.last] or courses
    least, most = min(each.step for each in going), max(each.step for each in going)
    steps = f"{least}" if least == most else f"{least}-{most}"
    losses = sum(each.loss for each in going) / len(going)
    ended = f", {len(courses) - len(going)} at their end" if len(going) < len(courses) else ""
    return f"{len(going)} words at step {steps}/{max(each.last for each in going)}{ended}  mean loss {losses:.4f}"


def _pace(rate: float) -> str:
    """Steps per second, or seconds per step where a step takes longer than a second."""
    return f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"
