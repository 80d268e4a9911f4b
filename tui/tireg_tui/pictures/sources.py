"""Where a picture on a screen comes from: something with a name that can be decoded when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.concepts import SourceImage
    from tiregistry.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class PictureSource:
    """A picture that is decoded in a thread when a widget shows it.

    Attributes:
        key: the same key means the same pixels.
        caption: what it is; shown below it, and instead of it where pictures are off.
        load: decodes it; any error is shown in its place.
        path: its file, where it is one that others can open.
    """

    key: str
    caption: str
    load: Callable[[], Image] = field(compare=False)
    path: Path | None = None


def from_blob(registry: Registry, image: SourceImage) -> PictureSource:
    """A source image kept in the registry."""

    def load() -> Image:
        from tiregistry.images import decode_picture

        return decode_picture(registry.blobs.read(image.digest), image.filename).image

    caption = image.caption or image.filename
    return PictureSource(image.digest, f"{caption} · {image.width}×{image.height}", load)


def from_attachment(registry: Registry, digest: str, caption: str) -> PictureSource:
    """A picture kept with a version, by its blob's digest."""

    def load() -> Image:
        from tiregistry.images import decode_picture

        return decode_picture(registry.blobs.read(digest), caption).image

    return PictureSource(digest, caption, load)


def from_file(path: Path, caption: str) -> PictureSource:
    """A picture in a file; another file of the same name is another picture."""

    def load() -> Image:
        from tiregistry.images import read_picture

        return read_picture(path).image

    try:
        status = path.stat()
        key = f"{path}:{status.st_mtime_ns}:{status.st_size}"
    except OSError:
        key = str(path)
    return PictureSource(key, caption, load, path)
