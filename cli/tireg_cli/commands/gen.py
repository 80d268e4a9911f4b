"""`tireg gen`: pictures from prompts that name words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_json
from tiregistry.errors import InvalidInput
from tiregistry.generation.settings import SCHEDULERS, GenerationSettings


@click.command("gen")
@click.argument("prompts", nargs=-1, required=True, metavar="PROMPT...")
@click.option("--base", default="", metavar="BASE", help="Default: the base model of the words in the prompts.")
@click.option("-n", "count", type=click.IntRange(1, 10000), default=1, show_default=True, help="Pictures per prompt.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of the first picture; the next ones count up.",
)
@click.option("--steps", type=int, default=30, show_default=True, help="Denoising steps.")
@click.option("--guidance", type=float, default=5.0, show_default=True, help="How strongly the prompt is followed.")
@click.option("--negative", default="", metavar="PROMPT", help="What to steer away from.")
@click.option("--size", default="", metavar="WxH", help="Pixels, e.g. 512x512; default the base model's own.")
@click.option("--scheduler", type=click.Choice(tuple(SCHEDULERS)), default="ddim", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder, or a file name ending in .png.")
@click.option(
    "--grid", type=click.Path(path_type=Path), metavar="FILE", help="Also save all pictures as one labelled grid."
)
@click.option("--show", is_flag=True, help="Draw the pictures in the terminal.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option(
    "--allow-compatible", is_flag=True, help="Take words of another model with the same token-embedding table."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with all paths and recipes.")
def command(
    prompts: tuple[str, ...],
    base: str,
    count: int,
    seed: int,
    steps: int,
    guidance: float,
    negative: str,
    size: str,
    scheduler: str,
    out: Path,
    grid: Path | None,
    show: bool,
    device: str,
    precision: str,
    allow_compatible: bool,
    as_json: bool,
) -> None:
    """Generate pictures; words are written <gnome>, <gnome@3> or <gnome@best>, and \\< is a plain bracket.

    Prints the path of each picture as soon as it is saved. Every PNG holds its full recipe.

    \b
    Examples:
      tireg gen "a photo of <gnome> on the beach" --show
      tireg gen "an oil painting of <gnome>" "<gnome> in the snow" -n 4 --seed 7 --out pictures --grid grid.png
    """
    width, height = parse_size(size)
    settings = GenerationSettings(
        num_inference_steps=steps,
        guidance_scale=guidance,
        negative_prompt=negative,
        width=width,
        height=height,
        scheduler=scheduler,
    )
    settings.check()
    from tiregistry.generation.generator import Generator
    from tiregistry.generation.metadata import save_picture
    from tiregistry.generation.words import base_of_words
    from tiregistry.opening import open_base
    from tiregistry.registry.registry import Registry

    target = Target(out, total=len(prompts) * count)
    with Registry.open() as registry:
        # Everything a user can get wrong is looked at before the model, and its seconds of loading, are needed.
        wanted = base or base_of_words(registry, [*prompts, negative])
        loaded = open_base(registry, wanted, device=device, precision=precision)
        generator = Generator(registry, loaded, allow_compatible)
        prepared = [generator.prepare(prompt, settings) for prompt in prompts]
        for warning in generator.warnings:
            warn(warning)
        done: list[dict[str, Any]] = []
        images = []
        for item in prepared:
            for picture in generator.render(item, range(seed, seed + count)):
                path = target.next(item.prompt, int(picture.recipe["seed"]))
                save_picture(picture, path)
                if not registry.readonly:
                    registry.add_picture(
                        path.resolve(),
                        item.prompt,
                        picture.recipe,
                        words=[v.digest for v in item.versions.values()],
                        base_name=loaded.identity.name,
                    )
                images.append(picture.image)
                done.append({"path": str(path), "recipe": picture.recipe})
                if not as_json:
                    emit(str(path))
        if show:
            from tireg_cli.pictures import show_picture, show_pictures

            labels = [f"{entry['recipe']['prompt']} · {entry['recipe']['seed']}" for entry in done]
            if len(images) == 1:
                show_picture(images[0], caption=labels[0])
            else:
                show_pictures(images, labels)
        if grid is not None:
            from tiregistry.generation.grids import labelled_grid

            rows = [images[i : i + count] for i in range(0, len(images), count)]
            sheet = labelled_grid(
                rows,
                [item.prompt for item in prepared],
                [f"seed {s}" for s in range(seed, seed + count)],
                cell=max(128, loaded.resolution if loaded.resolution <= 256 else 256),
            )
            sheet.save(grid)
            hint(f"grid: {grid}")
        if as_json:
            emit_json(done)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `WxH` or of one number; (0, 0) for an empty text.

    Raises:
        InvalidInput: it is written otherwise.
    """
    if not text:
        return 0, 0
    match = re.fullmatch(r"(\d{1,5})(?:[xX×](\d{1,5}))?", text.strip())
    if match is None:
        raise InvalidInput(f"--size {text!r} is not a size", "write it like 512x512")
    return int(match.group(1)), int(match.group(2) or match.group(1))


class Target:
    """Where pictures go: names that say what they are and never overwrite anything."""

    def __init__(self, out: Path, total: int) -> None:
        self._single = out.suffix.lower() == ".png"
        if out.suffix and not self._single and not out.is_dir():
            raise InvalidInput(f"--out {out}: pictures are saved as PNG", "give a folder, or a name that ends in .png")
        if self._single and total > 1:
            self._folder, self._stem = out.parent, out.stem
        elif self._single:
            self._folder, self._stem = out.parent, out.stem
        else:
            self._folder, self._stem = out, ""
        self._total = total
        self._folder.mkdir(parents=True, exist_ok=True)

    def next(self, prompt: str, seed: int) -> Path:
        """A free path for the next picture; a single named file is replaced."""
        if self._single and self._total == 1:
            return self._folder / f"{self._stem}.png"
        words = re.sub(r"[^\w]+", "-", re.sub(r"[<>]", "", prompt)).strip("-_")[:48].strip("-_") or "picture"
        stem = self._stem or words.lower()
        path, extra = self._folder / f"{stem}-{seed}.png", 1
        while path.exists():
            extra += 1
            path = self._folder / f"{stem}-{seed}-{extra}.png"
        return path
