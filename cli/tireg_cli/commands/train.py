"""`tireg train`: learn words from pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_fields, emit_json
from tireg_cli.paths import PathParam
from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.quantities import count, duration, size
from tiregistry.training.recipes import LR_SCHEDULERS, RECIPES

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry
    from tiregistry.training.request import TrainingRequest


@click.command("train")
@click.argument("name", required=False, default="")
@click.argument("images", nargs=-1, type=PathParam())
@click.option("--type", "concept_type", type=click.Choice(CONCEPT_TYPES), help="A thing (default), or a style.")
@click.option("--init", "initializer", metavar="WORDS", help="Words to start from (teapot), or a version (gnome@2).")
@click.option("--token", default="", metavar="<TOKEN>", help="Placeholder token; default <NAME>.")
@click.option("--base", default="", metavar="BASE", help="Registered base model, folder or Hub id. Default: embedded.")
@click.option("--num-vectors", type=int, help="Vectors of the word; one is the most editable.")
@click.option("--recipe", type=click.Choice(RECIPES), help="Default: direction.")
@click.option("--max-steps", type=int, help="Most optimiser steps; default from the recipe.")
@click.option("--no-stop", is_flag=True, help="Take all steps, also when the word no longer changes.")
@click.option("--batch-size", type=int, help="Samples per step; default from the recipe.")
@click.option("--lr", "learning_rate", type=float, help="Learning rate; default from the recipe.")
@click.option("--lr-scheduler", type=click.Choice(LR_SCHEDULERS), help="Default from the recipe.")
@click.option("--resolution", type=int, help="Side of training pictures in pixels; default the base model's.")
@click.option("--flip/--no-flip", default=None, help="Learn from mirrored pictures too (usual), or not.")
@click.option(
    "--mask",
    type=PathParam(as_text=True),
    metavar="alpha|FOLDER",
    help="Learn only what is opaque, or white in FOLDER's masks.",
)
@click.option("--captions", type=PathParam(), metavar="FOLDER", help="Text files with the captions.")
@click.option("--no-captions", is_flag=True, help="Take no notice of .txt files beside the pictures.")
@click.option(
    "--preview", "previews", multiple=True, metavar="PROMPT", help="Picture this while training; {} is the word."
)
@click.option("--preview-every", type=int, metavar="STEPS", help="Default 100, and at the end.")
@click.option("--seed", type=int, help="Default 0.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", help="auto (default), fp32, bf16, fp16.")
@click.option("--gradient-checkpointing", is_flag=True, default=None, help="Less memory, slower.")
@click.option("--checkpoint-every", type=int, metavar="STEPS", help="Default 50.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of docs/training.md.")
@click.option("--each", is_flag=True, help="Every argument is a folder of one concept; all are learned in one pass.")
@click.option("--from", "plan", type=PathParam(), metavar="PLAN.TOML", help="Learn a plan's concepts.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what it will need; train nothing.")
@click.option("--detach", is_flag=True, help="Return at once; a worker trains in the background.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of references.")
def command(dry_run: bool, detach: bool, as_json: bool, **options: Any) -> int:
    """Learn the word NAME from pictures (files or folders; 3 to 5 are usual).

    Prints the new version, such as gnome@1. Training NAME again adds a version; without IMAGES it is learned from the
    pictures, captions and masks of its newest version, or of the one that NAME names (gnome@2).

    \b
    Examples:
      tireg train gnome ./gnome-photos --init gnome
      tireg train inkwash a.png b.png c.png --type style --init watercolor
      tireg train gnome ./more-photos --init gnome@2           goes on from a version
      tireg train gnome --recipe thorough                      from the pictures it has
      tireg train --each concepts/*/                           one concept for each folder
      tireg train --from plan.toml --detach                    in the background
      tireg train gnome ./gnome-photos --base ./sdxl --dry-run memory, time and device first
    """
    from tireg_cli.training_options import TrainOptions, requests_of
    from tiregistry.registry.registry import Registry

    requests = requests_of(TrainOptions.of(**options))
    with Registry.open() as registry:
        if dry_run:
            return _estimate(registry, requests, as_json)
        if detach:
            return _detach(registry, requests, as_json)
        from tireg_cli.learning import learn_here
        from tiregistry.training.run import train_many

        return learn_here(
            registry, lambda stop: train_many(registry, requests, stop=stop), words=len(requests), as_json=as_json
        )


def _estimate(registry: Registry, requests: list[TrainingRequest], as_json: bool) -> int:
    from tiregistry.bases.device_facts import look_at_device
    from tiregistry.training.base_check import check_base
    from tiregistry.training.estimate import Estimate, estimate_pass, estimate_training
    from tiregistry.training.notes import notes_before
    from tiregistry.training.one_pass import check_requests

    def needs(found: Estimate, at_most: str = "about") -> dict[str, object]:
        whole = " for all steps" if found.may_stop_earlier else ""
        time = "" if found.seconds is None else f"{at_most} {duration(found.seconds)}{whole}, {found.basis}"
        return {"memory": f"about {size(found.memory)}" if found.memory else "", "time": time}

    documents = []
    checked = check_requests(registry, requests)
    device = look_at_device(checked[0].device)
    for request in checked:
        base = check_base(registry, request)
        found = estimate_training(registry, request, device)
        documents.append({"concept": request.concept, "base": base, "device": device.as_dict(), **found.as_dict()})
        if as_json:
            continue
        if request is not checked[0]:
            emit()
        emit_fields(
            {
                "concept": request.concept,
                "token": request.placeholder_token,
                "base": base,
                "device": device.label,
                **(needs(found) if len(checked) == 1 else {}),
                "steps": f"{request.config.max_steps} of {count(request.config.samples_per_step, 'sample')}",
                "pictures": len(request.pictures),
            }
        )
        for problem in found.problems if len(checked) == 1 else ():
            warn(problem)
    for note in () if as_json else notes_before(registry, checked):
        warn(note)
    together = estimate_pass(registry, checked, device) if len(checked) > 1 else None
    if as_json:
        emit_json(documents[0] if together is None else {"concepts": documents, "pass": together.as_dict()})
    elif together is not None:
        emit()
        emit_fields({"one pass": count(len(checked), "word"), **needs(together, "at most about")})
        for problem in together.problems:
            warn(problem)
    return 0


def _detach(registry: Registry, requests: list[TrainingRequest], as_json: bool) -> int:
    from tireg_cli.runs.describing import place_of
    from tiregistry.runs.control import start
    from tiregistry.runs.queue import enqueue
    from tiregistry.training.notes import notes_before
    from tiregistry.training.one_pass import check_requests

    checked = check_requests(registry, requests)
    runs = enqueue(registry, checked)
    for note in notes_before(registry, checked):
        warn(note)
    start(registry, runs)
    if as_json:
        data = [{"run": run.id, "concept": run.concept, "status": run.status} for run in runs]
        emit_json(data if len(data) > 1 else data[0])
    else:
        for run in runs:
            emit(run.id)
    hint(f"{place_of(registry, runs)} · tireg runs watch {runs[-1].id} · tireg runs cancel {runs[-1].id}")
    return 0
