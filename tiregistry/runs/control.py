"""What can be done to a run from outside: watch, cancel, queue again, remove."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tiregistry.concepts import Run
from tiregistry.errors import Conflict, Damaged
from tiregistry.runs.executor import Executor, LocalWorkers
from tiregistry.runs.liveness import PATIENCE_SECONDS, is_dead, standing_of
from tiregistry.training.events import Event, Notice
from tiregistry.training.journal import JournalReader, newest_start
from tiregistry.training.request import check_names
from tiregistry.training.run_lock import is_carried_out
from tiregistry.training.run_state import STOP_FILE, forget_wish, run_folder

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

OPEN = ("queued", "running")
"""Statuses of runs that are not over."""


def start(registry: Registry, runs: list[Run], executor: Executor | None = None) -> None:
    """Have queued runs carried out in the background."""
    (executor or LocalWorkers()).start(registry, runs)


def watch(
    registry: Registry, run_id: str, *, poll: float = 0.25, over: Callable[[], bool] = lambda: False
) -> Iterator[Event]:
    """The events of a run since it was last taken up, then as they come, until it is over or its process is dead.

    That nobody is there who would take up a run that waits is said once.

    Args:
        poll: seconds between two looks.
        over: asked between looks; True ends the watching, not the run.
    """
    reader = JournalReader(run_folder(registry, run_id))
    before = list(reader.new())
    run = registry.run(run_id)
    waits = run.status == "queued" and run.pid is None  # to be taken up again: what was before is over
    yield from before[len(before) if waits else newest_start(before) :]
    told, began = False, time.monotonic()
    while not over():
        run = registry.run(run_id)
        if not told and time.monotonic() - began >= PATIENCE_SECONDS and standing_of(registry, run) == "in vain":
            told = True
            yield Notice(
                f"nothing is at work that could take the run up: tireg runs resume {run_id} --detach starts it"
            )
        # Looked at before reading, so that nothing written in between is missed.
        ended = run.status not in OPEN or is_dead(registry, run)
        yield from reader.new()
        if ended:
            return
        time.sleep(poll)


def cancel(registry: Registry, run: Run, *, keep: bool = False) -> str:
    """Cancel a run; one that is at work stops after its step.

    Args:
        keep: have its process register what was learned so far; see `tiregistry.runs.keeping` for a run that has none.

    Returns:
        `cancelled`, or `stopping` when its process was asked to stop.

    Raises:
        Conflict: the run is over.
    """
    with registry.database.write():
        current = registry.run(run.id)
        if current.status not in OPEN:
            raise Conflict(f"run {run.id} is {current.status} already", "tireg runs remove takes it from the list")
        if current.pid is None or is_dead(registry, current):
            registry.update_run(
                run.id, status="cancelled", pid=None, message="cancelled before its end", finished_at=time.time()
            )
            return "cancelled"
    folder = run_folder(registry, run.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP_FILE).write_text("keep" if keep else "cancel", encoding="ascii")
    return "stopping"


def queue_again(registry: Registry, run: Run) -> Run:
    """Put a run that is not finished back into the queue; it goes on from its checkpoint.

    One that is in the queue keeps its place and is no longer held: its worker may have died.

    Raises:
        Conflict: it is finished, or being carried out.
    """
    with registry.database.write():
        current = registry.run(run.id)
        if current.status == "finished":
            raise Conflict(f"run {run.id} is finished", "tireg train starts a new one")
        if current.status == "queued" and current.pid is None:
            return registry.update_run(run.id, held=False)
        if current.status in OPEN and not is_dead(registry, current):
            raise Conflict(f"run {run.id} is {current.status}", "tireg runs watch shows it")
        forget_wish(run_folder(registry, run.id))
        config = dict(current.config) | {"background": True}
        place = {"queue_place": time.time(), "held": False}
        return registry.update_run(
            run.id, status="queued", pid=None, message="", config=config, finished_at=None, **place
        )


def relabel(registry: Registry, run: Run, *, concept: str = "", placeholder_token: str = "") -> Run:
    """Have what a run learns registered under another name, another placeholder token, or both.

    For a run whose name or token was taken by another while it trained; nothing that it has learned changes, because
    it learns vectors, not their name. The pictures' captions that have the token get the new one.

    Args:
        concept: the new name; empty keeps it.
        placeholder_token: the new token; empty means that of the concept, or `<name>`, when there is a new name.

    Raises:
        Conflict: the run is finished or being carried out, or name, token or type clash with what is registered.
        PlaceholderTaken, InvalidReference, InvalidPlaceholder: name or token cannot be used.
        Damaged: the run's record is not what it was.
    """
    with registry.database.write():
        current = registry.run(run.id)
        if current.status == "finished":
            raise Conflict(f"run {run.id} is finished", "tireg rename gives its word another name")
        if is_carried_out(run_folder(registry, run.id)):
            raise Conflict(f"run {run.id} is being carried out", f"first: tireg runs cancel {run.id}")
        config = dict(current.config)
        try:
            old, images, kind = config["placeholder_token"], config["images"], config["training"]["concept_type"]
        except (KeyError, TypeError) as error:
            raise Damaged(f"run {run.id} has no {error} in its record", "start the training again") from None
        wanted = placeholder_token or ("" if concept else old)
        name, token = check_names(registry, concept or current.concept, wanted, kind)
        images = [image | {"caption": image.get("caption", "").replace(old, token)} for image in images]
        config |= {"concept": name, "placeholder_token": token, "images": images}
        return registry.update_run(run.id, concept=name, config=config)


def remove(registry: Registry, run: Run) -> None:
    """Forget a run with its checkpoint, events and log; the version it made stays.

    Raises:
        Conflict: it is being carried out.
    """
    folder = run_folder(registry, run.id)
    if is_carried_out(folder) or (run.status == "running" and not is_dead(registry, run)):
        raise Conflict(f"run {run.id} is being carried out", f"first: tireg runs cancel {run.id}")
    registry.remove_run(run.id)
    shutil.rmtree(folder, ignore_errors=True)
