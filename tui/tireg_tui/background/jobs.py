"""What this window itself is doing: pictures being drawn, transfers with the Hub. Trainings have processes of their
own and go on without the window; these end with it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["waits", "at work", "done", "failed", "cancelled"]
_KEPT = 50
_numbers = itertools.count(1)


@dataclass
class Job:
    """One piece of work.

    Attributes:
        what: for people: `push gnome@2 to alice/gnome`.
        cancel: ends it.
        again: does it again after a failure; None when that makes no sense.
        total: 0 while it is not known.
    """

    what: str
    cancel: Callable[[], None]
    again: Callable[[], None] | None = None
    state: State = "at work"
    detail: str = ""
    done: int = 0
    total: int = 0
    number: int = field(default_factory=lambda: next(_numbers))
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state not in ("waits", "at work")

    def begin(self) -> None:
        """It was waiting, and is at work now."""
        if self.state == "waits":
            self.state, self.started_at = "at work", time.time()

    def tell(self, detail: str, done: int = 0, total: int = 0) -> None:
        """Say how far it is."""
        self.detail, self.done, self.total = detail, done, total

    def end(self, state: State, detail: str = "") -> None:
        """Say how it ended; only the first time counts."""
        if not self.is_over:
            self.state, self.detail, self.ended_at = state, detail or self.detail, time.time()
            if state == "done":  # what was not counted to its end is done, too
                self.done = self.total


class Jobs:
    """The jobs of one window, newest first."""

    def __init__(self) -> None:
        self.all: list[Job] = []

    def add(self, job: Job) -> Job:
        """Remember a job that has begun, or waits; the oldest that are over are forgotten."""
        self.all.insert(0, job)
        over = [old for old in self.all if old.is_over]
        for old in over[_KEPT:]:
            self.all.remove(old)
        return job

    @property
    def at_work(self) -> list[Job]:
        """Those that are being done."""
        return [job for job in self.all if job.state == "at work"]

    @property
    def not_over(self) -> list[Job]:
        """Those that are being done, and those that wait."""
        return [job for job in self.all if not job.is_over]

    def forget(self, job: Job) -> None:
        """Take a job that is over from the list."""
        if job.is_over and job in self.all:
            self.all.remove(job)
