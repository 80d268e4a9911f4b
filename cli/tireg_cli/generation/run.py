"""The three ways of `tireg gen`: prompts on the command line, prompts from a file or stdin, a picture made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tireg_cli.generation.lines import run_lines
from tireg_cli.generation.options import Options
from tireg_cli.generation.results import Results
from tireg_cli.generation.session import Made, Session
from tireg_cli.messages import hint
from tiregistry.generation.metadata import FORMATS, LONGEST, save_image
from tiregistry.generation.plan import Cell, arrange, blend_words, split_words, variants_of
from tiregistry.generation.processor import computing_as
from tiregistry.generation.replacing import check_replaceable
from tiregistry.generation.saving import Target
from tiregistry.generation.templates import Wildcards
from tiregistry.opening import identify_base

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

_FRAMES = 5
"""Steps of a blend where none are asked for."""


def run_prompts(
    registry: Registry, prompts: Sequence[str], options: Options, keep: bool, wildcards: Wildcards, results: Results
) -> int:
    """Make the pictures of all prompts; everything is checked before the first one.

    Raises:
        TiregError: a prompt, an option or the base model cannot be used.
    """
    _look_at_terminal(options)
    plain = options.request()
    words = _words(registry, options)
    requests = [replace(plain, prompt=prompt) for prompt in prompts]
    planned = [(request, variants_of(request, wildcards, words)) for request in requests]
    session = Session(registry, options, keep=keep)
    everything = [variant for _, variants in planned for variant in variants]
    assert options.out is not None
    target = Target(options.out, len(everything) * plain.count, options.suffix)
    jobs = session.prepare(plain, everything)
    collected: list[Made] | None = [] if options.grid or options.show else None
    for made in session.make(jobs, target, partial(results.preview, line=None)):
        results.made(made, None, 0)
        if collected is not None:
            collected.append(made)
    _finish(collected, options, results)
    return 0


def run_source(
    registry: Registry, source: str, options: Options, keep: bool, wildcards: Wildcards, results: Results
) -> int:
    """Make the pictures of every line of a file or stdin; 1 when a line failed, else 0.

    Raises:
        TiregError: an option or the base model cannot be used.
    """
    _look_at_terminal(options)
    defaults = options.request(has_start=True)
    if options.base:
        identify_base(registry, options.base)
    assert options.out is not None
    target = Target(options.out, None, options.suffix)
    collected: list[Made] | None = [] if options.grid or options.show else None
    session = Session(registry, options, keep=keep)
    code = run_lines(session, source, defaults, wildcards, target, results, _words(registry, options), collected)
    _finish(collected, options, results)
    return code


def run_like(registry: Registry, path: Path, options: Options, keep: bool, results: Results) -> int:
    """Make a picture again from the recipe in its file, or a variation of it.

    Raises:
        TiregError: the file has no recipe, or what it needs is not here.
    """
    from tireg_cli.generation.repeating import Like

    _look_at_terminal(options)
    like = Like(registry, path, options)
    session = Session(registry, like.as_it_was(options), keep=keep, base=like.base)
    assert options.out is not None
    target = Target(options.out, like.request.count, options.suffix if options.file_format else path.suffix.lower())
    collected: list[Made] = []
    with computing_as(like.repeat.threads):
        jobs = like.jobs(session)
        for made in session.make(jobs, target, partial(results.preview, line=None), among=like.among):
            results.made(made, None, 0)
            if not collected:
                like.report(made)
            collected.append(made)
    _finish(collected, options, results)
    return 0


def _look_at_terminal(options: Options) -> None:
    """Ask the terminal now: the keys for the next command may be typed while the pictures are made."""
    if options.show:
        from tireg_cli.pictures import this_terminal

        this_terminal()


def _words(registry: Registry, options: Options) -> list[str]:
    if options.blend:
        return blend_words(*options.blend, _FRAMES if options.frames is None else options.frames)
    return split_words(registry, options.words) if options.words else []


def _finish(collected: list[Made] | None, options: Options, results: Results) -> None:
    """Show and arrange what was made, and end the results."""
    results.close()
    if not collected:
        return
    images = [made.picture.image for made in collected]
    if options.show:
        from tireg_cli.pictures import say_when_none_are_drawn, show_picture, show_pictures

        say_when_none_are_drawn()
        labels = [f"{made.job.variant.prompt} · {made.picture.recipe['seed']}" for made in collected]
        if len(images) == 1:
            show_picture(images[0], caption=labels[0])
        else:
            show_pictures(images, labels)
    if options.grid is not None:
        from tiregistry.generation.grids import labelled_grid, side_within

        cells = [
            Cell(m.job.variant.template, m.job.variant.word, m.picture.recipe["seed"], m.picture.image)
            for m in collected
        ]
        rows, row_labels, column_labels = arrange(cells, is_blend=bool(options.blend))
        largest = max(max(image.size) for image in images)
        side = max(128, largest) if largest <= 256 else 256
        side = side_within(len(rows), len(rows[0]), side, LONGEST[FORMATS[options.grid.suffix.lower()]])
        # A picture may have come to lie there in the meantime.
        check_replaceable(options.grid, "grid")
        save_image(labelled_grid(rows, row_labels, column_labels, cell=side), options.grid)
        hint(f"grid: {options.grid}")
