"""What the queue shows: what is at work, what waits in which order, what broke off, what this window has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tireg_tui import shown
from tireg_tui.jobs import Job
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredRun
    from tiregistry.registry.registry import Registry

State = Literal["at work", "waits", "in vain", "held", "interrupted", "dead", "failed", "done", "cancelled"]
_BROKEN = 20
"""Most trainings that broke off which are shown."""
GLYPHS: dict[State, str] = {
    "at work": "●",
    "waits": "◌",
    "in vain": "◌",
    "held": "‖",
    "interrupted": "‖",
    "dead": "✗",
    "failed": "✗",
    "done": "✓",
    "cancelled": "–",
}


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
class Standing:
    """All trainings that matter to the queue, read in one go."""

    running: list[RegisteredRun]
    waiting: list[RegisteredRun]
    broken: list[tuple[RegisteredRun, State]]
    in_vain: frozenset[str] = frozenset()
    """Ids of those among `waiting` that nobody is there to take up."""


def read(registry: Registry) -> Standing:
    """How the trainings stand.

    Raises:
        TiregError: the registry cannot be read.
    """
    from tiregistry.runs.liveness import is_dead, waits_in_vain

    broken: list[tuple[RegisteredRun, State]] = []
    running = []
    waiting = registry.queue()
    for run in registry.runs(limit=200):
        if run.status in ("running", "queued") and is_dead(registry, run):
            broken.append((run, "dead"))
        elif run.status == "running":
            running.append(run)
        elif run.status == "interrupted":
            broken.append((run, "interrupted"))
        elif run.status == "failed":
            broken.append((run, "failed"))
    dead = {run.id for run, _ in broken}
    waiting = [run for run in waiting if run.id not in dead]
    in_vain = frozenset(run.id for run in waiting if waits_in_vain(registry, run))
    return Standing(running[::-1], waiting, broken[:_BROKEN], in_vain)


def rows(standing: Standing, jobs: Sequence[Job]) -> list[Row]:
    """The lines in the order in which they are shown."""
    out = [_run_row(run, "at work") for run in standing.running]
    out += [_job_row(job) for job in jobs if job.state == "at work"]
    out += [_job_row(job) for job in reversed(jobs) if job.state == "waits"]  # in the order of their turns
    for number, run in enumerate(standing.waiting, 1):
        out.append(_run_row(run, "held" if run.held else "in vain" if run.id in standing.in_vain else "waits", number))
    out += [_run_row(run, state) for run, state in standing.broken]
    return out + [_job_row(job) for job in jobs if job.is_over]


def _run_row(run: RegisteredRun, state: State, place: int = 0) -> Row:
    what = f"train {run.concept}" + (" · nothing is at work, r starts it" if state == "in vain" else "")
    moment = run.started_at if state == "at work" else run.finished_at or run.created_at
    progress = f"{run.step}/{run.max_steps}" if run.max_steps else str(run.step)
    return Row(run.id, state, safe(what, limit=80), progress, shown.ago(moment), run=run, place=place)


def _job_row(job: Job) -> Row:
    progress = f"{job.done}/{job.total}" if job.total else ""
    moment = job.started_at if job.ended_at is None else job.ended_at
    return Row(f"job {job.number}", job.state, safe(job.what, limit=120), progress, shown.ago(moment), job=job)
