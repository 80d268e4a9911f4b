"""`tireg demo`: the whole story on the embedded base model, explained on the way."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tireg_cli.interrupts import StopRequest, polite_stop
from tireg_cli.messages import hint, say
from tireg_cli.output import emit
from tireg_cli.paths import PathParam
from tiregistry.errors import Interrupted

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.demo import BundledConcept
    from tiregistry.registry.registry import Registry


@click.command("demo")
@click.option(
    "--out",
    type=PathParam(file_okay=False),
    default=Path("tireg-demo"),
    show_default=True,
    help="Folder for the grid and its pictures.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first picture.")
@click.option("--columns", type=click.IntRange(1, 8), default=3, show_default=True, help="Pictures per prompt.")
@click.option("--show/--no-show", default=True, help="Draw the pictures in the terminal.")
@click.option("--again", is_flag=True, help="Learn the words again even when an earlier demo left them.")
def command(out: Path, seed: int, columns: int, show: bool, again: bool) -> None:
    """Learn one thing and one style from four pictures each, then compose them.

    Runs on the small base model that comes with tiregistry: no GPU, no network, a few minutes.
    Prints the path of a labelled grid of pictures.

    \b
    Example:
      tireg demo --out my-demo
    """
    from tiregistry.demo import bundled_concepts, compositions
    from tiregistry.generation.replacing import check_replaceable
    from tiregistry.registry.registry import Registry

    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    check_replaceable(out / "grid.png", "grid")
    thing, style = bundled_concepts()
    with Registry.open() as registry, polite_stop("stopping after this step") as stop:
        _explain(
            "Textual Inversion teaches a frozen picture model a new word from a few pictures. The model that comes"
            " with tiregistry draws a small world of simple things at 64 pixels. It has never seen the two concepts"
            " that it is about to learn. Only one vector for each is trained; the model itself does not change."
        )
        tokens = []
        for number, concept in enumerate((thing, style), 1):
            kind = "thing" if concept.concept_type == "object" else "style"
            _explain(f"{number}. A {kind}: {concept.caption}.")
            tokens.append(_learn(registry, concept, stop, show=show, again=again))
        _explain(f"3. Composing. {tokens[0]} and {tokens[1]} are words now, and work in any prompt:")
        prompts = compositions(tokens[0], tokens[1], thing.initializer)
        sources = {token: concept.folder for token, concept in zip(tokens, (thing, style), strict=True)}
        path = _compose(registry, prompts, range(seed, seed + columns), out, sources, show=show)
    emit(str(path))
    _explain(
        f"Done in {time.monotonic() - began:.0f} s. Both words are in your registry, with their pictures, settings and"
        " loss curves. Next:"
    )
    say("  tireg list")
    say(f"  tireg show {thing.name}")
    say(f'  tireg gen "a pixel art of a {tokens[0]}" -n 4 --show')
    say("  tireg train NAME your-pictures/ --init WORD        your own (with --base for a large model)")


def _learn(registry: Registry, concept: BundledConcept, stop: StopRequest, *, show: bool, again: bool) -> str:
    """Learn a bundled concept, or find it learned; returns its placeholder token."""
    from tireg_cli.pictures import show_pictures, this_terminal
    from tireg_cli.progress import follow
    from tiregistry.demo import learned_already
    from tiregistry.training.gathering import gather
    from tiregistry.training.run import TrainingRequest, train

    gathered = gather([concept.folder])
    pictures = gathered.pictures
    if show and this_terminal().protocol != "off":
        say("These are its pictures:")
        show_pictures([p.image for p in pictures], [p.filename for p in pictures])
    else:
        say(f"It has {len(pictures)} pictures, all of which the grid shows.")
    found = None if again else learned_already(registry, concept)
    if found is not None:
        say(f"Learned by an earlier demo: {found.reference} (--again learns it anew).")
        return registry.concept(found.concept).placeholder_token
    request = TrainingRequest(concept.name, pictures, concept.config, base="embedded", captions=gathered.captions)
    finished = follow(train(registry, request, stop=stop), stop)
    stop.armed = False
    version = registry.version(finished.reference)
    if finished.reason == "interrupted":
        raise Interrupted(
            f"stopped at step {finished.step}; what was learned is {version.reference}",
            "tireg demo again starts over with the words that are complete",
        )
    loss = registry.record(version)["loss"]
    fifth = max(1, len(loss) // 5)
    say(
        f"{version.reference} learned in {finished.seconds:.0f} s: the loss went from {sum(loss[:fifth]) / fifth:.3f}"
        f" to {sum(loss[-fifth:]) / fifth:.3f}. Its placeholder token is {version.placeholder_token}"
    )
    return version.placeholder_token


def _compose(
    registry: Registry, prompts: list[str], seeds: range, out: Path, sources: Mapping[str, Path], *, show: bool
) -> Path:
    """Generate the pictures of every prompt, save them and one labelled grid; returns the grid's path.

    Args:
        sources: the folder of each word's source pictures, by placeholder token.
    """
    from tireg_cli.pictures import show_picture
    from tiregistry.bases.cpu_threads import BusyWatch, free_threads, using_threads
    from tiregistry.demo import demo_sheet
    from tiregistry.generation.generator import Generator
    from tiregistry.generation.metadata import save_image, save_picture
    from tiregistry.generation.settings import GenerationSettings
    from tiregistry.images import read_pictures

    watch = BusyWatch()
    generator = Generator("embedded", registry)
    settings = GenerationSettings(guidance_scale=4.0)
    rows: dict[str, list[Image]] = {}
    for number, prompt in enumerate(prompts):
        hint(f"  {prompt}")
        rows[prompt] = []
        with using_threads(free_threads(watch)):
            prepared = generator.prepare(prompt, settings)
            for picture in generator.render(prepared, seeds, batch_size=len(seeds)):
                save_picture(picture, out / f"{number}-{picture.recipe['seed']}.png")
                rows[prompt].append(picture.image)
    learned_from = {token: [p.image for p in read_pictures([folder])[0]] for token, folder in sources.items()}
    sheet = demo_sheet(learned_from, rows)
    path = out / "grid.png"
    save_image(sheet, path)
    if show:
        show_picture(sheet)
    return path


def _explain(text: str) -> None:
    say("")
    for line in textwrap.wrap(text, 88):
        say(line)
