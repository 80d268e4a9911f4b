"""What the queue shows: what is at work, what waits in which order, what broke off, what this window has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tireg_tui.background.jobs import Job
from tireg_tui.texts import formatting
from tireg_tui.texts.formatting import STANDING_GLYPHS
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredRun
    from tiregistry.registry.registry import Registry
    from tiregistry.runs.liveness import Standing

State = Literal["at work", "waits", "in vain", "held", "interrupted", "dead", "failed", "done", "cancelled"]
_NEWEST = 200
"""Trainings that are looked at beside those that wait."""
_BROKEN = 20
"""Most trainings that broke off which are shown."""
_WORDS: dict[Standing, State] = {
    "running": "at work",
    "queued": "waits",
    "in vain": "in vain",
    "held": "held",
    "interrupted": "interrupted",
    "dead": "dead",
    "failed": "failed",
}
"""What the queue calls trainings; of those that are over it says nothing."""
GLYPHS: dict[State, str] = {state: STANDING_GLYPHS[standing] for standing, state in _WORDS.items()}
GLYPHS |= {"done": "✓", "cancelled": "–"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue: a training or a job of this window.

    Attributes:
        key: the same as long as it is the same thing.
        place: its number among those that wait; 0 for all others.
    """

    key: str
    state: State
    what: str
    progress: str
    when: str
    run: RegisteredRun | None = None
    job: Job | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Trainings:
    """All trainings that matter to the queue, read in one go; each with what the queue calls it."""

    running: list[tuple[RegisteredRun, State]]
    waiting: list[tuple[RegisteredRun, State]]
    broken: list[tuple[RegisteredRun, State]]


def read(registry: Registry) -> Trainings:
    """How the trainings stand.

    Raises:
        TiregError: the registry cannot be read.
    """
    from tiregistry.runs.liveness import standings_of

    waiting = registry.queue()
    newest = registry.runs(limit=_NEWEST)
    standings = standings_of(registry, [*newest, *waiting])

    def those(runs: Sequence[RegisteredRun], *wanted: Standing) -> list[tuple[RegisteredRun, State]]:
        return [(run, _WORDS[standings[run.id]]) for run in runs if standings[run.id] in wanted]

    return Trainings(
        those(newest[::-1], "running"),
        those(waiting, "queued", "in vain", "held"),
        those(newest, "dead", "interrupted", "failed")[:_BROKEN],
    )


def rows(trainings: Trainings, jobs: Sequence[Job]) -> list[Row]:
    """The lines in the order in which they are shown."""
    out = [_run_row(run, state) for run, state in trainings.running]
    out += [_job_row(job) for job in jobs if job.state == "at work"]
    out += [_job_row(job) for job in reversed(jobs) if job.state == "waits"]  # in the order of their turns
    out += [_run_row(run, state, number) for number, (run, state) in enumerate(trainings.waiting, 1)]
    out += [_run_row(run, state) for run, state in trainings.broken]
    return out + [_job_row(job) for job in jobs if job.is_over]


def _run_row(run: RegisteredRun, state: State, place: int = 0) -> Row:
    what = f"train {run.concept}" + (" · nothing is at work, r starts it" if state == "in vain" else "")
    moment = run.started_at if state == "at work" else run.finished_at or run.created_at
    progress = f"{run.step}/{run.max_steps}" if run.max_steps else str(run.step)
    return Row(run.id, state, safe(what, limit=80), progress, formatting.ago(moment), run=run, place=place)


def _job_row(job: Job) -> Row:
    progress = f"{job.done}/{job.total}" if job.total else ""
    moment = job.started_at if job.ended_at is None else job.ended_at
    return Row(f"job {job.number}", job.state, safe(job.what, limit=120), progress, formatting.ago(moment), job=job)
