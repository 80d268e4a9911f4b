"""Whether a run that calls itself running really is, and what becomes of one whose process died."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from tiregistry.errors import RunNotFound
from tiregistry.registry.filesystem import process_exists
from tiregistry.text import safe
from tiregistry.training.run_lock import is_carried_out
from tiregistry.training.run_state import run_folder, wish_of

if TYPE_CHECKING:
    from tiregistry.concepts import Run
    from tiregistry.registry.registry import Registry

LOG = "log.txt"
"""Name of the file in a run's folder that holds what its worker printed."""
_LITTLE = 1 << 16
"""Bytes that a log's first lines and the database need, and more."""
SILENT_SECONDS = 30.0
"""A heartbeat older than this, with nobody holding the run's lock, means that its process is gone."""

PATIENCE_SECONDS = 20.0
"""Within this time a queued run is taken up by a worker that has nothing else to do."""


Standing = Literal["running", "queued", "in vain", "held", "dead", "interrupted", "failed", "cancelled", "finished"]
"""How a run really stands: its status, but `dead` when the process that calls itself at work on it no longer exists,
and of those that are queued `held` until they are released, and `in vain` when nobody is there to take them up."""


def standing_of(registry: Registry, run: Run) -> Standing:
    """How a run really stands."""
    return standings_of(registry, [run])[run.id]


def standings_of(registry: Registry, runs: Iterable[Run]) -> dict[str, Standing]:
    """How each of some runs really stands, by its id."""
    at_work: bool | None = None  # looked at once, and only where something waits
    standings: dict[str, Standing] = {}
    for run in runs:
        standings[run.id] = run.status
        if is_dead(registry, run):
            standings[run.id] = "dead"
        elif run.status == "queued" and run.held:
            standings[run.id] = "held"
        elif _has_waited_long(run):
            at_work = _is_anything_at_work(registry) if at_work is None else at_work
            standings[run.id] = "queued" if at_work else "in vain"
    return standings


def is_dead(registry: Registry, run: Run) -> bool:
    """Whether a run waits for, or is in the hands of, a process that no longer exists.

    The lock in the run's folder decides, because the system frees it with the process. Process id and heartbeat only
    cover the moment between taking a run from the queue and taking its lock.
    """
    if run.status not in ("running", "queued") or run.pid is None:
        return False
    if is_carried_out(run_folder(registry, run.id)):
        return False
    if not process_exists(run.pid):
        return True
    return run.status == "running" and time.time() - (run.heartbeat_at or 0.0) > SILENT_SECONDS


def _has_waited_long(run: Run) -> bool:
    """Whether a run has waited for longer than a worker needs to take it up."""
    return run.status == "queued" and run.pid is None and time.time() - run.created_at >= PATIENCE_SECONDS


def _is_anything_at_work(registry: Registry) -> bool:
    return any(not is_dead(registry, other) for other in registry.runs(status="running"))


def last_error(registry: Registry, run: Run) -> str:
    """What the worker of a dead run wrote into its log when it failed and could record nothing, as on a full disk.

    Where not even the log could be written, the disk itself is looked at.
    """
    try:
        lines = (run_folder(registry, run.id) / LOG).read_bytes()[-4096:].decode("utf-8", "replace").splitlines()
    except OSError:
        return _lack_of_space(registry)
    found = ""
    for line in lines:
        said = line.partition("] ")[2]
        if said.endswith("taken from the queue"):
            found = ""
        elif said.startswith("error: "):
            found = said.removeprefix("error: ")
    return found or (_lack_of_space(registry) if not lines else "")


def _lack_of_space(registry: Registry) -> str:
    with contextlib.suppress(OSError):
        if shutil.disk_usage(registry.home).free < _LITTLE:
            return f"there is no space left in {safe(registry.home)}"
    return ""


def adopt_dead_runs(registry: Registry) -> list[str]:
    """Put dead background runs back into the queue, and record that others were interrupted.

    A run that died again without having come a step further is not tried a third time.

    Returns:
        One line for each, for the log.
    """
    return [
        f"{run.id}: {message}"
        for status in ("running", "queued")
        for run in registry.runs(status=status)
        if is_dead(registry, run) and (message := _adopt(registry, run.id))
    ]


def _adopt(registry: Registry, run_id: str) -> str:
    """What became of a run that looked dead; empty when it is not.

    The look that counts and the change are one transaction: another worker may have adopted the run since the first
    look, and carry it out already.
    """
    with registry.database.write():
        try:
            run = registry.run(run_id)
        except RunNotFound:
            return ""
        if not is_dead(registry, run):
            return ""
        if not run.config.get("background"):
            message = f"its process died at step {run.step}"
            registry.update_run(run.id, status="interrupted", pid=None, message=message)
        elif wish_of(run_folder(registry, run.id)) == "cancel":
            message = f"cancelled at step {run.step}"
            registry.update_run(run.id, status="cancelled", pid=None, message=message, finished_at=time.time())
        elif run.message == (message := f"taken up at step {run.step} after its worker died"):
            message = f"its worker died twice at step {run.step}"
            registry.update_run(run.id, status="failed", pid=None, message=message, finished_at=time.time())
        else:
            registry.update_run(run.id, status="queued", pid=None, message=message)
    return message
