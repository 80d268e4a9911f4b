"""Registering what a run that nobody carries out had learned at its checkpoint, without its base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.concepts import Fingerprint, Run
from tiregistry.errors import Conflict, Damaged
from tiregistry.runs.liveness import is_dead
from tiregistry.training.events import Finished
from tiregistry.training.journal import Journal
from tiregistry.training.registering import register_learned
from tiregistry.training.request import check_names, request_of
from tiregistry.training.run_lock import hold_run
from tiregistry.training.run_state import forget_wish, run_folder
from tiregistry.training.trail import trail

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.registry.registry import Registry
    from tiregistry.training.checkpoint import Checkpoint

_PATIENCE_SECONDS = 1.0
"""Who only looks at the run's lock has it for less; a worker that has taken the run up has it until its end."""


def keep_checkpoint(registry: Registry, run: Run) -> Finished:
    """Register what a run had learned at its checkpoint, as its process would have; it can still be resumed.

    Raises:
        Conflict: it is over and registered, another process carries it out, there is no checkpoint, or its name or
            token is another word's by now.
        Damaged: its record or its checkpoint cannot be read.
    """
    from tiregistry.training.checkpoint import FILE, load_checkpoint

    folder = run_folder(registry, run.id)
    checkpoint = load_checkpoint(folder / FILE)  # imports torch: nothing that others should wait for
    seen = registry.run(run.id)
    gone = seen.pid if is_dead(registry, seen) else None  # looked at before the lock is ours, which says the contrary
    with hold_run(folder, run.id, patience=_PATIENCE_SECONDS):
        with registry.database.write():
            current = registry.run(run.id)
            if current.version_id is not None and current.status not in ("queued", "running"):
                raise Conflict(f"run {run.id} has registered what it learned already", "tireg runs show tells as what")
            if current.pid not in (None, gone):
                raise Conflict(f"run {run.id} is being carried out by another process", "tireg runs watch shows it")
            if checkpoint is None or not checkpoint.step:
                raise Conflict(
                    f"run {run.id} has no checkpoint: it has learned nothing to keep", "cancel it without --keep"
                )
            # Whatever goes wrong from here on, no worker takes it from the queue.
            registry.update_run(run.id, status="interrupted", pid=None)
        forget_wish(folder)
        event = _register(registry, current, checkpoint, folder)
        Journal(folder).add(event)
        return event


def _register(registry: Registry, run: Run, checkpoint: Checkpoint, folder: Path) -> Finished:
    request, images = request_of(registry, run)
    check_names(registry, request.concept, request.placeholder_token, request.config.concept_type)
    embedding, kept_step = _learned(checkpoint, folder)
    recorded = run.config["base"]
    looks = checkpoint.state.get("stop_losses")
    record = {
        "loss": checkpoint.losses,
        "steps": checkpoint.step,
        "stop_reason": "interrupted",
        "kept_step": kept_step,
        "evaluation_loss": [] if looks is None else looks.tolist(),
        "seconds": round(checkpoint.seconds, 3),
        "device": run.device,
        "threads": checkpoint.threads,
        "precision": checkpoint.precision,
    }
    base = recorded["name"], Fingerprint.from_dict(recorded["fingerprint"])
    version = register_learned(registry, request, images, embedding, base, (run.id, folder), record)
    registry.update_run(
        run.id,
        status="interrupted",
        step=checkpoint.step,
        version_id=version.id,
        message=f"stopped at step {checkpoint.step}",
        finished_at=run.finished_at or run.heartbeat_at,
    )
    return Finished(version.reference, checkpoint.step, "interrupted", checkpoint.seconds, run.id)


def _learned(checkpoint: Checkpoint, folder: Path) -> tuple[Embedding, int]:
    """What the run would have registered at its checkpoint, and the step whose vectors these are.

    The best that its stopping rule has seen, or else the vectors of the checkpoint's step, which lie beside it.
    """
    from tiregistry.embeddings.embedding import Embedding

    best_step = checkpoint.state.get("best_step")
    best = {key.removeprefix("best."): rows for key, rows in checkpoint.state.items() if key.startswith("best.")}
    if best and best_step is not None and int(best_step[0]) > 0:
        return Embedding({role: rows.numpy() for role, rows in best.items()}), int(best_step[0])
    for point in trail(folder):
        if point.step == checkpoint.step:
            return point.embedding(), point.step
    raise Damaged(
        f"the vectors of step {checkpoint.step} of run {folder.name} are gone", "tireg runs resume goes on with it"
    )
