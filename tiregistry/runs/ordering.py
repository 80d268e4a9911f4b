"""The order of the queue: which run comes next, and which are held back. Runs of one pass stay together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tiregistry.concepts import Run
from tiregistry.errors import Conflict

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredRun
    from tiregistry.registry.registry import Registry

Where = Literal["first", "up", "down", "last"]
WHERE: tuple[Where, ...] = ("first", "up", "down", "last")
_APART = 1.0


def move(registry: Registry, run: Run, where: Where) -> list[RegisteredRun]:
    """Move a queued run, with those that are trained in one pass with it; return the queue as it is then.

    Raises:
        Conflict: it is not in the queue.
    """
    with registry.database.write():
        groups = _groups(registry.queue())
        at = next((n for n, group in enumerate(groups) if any(member.id == run.id for member in group)), None)
        if at is None:
            raise Conflict(f"run {run.id} is not in the queue", "tireg runs list shows where it stands")
        to = {"first": 0, "up": at - 1, "down": at + 1, "last": len(groups) - 1}[where]
        groups.insert(max(0, min(to, len(groups) - 1)), groups.pop(at))
        # All places anew, before now, so that whatever is queued later comes behind them.
        members = [member for group in groups for member in group]
        start = time.time() - _APART * len(members)
        for number, member in enumerate(members):
            registry.update_run(member.id, queue_place=start + _APART * number)
    return registry.queue()


def hold(registry: Registry, run: Run) -> None:
    """Keep a queued run, and those of its pass, from being taken until it is released.

    Raises:
        Conflict: it is not in the queue.
    """
    _set_held(registry, run, held=True)


def release(registry: Registry, run: Run) -> list[RegisteredRun]:
    """Let a held run be taken again; returns the runs that `tiregistry.runs.control.start` is to be called with.

    Raises:
        Conflict: it is not in the queue.
    """
    return _set_held(registry, run, held=False)


def _set_held(registry: Registry, run: Run, *, held: bool) -> list[RegisteredRun]:
    with registry.database.write():
        for group in _groups(registry.queue()):
            if any(member.id == run.id for member in group):
                return [registry.update_run(member.id, held=held) for member in group]
    raise Conflict(f"run {run.id} is not in the queue", "only what waits can be held")


def _groups(runs: Sequence[RegisteredRun]) -> list[list[RegisteredRun]]:
    """Queued runs in order, those of one pass together where the first of them stands."""
    groups: dict[str, list[RegisteredRun]] = {}
    for run in runs:
        groups.setdefault(str(run.config.get("group") or run.id), []).append(run)
    return list(groups.values())
