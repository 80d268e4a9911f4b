"""`tireg train`: learn a word from pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tireg_cli.interrupts import polite_stop
from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_json
from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.training.config import LR_SCHEDULERS, RECIPES, TrainingConfig

KEEPING = "stopping after this step, keeping what was learned (Ctrl-C again stops at once)"


@click.command("train")
@click.argument("name")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--type",
    "concept_type",
    type=click.Choice(CONCEPT_TYPES),
    default="object",
    show_default=True,
    help="A thing, or a style.",
)
@click.option("--init", "initializer", default="", metavar="WORDS", help="Vocabulary words to start from, e.g. teapot.")
@click.option("--token", default="", metavar="<TOKEN>", help="Placeholder token; default <NAME>.")
@click.option("--base", default="", metavar="BASE", help="Registered base model, folder or Hub id. Default: embedded.")
@click.option("--num-vectors", type=int, help="Vectors of the word; one is the most editable.")
@click.option("--recipe", type=click.Choice(RECIPES), default="direction", show_default=True)
@click.option("--max-steps", type=int, help="Optimiser steps; default from the recipe.")
@click.option("--batch-size", type=int, help="Samples per step; default from the recipe.")
@click.option("--lr", "learning_rate", type=float, help="Learning rate; default from the recipe.")
@click.option("--lr-scheduler", type=click.Choice(LR_SCHEDULERS), help="Default from the recipe.")
@click.option("--resolution", type=int, help="Side of training pictures in pixels; default the base model's.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Learn from mirrored pictures too.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16, fp16.")
@click.option("--checkpoint-every", type=int, default=50, show_default=True, metavar="STEPS")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the reference.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    images: tuple[Path, ...],
    token: str,
    base: str,
    device: str,
    precision: str,
    as_json: bool,
    **options: Any,
) -> int:
    """Learn the word NAME from pictures (files or folders; 3 to 5 are usual).

    Prints the new version, such as gnome@1. Training NAME again adds a version.

    \b
    Examples:
      tireg train gnome ./gnome-photos --init gnome
      tireg train inkwash a.png b.png c.png --type style --init watercolor
      tireg train mug ./mug --base stabilityai/stable-diffusion-2-1 --max-steps 500
    """
    from tireg_cli.progress import follow
    from tiregistry.images import read_pictures
    from tiregistry.registry.registry import Registry
    from tiregistry.training.run import TrainingRequest, check_request, train

    config = TrainingConfig(**options)
    config.check()
    pictures, notes = read_pictures(images)
    for note in notes:
        warn(note)
    if len(pictures) == 1:
        warn("one picture teaches the picture as much as the thing; 3 to 5 with different surroundings work better")
    request = TrainingRequest(name, pictures, config, token, base, device=device, precision=precision)
    with Registry.open() as registry:
        check_request(registry, request)
        with polite_stop(KEEPING) as stop:
            finished = follow(train(registry, request, stop=stop), stop)
        version = registry.version(finished.reference)
        if as_json:
            emit_json(
                {
                    "reference": version.reference,
                    "digest": version.digest,
                    "placeholder_token": version.placeholder_token,
                    "steps": finished.step,
                    "reason": finished.reason,
                    "seconds": round(finished.seconds, 3),
                    "run": version.run_id,
                }
            )
        else:
            emit(version.reference)
        if finished.reason == "interrupted":
            hint(
                f"stopped after {finished.step} steps; what was learned is {version.reference}"
                f" · tireg runs resume {version.run_id} goes on"
            )
            return 130
        base_option = "" if version.base_name == registry.default_base else f" --base {version.base_name}"
        hint(
            f"{finished.step} steps in {finished.seconds:.0f} s"
            f' · try: tireg gen "a photo of {version.placeholder_token}"{base_option} --show'
        )
    return 0
