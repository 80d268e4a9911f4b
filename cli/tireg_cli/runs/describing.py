"""What is said of a run: its status, its result, why it ended; the same in lists, in full and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from tireg_cli import forms
from tireg_cli.messages import hint
from tiregistry.concepts import Run
from tiregistry.errors import VersionNotFound
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry

if TYPE_CHECKING:
    from tiregistry.runs.liveness import Standing


def in_words(standing: Standing) -> str:
    """How a run stands, as lists and JSON have it: whether anybody is there to take it up is said in a hint."""
    return "queued" if standing == "in vain" else standing


def status_of(registry: Registry, run: Run) -> str:
    """How one run stands, as lists and JSON have it."""
    from tiregistry.runs.liveness import standing_of

    return in_words(standing_of(registry, run))


def result_of(registry: Registry, run: Run) -> str:
    """The reference of the version the run made, when there is one."""
    if run.version_id is None:
        return ""
    try:
        return registry.version_by_id(run.version_id).reference
    except VersionNotFound:
        return ""


def changed_settings(run: Run) -> dict[str, Any]:
    """The settings that differ from what a run has when nothing is said."""
    from tiregistry.bases.locating import EMBEDDED
    from tiregistry.training.config import TrainingConfig

    settings = dict(run.config.get("training", {}))
    recipe = settings.get("recipe", "direction")
    embedded = run.config.get("base", {}).get("name") == EMBEDDED
    concept_type = settings.get("concept_type", "object")
    bare = TrainingConfig(recipe=recipe, concept_type=concept_type).resolved(embedded=embedded).as_dict()
    usual = bare | {"recipe": None, "concept_type": TrainingConfig().concept_type}
    return {key: value for key, value in settings.items() if value is not None and usual.get(key) != value}


def as_data(registry: Registry, run: Run, seen: str, *, full: bool = False) -> dict[str, Any]:
    """A run as JSON data.

    Args:
        seen: how it stands, see `in_words`.
        full: with its whole configuration and the place of its folder.
    """
    data = {
        "id": run.id,
        "concept": run.concept,
        "status": seen,
        "step": run.step,
        "max_steps": run.max_steps,
        "loss": run.loss,
        "device": run.device,
        "pid": run.pid,
        "message": why(registry, run, seen),
        "result": result_of(registry, run) or None,
        "created_at": forms.moment(run.created_at),
        "started_at": forms.moment(run.started_at),
        "heartbeat_at": forms.moment(run.heartbeat_at),
        "finished_at": forms.moment(run.finished_at),
    }
    return data | ({"config": run.config, "folder": str(registry.home / "runs" / run.id)} if full else {})


def why(registry: Registry, run: Run, seen: str) -> str:
    """How a run came to its end; of a dead one what its worker said last."""
    from tiregistry.runs.liveness import last_error

    return (last_error(registry, run) if seen == "dead" else "") or run.message


def place_of(registry: Registry, runs: Sequence[Run]) -> str:
    """Where runs of one device stand that were just put into the queue: being taken up, or behind others."""
    from tiregistry.runs.liveness import is_dead

    ids, device = {run.id for run in runs}, runs[0].device
    at_work = [run for run in registry.runs(status="running") if not is_dead(registry, run)]
    waiting = list(takewhile(lambda run: run.id not in ids, registry.queue()))
    before = [
        run
        for run in (*at_work, *waiting)
        if run.id not in ids and not run.held and (run.device == device or not run.device or not device)
    ]
    return f"waits behind {count(len(before), 'run')}" if before else "training in the background"


def tell_of_waiting(run: Run) -> None:
    """Say that nobody will take a run up that waits, and what helps."""
    hint(f"{run.concept} waits and nothing is at work · tireg runs resume {run.id} --detach starts it")
