"""Where a picture starts from when not from noise alone: another picture, and a mask that says which part changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.errors import FileMissing, InvalidConfig, InvalidInput
from tiregistry.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.images import SourcePicture


USUAL_STRENGTH = 0.7


_LONGEST = 8
"""How many times as long as wide a picture is drawn without being asked for its size."""


@dataclass(frozen=True)
class StartPicture:
    """A picture to begin with (image to image), or to change in one place (with a mask: inpainting).

    Attributes:
        picture: the decoded file; its digest goes into the recipe.
        strength: 0 to 1; how much of the noise schedule is gone through. 1 keeps next to nothing of the picture.
        mask: white where the picture changes, black where it stays; None changes all of it.
        picture_path, mask_path: absolute, where the files were read; None when they came from elsewhere.
    """

    picture: SourcePicture
    strength: float = USUAL_STRENGTH
    mask: SourcePicture | None = None
    picture_path: Path | None = None
    mask_path: Path | None = None

    def check(self, num_inference_steps: int) -> None:
        """Refuse what cannot work.

        Raises:
            InvalidConfig: the strength is out of range, or leaves no step to take.
            InvalidInput: picture and mask differ in size, or the mask is black all over.
        """
        if not 0 < self.strength <= 1:
            raise InvalidConfig(f"strength {self.strength:g} is out of range", "above 0, up to 1; usually 0.5 to 0.9")
        if int(num_inference_steps * self.strength) < 1:
            raise InvalidConfig(
                f"strength {self.strength:g} of {num_inference_steps} steps leaves no step to take",
                "use more --steps or a higher --strength",
            )
        if self.mask is not None:
            if self.mask.size != self.picture.size:
                raise InvalidInput(
                    f"the mask {self.mask.filename} is {self.mask.size[0]}x{self.mask.size[1]}, the picture "
                    f"{self.picture.filename} {self.picture.size[0]}x{self.picture.size[1]}",
                    "save the mask in the picture's size",
                )
            if not any(self.mask.image.convert("L").histogram()[128:]):
                raise InvalidInput(f"the mask {self.mask.filename} is black all over", "paint white what shall change")

    def size_for(self, native: int, multiple: int = 8) -> tuple[int, int]:
        """Width and height to work at: the picture's proportions, the shorter side `native`, both fit `multiple`.

        Raises:
            InvalidInput: it is so long that nobody can have meant it whole.
        """
        if max(self.picture.size) > _LONGEST * min(self.picture.size):
            raise InvalidInput(
                f"{self.picture.filename} is {self.picture.size[0]}x{self.picture.size[1]}, more than {_LONGEST} times "
                "as long as wide",
                "cut it to what shall be drawn, or add --size, which cuts it",
            )
        width, height = (
            round(side * native / min(self.picture.size) / multiple) * multiple for side in self.picture.size
        )
        return max(16, width), max(16, height)

    def image_at(self, width: int, height: int) -> Image:
        """The picture filling `width` x `height`: scaled, the overhang cut off evenly."""
        return _fill(self.picture.image, width, height)

    def mask_at(self, width: int, height: int) -> Image | None:
        """The mask, cut like the picture; black and white only."""
        if self.mask is None:
            return None
        return _fill(self.mask.image.convert("L"), width, height).point([0] * 128 + [255] * 128)

    def as_dict(self, *, with_paths: bool = False) -> dict[str, Any]:
        """JSON data: digests, names and strength.

        Args:
            with_paths: also where the files lie; for this machine's registry, never for a file that travels.
        """
        data: dict[str, Any] = {"strength": self.strength}
        for role, source, path in (
            ("picture", self.picture, self.picture_path),
            ("mask", self.mask, self.mask_path),
        ):
            if source is not None:
                data[role] = {"digest": source.digest, "name": source.filename}
                if with_paths and path is not None:
                    data[role]["path"] = str(path)
        return data


def read_start(picture: Path, *, strength: float = USUAL_STRENGTH, mask: Path | None = None) -> StartPicture:
    """Read a start picture, and its mask, from files.

    Raises:
        FileMissing, InvalidImage: a file is not there, or no picture.
    """
    return StartPicture(
        read_source(picture),
        strength,
        None if mask is None else read_source(mask, "the mask", is_mask=True),
        picture.absolute(),
        None if mask is None else mask.absolute(),
    )


def read_source(path: Path, what: str = "the picture to start from", *, is_mask: bool = False) -> SourcePicture:
    """Read a start picture or a mask.

    Args:
        what: how an error calls it.
        is_mask: see `decode_picture`.

    Raises:
        FileMissing, InvalidImage: as `read_start`.
    """
    from tiregistry.images import read_picture

    try:
        return read_picture(path, is_mask=is_mask)
    except FileMissing:
        raise FileMissing(f"{what}, {safe(path)}, does not exist", "check the path") from None


def _fill(image: Image, width: int, height: int) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), Pillow.Resampling.LANCZOS)
