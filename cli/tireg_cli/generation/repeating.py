"""`--like`: a picture made again, or varied, from the recipe in its file."""

from __future__ import annotations

import io
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_cli.generation.options import Options
from tireg_cli.generation.session import Job, Made, Session
from tireg_cli.messages import hint, say, warn
from tiregistry.errors import InvalidConfig
from tiregistry.generation.metadata import read_recipe
from tiregistry.generation.plan import Variant
from tiregistry.generation.recipe import Repeat, differences, find_base, read_repeat
from tiregistry.generation.requests import PictureRequest
from tiregistry.generation.settings import GenerationSettings
from tiregistry.generation.start import StartPicture
from tiregistry.generation.start_search import GivenStart, find_start

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class Like:
    """The recipe of an existing picture as a request.

    Raises:
        FileMissing, InvalidInput: the file is not there, or holds no recipe; or what it started from is nowhere.
        NotFound: its base model or a word is not in this registry.
    """

    def __init__(self, registry: Registry, path: Path, options: Options) -> None:
        self.path = path
        self.recipe: dict[str, Any] = read_recipe(path)
        self.repeat: Repeat = read_repeat(registry, self.recipe)
        self.base = options.base or find_base(registry, self.recipe)
        self._start: StartPicture | None = None
        repeat = self.repeat
        plain = PictureRequest(prompt=repeat.prompt, settings=repeat.settings, seed=repeat.seed)
        notes = list(repeat.notes)
        if repeat.start is None:
            self.request = options.request(plain)
        else:
            self.request = replace(options, init=None, mask=None, strength=None).request(plain)
            given = GivenStart(picture=options.init, mask=options.mask, strength=options.strength)
            self._start, other = find_start(registry, path, repeat.start, given)
            notes += [other] * bool(other)
        self.among = repeat.batch_size if options.batch_size is None and repeat.batch_size > 1 else 0
        for note in notes:
            warn(note)

    def as_it_was(self, options: Options) -> Options:
        """The options with the device and precision of then, where they say nothing and this machine has them."""
        from tiregistry.bases.devices import choose_device

        device, precision = self.recipe.get("device"), _PRECISIONS.get(str(self.recipe.get("dtype")))
        is_said = options.device != "auto" or options.precision != "auto"
        if is_said or precision is None or device not in ("cpu", "cuda", "mps"):
            return options
        try:
            choose_device(device)
        except InvalidConfig:
            return options
        return replace(options, device=device, precision=precision)

    def jobs(self, session: Session) -> list[Job]:
        """The checked job that repeats the picture."""
        prompt = self.request.prompt
        if self.among and not session.generator([prompt]).is_exact_in_batches:
            hint(
                f"made as one of {self.among} at a time, as it was; --batch-size 1 is quicker, the same up to rounding"
            )
        return session.prepare(self.request, [Variant(prompt, prompt)], start=self._start, pinned=self.repeat.pinned)

    def report(self, made: Made) -> None:
        """Say what differs from the original, and whether the picture is the same."""
        recipe = made.picture.recipe
        for line in differences(self.recipe, recipe):
            warn(line)
        if _asks(self.recipe) != _asks(recipe):
            return
        try:
            furthest = _furthest(self.path, made)
        except (OSError, ValueError, SyntaxError):
            warn(f"{self.path} is damaged, so its pixels cannot be compared")
            return
        if furthest is None:
            say(f"{self.path} is not lossless, so its pixels cannot be compared")
        elif furthest:
            warn(f"the picture differs from {self.path}, by at most {furthest} of 255 in any pixel")
        else:
            hint(f"the same picture as {self.path}, pixel for pixel")


def _asks(recipe: dict[str, Any]) -> list[object]:
    """What a recipe asks for, whoever carries it out: two that ask for the same should give the same picture."""
    start = recipe.get("start")
    if isinstance(start, dict):
        start = [start.get("strength"), *((start.get(role) or {}).get("digest") for role in ("picture", "mask"))]
    return [recipe.get("prompt"), recipe.get("seed"), start, *(recipe.get(f.name) for f in fields(GenerationSettings))]


def _furthest(path: Path, made: Made) -> int | None:
    """Largest difference of a channel from the original's, 0 to 255; None where the format has lost some."""
    from PIL import Image, ImageChops

    with Image.open(io.BytesIO(path.read_bytes())) as image:
        if image.format == "JPEG":
            return None
        if image.size != made.picture.image.size:
            return 255
        difference = ImageChops.difference(image.convert("RGB"), made.picture.image)
    return max(difference.tobytes(), default=0)
