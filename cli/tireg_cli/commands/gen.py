"""`tireg gen`: pictures from prompts that name words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tireg_cli.generation.options import Options, with_settings
from tireg_cli.paths import PathParam
from tiregistry.errors import InvalidInput
from tiregistry.generation.settings import MAX_BATCH, SCHEDULERS


@click.command("gen")
@click.argument("prompts", nargs=-1, metavar="PROMPT...")
@click.option("--from", "source", metavar="FILE", help="Read prompts, text or JSON, one per line.")
@click.option("--like", type=PathParam(), metavar="PICTURE", help="Repeat a picture from its own file.")
@click.option("--base", default="", metavar="BASE", help="Default: the base model of the words in the prompts.")
@click.option("-n", "count", type=int, help="Pictures per prompt. [default: 1]")
@click.option("--seed", type=int, help="Seed of the first picture; the next ones count up. [default: 0]")
@click.option("--steps", type=int, help="Denoising steps. [default: usually 30]")
@click.option("--guidance", type=float, help="How strongly the prompt is followed. [default: usually 5]")
@click.option("--negative", metavar="PROMPT", help="What to steer away from.")
@click.option("--size", metavar="WxH", help="Pixels, e.g. 512x512; default the base model's own.")
@click.option("--scheduler", type=click.Choice(tuple(SCHEDULERS)), help="[default: usually ddim]")
@click.option("--random", "sample", type=int, metavar="N", help="N random ones of all combinations of {a|b} and __c__.")
@click.option(
    "--wildcards",
    multiple=True,
    type=PathParam(file_okay=False),
    metavar="FOLDER",
    help="Where __name__ finds name.txt. [default: ./wildcards]",
)
@click.option("--words", default="", metavar="A,B,...", help="Fill <> in the prompts with each word; gnome@* for all.")
@click.option("--blend", nargs=2, metavar="A B", help="Fill <> with words on the way from A to B.")
@click.option("--frames", type=int, help="Steps of --blend. [default: 5]")
@click.option("--init", type=PathParam(), metavar="PICTURE", help="Start from a picture.")
@click.option("--mask", type=PathParam(), metavar="PICTURE", help="Change only what is white here.")
@click.option("--strength", type=float, help="How much of --init may change, up to 1. [default: 0.7]")
@click.option("--out", type=PathParam(), help="Folder, or a file name ending in .png, .webp, .jpg.")
@click.option("--format", "file_format", type=click.Choice(("png", "webp", "jpg")), help="[default: png]")
@click.option("--keep/--no-keep", default=None, help="Keep the pictures in the registry too.")
@click.option("--grid", type=PathParam(), metavar="FILE", help="Also save them as one labelled grid.")
@click.option("--show", is_flag=True, help="Draw the pictures in the terminal.")
@click.option("--previews", type=click.IntRange(1), metavar="STEPS", help="Save and draw what it looks like so far.")
@click.option("--taesd", default="", metavar="SOURCE", help="TAESD that decodes previews: folder, file or Hub id.")
@click.option("--batch-size", type=click.IntRange(1, MAX_BATCH), help="Pictures at a time. [default: 1]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16, fp16.")
@click.option("--allow-compatible", is_flag=True, help="Take words of another model with the same vocabulary.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with all paths and recipes.")
def command(prompts: tuple[str, ...], source: str | None, like: Path | None, **given: Any) -> int:
    """Generate pictures; words are written <gnome>, <gnome@3> or <gnome@best>, and \\< is a plain bracket.

    Prints the path of each picture as soon as it is saved; every picture holds its full recipe. With - as the prompt,
    reads prompts from stdin and prints one JSON object per picture; a broken line is reported and the rest go on.

    (text:1.3) counts more, [text] less; {a|b} and __file__ give all combinations. docs/prompts.md has the grammar.

    A picture does not depend on how many are made or in which order. With --batch-size above 1 several are made at a
    time: quicker, on a CPU to the same bits, on a GPU up to rounding. --like repeats either to the last bit, on the
    same processor. --grid, and --out with a picture's name, replace what
    they made before, and no other file; in a folder a name that is taken gets a number.

    \b
    Examples:
      tireg gen "a photo of <gnome> on the beach" --show
      tireg gen "an oil painting of <gnome>" "<gnome> in the snow" -n 4 --seed 7 --out pictures --grid grid.png
      tireg gen "a {red|blue} <gnome>" --grid colours.png
      tireg gen "a photo of <>" --words gnome@1,gnome@2 -n 4 --grid versions.png
      tireg gen "a <gnome> in a meadow" --init photo.png --mask place.png
      tireg gen --like pictures/an-oil-painting-of-gnome-7.png
      jq -c .prompts[] list.json | tireg gen - --out pictures
    """
    options, keep = with_settings(Options(**given))
    ways = bool(prompts) + (source is not None) + (like is not None)
    if ways != 1 or ("-" in prompts and len(prompts) > 1):
        raise InvalidInput(
            "give prompts, or -, or --from FILE, or --like PICTURE, and only one of them",
            'tireg gen "a photo of <gnome>"',
        )
    if options.words and options.blend:
        raise InvalidInput("--words and --blend both fill <>", "use one of them")
    if like is not None and (options.words or options.blend or options.sample):
        raise InvalidInput("--like repeats one prompt", "leave --words, --blend and --random out")
    if options.frames is not None and not options.blend:
        raise InvalidInput("--frames are those of a blend, and none is asked for", "add --blend A B")
    if options.taesd and not options.previews:
        raise InvalidInput("--taesd decodes previews, and none are asked for", "add --previews 5")
    _check_files(options, like)
    source = "-" if prompts == ("-",) else source

    from tireg_cli.generation.results import Document, Lines, Paths, Results
    from tireg_cli.generation.run import run_like, run_prompts, run_source
    from tiregistry.generation.templates import Wildcards
    from tiregistry.registry.registry import Registry

    wildcards = Wildcards(options.wildcards)
    results: Results = Lines() if source == "-" else Document() if options.as_json else Paths()
    with Registry.open() as registry:
        try:
            if like is not None:
                return run_like(registry, like, options, keep, results)
            if source is not None:
                return run_source(registry, source, options, keep, wildcards, results)
            return run_prompts(registry, prompts, options, keep, wildcards, results)
        except KeyboardInterrupt:
            results.close()
            raise


def _check_files(options: Options, like: Path | None) -> None:
    """Refuse results that would take the place of something else.

    Raises:
        InvalidInput: two options name one file, or contradict each other.
        AlreadyExists: the grid would take the place of another file.
    """
    from tiregistry.generation.metadata import FORMATS
    from tiregistry.generation.replacing import check_apart, check_replaceable

    sources = [("--like", like), ("--init", options.init), ("--mask", options.mask)]
    grid, out = options.grid, options.out
    if grid is not None:
        has_folder = grid.parent.is_dir() or (out is not None and grid.parent.absolute() == out.absolute())
        if grid.suffix.lower() not in FORMATS or not has_folder:
            raise InvalidInput(
                f"--grid {grid} cannot be saved", f"name a file in an existing folder, ending in {', '.join(FORMATS)}"
            )
        check_apart(grid, "--grid", [*sources, ("--out", out)])
        check_replaceable(grid, "grid")
    if out is None or out.is_dir() or out.suffix.lower() not in FORMATS:
        return
    check_apart(out, "--out", sources)
    if options.file_format and FORMATS[out.suffix.lower()] != FORMATS[f".{options.file_format}"]:
        raise InvalidInput(
            f"--out {out} and --format {options.file_format} contradict each other", "leave --format out"
        )
