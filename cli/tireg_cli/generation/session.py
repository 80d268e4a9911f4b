"""One loaded base model that serves any number of requests: prepares, renders, saves and logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_cli.bar import CountingBar
from tireg_cli.generation.options import Options
from tireg_cli.messages import say, warn
from tiregistry.concepts import Version
from tiregistry.generation.metadata import save_image
from tiregistry.generation.plan import Variant
from tiregistry.generation.requests import PictureRequest
from tiregistry.generation.saving import Target, log_picture
from tiregistry.generation.settings import USUAL_STEPS
from tiregistry.generation.start import USUAL_STRENGTH, StartPicture, read_start
from tiregistry.generation.words import base_of_words
from tiregistry.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.generation.generator import Generator, Picture
    from tiregistry.generation.prepared import Prepared
    from tiregistry.generation.steps import Step
    from tiregistry.registry.registry import Registry


@dataclass(frozen=True)
class Job:
    """Pictures of one checked prompt."""

    variant: Variant
    item: Prepared
    request: PictureRequest


@dataclass(frozen=True)
class Made:
    """A picture that is on the disk."""

    path: Path
    number: int | None
    """In the registry's gallery."""
    job: Job
    picture: Picture

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {"path": str(self.path), "gallery": self.number, "recipe": self.picture.recipe}


@dataclass(frozen=True)
class Preview:
    """What a picture looks like after some of its steps; it is on the disk too."""

    path: Path
    job: Job
    seed: int
    step: int
    steps: int
    image: Image


class Session:
    """Loads the base model when the first prompt needs it, and keeps it."""

    def __init__(self, registry: Registry, options: Options, *, keep: bool, base: str = "") -> None:
        self.registry = registry
        self.options = options
        self._keep = keep
        if keep and registry.readonly:
            warn(f"the registry in {safe(registry.home)} cannot be written: the pictures are kept as files only")
        self._base = options.base or base
        self._generator: Generator | None = None
        self._said: set[str] = set()
        self._starts: dict[tuple[object, ...], StartPicture] = {}

    def generator(self, prompts: Sequence[str], negative: str = "") -> Generator:
        """The generator; when it is not there yet, on the base model of the words in the prompts.

        Raises:
            InvalidPrompt, NotFound and their kin: a prompt is wrong, or the base model cannot be loaded.
        """
        if self._generator is None:
            from tiregistry.generation.generator import Generator

            wanted = self._base or base_of_words(self.registry, prompts, negative)
            options = self.options
            self._generator = Generator(
                wanted,
                self.registry,
                device=options.device,
                precision=options.precision,
                taesd=options.taesd,
                allow_compatible=options.allow_compatible,
            )
        return self._generator

    def prepare(
        self,
        request: PictureRequest,
        variants: Sequence[Variant],
        *,
        start: StartPicture | None = None,
        pinned: Mapping[str, Version] | None = None,
        line: int | None = None,
    ) -> list[Job]:
        """Check every prompt of a request before any picture of it is made; says what is worth knowing.

        What is to be said of a word is said with the first request that can be carried out with it.

        Args:
            line: where the request stands, for what is said.

        Raises:
            InvalidPrompt, ConceptNotFound, VersionNotFound, WrongBaseModel, InvalidInput: what is wrong.
        """
        negative = request.settings.negative_prompt
        place = "" if line is None else f"line {line}: "
        start = start or self._start(request, place)
        if start is not None:
            start.check(request.settings.num_inference_steps or USUAL_STEPS)
        prompts = [variant.prompt for variant in variants]
        if not pinned:
            # Everything a user can get wrong is looked at before the model, and its seconds of loading, are needed.
            base_of_words(self.registry, prompts, negative)
        generator = self.generator(prompts, negative)
        jobs = [
            Job(variant, generator.prepare(variant.prompt, request.settings, start=start, pinned=pinned), request)
            for variant in variants
        ]
        of_words = dict.fromkeys(warning for job in jobs for warning in job.item.warnings)
        notes = dict.fromkeys(note for job in jobs for note in job.item.notes)
        for said in (*(warning for warning in of_words if warning not in self._said), *notes):
            warn(place + said)
        self._said.update(of_words)
        return jobs

    def make(
        self,
        jobs: Sequence[Job],
        target: Target,
        on_preview: Callable[[Preview], None] | None = None,
        *,
        among: int = 0,
    ) -> Iterator[Made]:
        """Make the pictures, each saved and logged before it is yielded; on a terminal a bar shows how far it is.

        Args:
            on_preview: told the previews that `--previews` asks for, each saved.
            among: make each as one of so many at a time (see `Generator.render_all`); 0 is as the options say.
        """
        assert self._generator is not None
        work = [(job, seed) for job in jobs for seed in job.request.seeds]
        with CountingBar("drawing") as bar:

            def on_step(step: Step) -> None:
                bar(step.first * step.total + step.count * step.number, len(work) * step.total, "steps")
                every = self.options.previews
                if every and on_preview is not None and step.number % every == 0 and step.number < step.total:
                    bar.clear()
                    for (job, seed), image in zip(work[step.first :], step.previews(), strict=False):
                        path = target.preview(job.variant.prompt, seed, step.number)
                        save_image(image, path)
                        on_preview(Preview(path, job, seed, step.number, step.total, image))

            pictures = self._generator.render_all(
                ((job.item, seed) for job, seed in work),
                batch_size=among or self.options.batch_size or 1,
                fill=among > 0,
                on_step=on_step,
            )
            for (job, _), picture in zip(work, pictures, strict=True):
                path, data = target.save(picture, job.variant.prompt)
                number = log_picture(self.registry, job.item, picture, path, data, keep=self._keep)
                bar.clear()
                yield Made(path, number, job, picture)

    def _start(self, request: PictureRequest, place: str) -> StartPicture | None:
        if request.init is None:
            return None
        strength = USUAL_STRENGTH if request.strength is None else request.strength
        key = (request.init, request.mask, strength, _state(request.init), _state(request.mask))
        if key not in self._starts:
            start = read_start(request.init, strength=strength, mask=request.mask)
            for path, read in ((request.init, start.picture), (request.mask, start.mask)):
                for note in read.notes if read is not None else ():
                    say(f"{place}{path}: {note}")
            self._starts = {key: start}
        return self._starts[key]


def _state(path: Path | None) -> tuple[int, ...]:
    """What changes when a file does: a script may write the next picture under the same name."""
    try:
        status = None if path is None else path.stat()
    except OSError:
        status = None
    return () if status is None else (status.st_ino, status.st_size, status.st_mtime_ns)
