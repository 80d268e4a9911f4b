"""`--like`: a picture made again, or varied, from the recipe in its file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_cli.generation.options import Options
from tireg_cli.generation.session import Job, Made, Session
from tireg_cli.messages import hint, say, warn
from tiregistry.errors import Damaged, FileMissing
from tiregistry.generation.metadata import read_recipe
from tiregistry.generation.plan import Variant
from tiregistry.generation.recipe import RecordedStart, Repeat, differences, find_base, read_repeat
from tiregistry.generation.requests import PictureRequest
from tiregistry.generation.start import StartPicture

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


class Like:
    """The recipe of an existing picture as a request.

    Raises:
        FileMissing, InvalidInput: the file is not there, or holds no recipe.
        NotFound: its base model or a word is not in this registry.
    """

    def __init__(self, registry: Registry, path: Path, options: Options) -> None:
        self.path = path
        self.recipe: dict[str, Any] = read_recipe(path)
        self.repeat: Repeat = read_repeat(registry, self.recipe)
        self.base = options.base or find_base(registry, self.recipe)
        self._registry = registry
        repeat = self.repeat
        self.request: PictureRequest = options.request(
            PictureRequest(prompt=repeat.prompt, settings=repeat.settings, seed=repeat.seed)
        )
        for note in repeat.notes:
            warn(note)

    def jobs(self, session: Session) -> list[Job]:
        """The checked job that repeats the picture."""
        start = None
        if self.request.init is None and self.repeat.start is not None:
            start = self._start(self.repeat.start)
        prompt = self.request.prompt
        variant = Variant(prompt, prompt)
        return session.prepare(self.request, [variant], start=start, pinned=self.repeat.pinned)

    def report(self, made: Made, options: Options) -> None:
        """Say what differs from the original, and whether the picture is the same."""
        for line in differences(self.recipe, made.picture.recipe):
            warn(line)
        if options.changes_picture or made.picture.recipe["seed"] != self.recipe["seed"]:
            return
        furthest = _furthest(self.path, made)
        if furthest is None:
            say(f"{self.path.name} is not lossless, so its pixels cannot be compared")
        elif furthest:
            warn(f"the picture differs from {self.path.name}, by at most {furthest} of 255 in any pixel")
        else:
            hint(f"the same picture as {self.path.name}, pixel for pixel")

    def _start(self, recorded: RecordedStart) -> StartPicture:
        from tiregistry.images import decode_picture

        try:
            blobs = self._registry.blobs
            return StartPicture(
                decode_picture(blobs.read(recorded.picture), recorded.picture_name),
                recorded.strength,
                decode_picture(blobs.read(recorded.mask), recorded.mask_name) if recorded.mask else None,
            )
        except Damaged:
            raise FileMissing(
                f"{self.path.name} was made from another picture, which is not kept in the registry",
                "give that picture with --init (and --mask); tireg gen --keep keeps it next time",
            ) from None


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
