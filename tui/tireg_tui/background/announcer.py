"""Follows all trainings from anywhere in the app: what is under way, and what has just ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.concepts import Run
    from tiregistry.registry.registry import Registry
    from tiregistry.runs.liveness import Standing

_LOOKED_AT = 50
_OPEN: tuple[Standing, ...] = ("running", "queued", "in vain", "held")


@dataclass(frozen=True, slots=True)
class UnderWay:
    """One thing that is being done, for the line above the footer and the window's title."""

    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A training that has ended since the last look."""

    text: str
    went_well: bool
    is_learned: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has shown."""

    under_way: tuple[UnderWay, ...]
    waiting: int
    ended: tuple[Ended, ...]
    interrupted: int
    """Trainings that could be taken up again."""
    held: int = 0
    """Trainings in the queue that nobody will take before they are released."""


class Announcer:
    """Remembers how every training stood at the last look."""

    def __init__(self) -> None:
        self._before: dict[str, Standing] | None = None

    def look(self, registry: Registry) -> Seen:
        """Look at the newest trainings.

        Raises:
            TiregError: the registry cannot be read.
        """
        from tiregistry.runs.liveness import standings_of

        runs = registry.runs(limit=_LOOKED_AT)
        now = standings_of(registry, runs)
        before, self._before = self._before, now
        ended = [] if before is None else [_ended(run, now[run.id]) for run in runs if _has_ended(run, before, now)]
        at_work = [run for run in runs if now[run.id] == "running"]
        standings = Counter(now.values())
        return Seen(
            tuple(UnderWay(safe(run.concept, limit=40), run.step, run.max_steps) for run in reversed(at_work)),
            standings["queued"] + standings["in vain"],
            tuple(ended),
            standings["interrupted"] + standings["dead"],
            standings["held"],
        )


def _has_ended(run: Run, before: dict[str, Standing], now: dict[str, Standing]) -> bool:
    return before.get(run.id) in _OPEN and now[run.id] not in _OPEN


def _ended(run: Run, status: Standing) -> Ended:
    name = safe(run.concept, limit=60)
    if status == "finished":
        return Ended(f"{name} is learned, {run.step} steps", went_well=True, is_learned=True)
    if status == "dead":
        return Ended(f"the process that learned {name} is gone at step {run.step} · 2 Runs, r resumes", went_well=False)
    message = safe(run.message, limit=200)
    what = f"{status} at step {run.step}"  # which the message may say too
    text = message if message.startswith(status) else f"{what}: {message}" if message else what
    return Ended(f"{name}: {text}", went_well=status == "cancelled")
