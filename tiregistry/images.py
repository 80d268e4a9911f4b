"""Source images: found in folders, decoded safely, turned upright, cropped to what training sees."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import FileMissing, InvalidImage, InvalidInput
from tiregistry.quantities import count, size
from tiregistry.text import natural_key, safe

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 64 * 2**20
"""Largest picture file that is read."""
MAX_PIXELS = 40_000_000
"""Largest picture that is decoded: beyond it, a few kilobytes can unpack to gigabytes."""
MIN_SIDE = 16
"""Smallest side, in pixels, that a picture may have."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".mpo"})
_NOT_READ = frozenset({".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".psd"})


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A picture as given and as seen.

    Attributes:
        data: the file's own bytes, kept unchanged in the registry.
        digest: `sha256:<hex>` of `data`.
        filename: the file's name without folders, made safe to show.
        image: upright 8-bit RGB picture; transparent areas lie over white.
        notes: what was done to it that a user may want to know.
    """

    data: bytes
    digest: str
    filename: str
    image: Image
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        return self.image.size


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The picture files that `paths` name, folders expanded one level, in natural order, each once.

    In a folder, hidden and system files and files of other kinds are passed over; a file named directly is always
    taken (reading it will say what is wrong with it).

    Raises:
        FileMissing: a path does not exist.
        InvalidInput: a folder holds no picture.
    """
    found: dict[Path, None] = {}
    for path in (Path(path).expanduser() for path in paths):
        try:
            is_folder = path.is_dir()
            exists = is_folder or path.exists()
        except OSError as error:
            raise InvalidInput(f"{safe(path)}: {error.strerror}", "check the path") from None
        if not exists:
            raise FileMissing(f"{safe(path)} does not exist", "give pictures, or a folder with pictures")
        if not is_folder:
            found[path] = None
            continue
        inside = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] not in "._~"]
        inside = [p for p in inside if p.is_file() or not p.exists()]  # a link that leads nowhere is named, not missed
        if not inside:
            deeper = any(inner.is_dir() for inner in path.iterdir() if inner.name[0] not in "._~")
            raise InvalidInput(
                f"no pictures in {safe(path)}",
                f"give the folders in it: {safe(path)}/*/"
                if deeper
                else "PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF files are read",
            )
        found.update(dict.fromkeys(sorted(inside, key=lambda p: natural_key(p.name))))
    return list(found)


def passed_over(paths: Iterable[Path], *, beside: Iterable[Path] = ()) -> list[str]:
    """A note for each folder among `paths` that also holds pictures that are not read.

    They are of kinds that phones make and nobody else reads, or they lie in folders inside it that are not among
    `paths`. Folders called after masks are left out.

    Args:
        beside: folders inside them whose pictures are read as something else.
    """
    notes = []
    given = [Path(path).expanduser() for path in paths]
    known = [*given, *beside]
    for path in given:
        if not path.is_dir():
            continue
        if deeper := _pictures_deeper(path, known):
            total = sum(deeper.values())
            is_one = total == 1
            which = ", ".join(safe(inner) for inner in list(deeper)[:3]) + (", …" if len(deeper) > 3 else "")
            notes.append(
                f"{count(total, 'picture')} in folders inside {safe(path)} {'is' if is_one else 'are'} not read: "
                f"give {'it' if is_one else 'them'} too, {which}"
            )
        names = [p.name for p in path.iterdir() if p.suffix.lower() in _NOT_READ and p.name[0] not in "._~"]
        if names:
            first = min(names, key=natural_key)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            kind = first.rpartition(".")[2].upper()
            notes.append(f"{safe(first, limit=100)}{more} passed over: {kind} is not read, save as JPEG or PNG")
    return notes


def _pictures_deeper(folder: Path, known: Iterable[Path]) -> dict[Path, int]:
    """The folders inside `folder` that hold pictures and are not among `known`, and how many each holds."""
    resolved = {path.resolve() for path in known}
    found = {}
    for inner in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if inner.name[0] in "._~" or inner.name.lower().startswith("mask") or not inner.is_dir():
            continue
        with suppress(OSError):  # a folder that cannot be looked into
            names = [p.name for p in inner.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] not in "._~"]
            if names and inner.resolve() not in resolved:
                found[inner] = len(names)
    return found


def read_picture(path: Path, *, is_mask: bool = False) -> SourcePicture:
    """Read and decode one picture file.

    Args:
        is_mask: see `decode_picture`.

    Raises:
        InvalidImage: it is no picture, truncated, empty, too large, or not an ordinary file.
    """
    name, shown = safe(path.name, limit=200), safe(path)
    try:
        # A pipe or device would block or never end; O_NONBLOCK keeps even the open from waiting on one.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidImage(f"{shown} is not an ordinary file", "give picture files or a folder")
            if status.st_size == 0:
                raise InvalidImage(f"{shown} is empty (0 bytes)", "remove it or copy it again")
            if status.st_size > MAX_BYTES:
                raise InvalidImage(
                    f"{shown} has {size(status.st_size)}, more than {size(MAX_BYTES)}", "save a smaller copy"
                )
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if path.is_symlink():
            raise InvalidImage(
                f"{shown} links to a file that is gone", "remove the link, or copy the picture"
            ) from None
        raise FileMissing(f"{safe(path)} does not exist", "give pictures, or a folder with pictures") from None
    except OSError as error:
        raise InvalidImage(f"{shown} cannot be read: {error.strerror}", "check its permissions") from None
    return decode_picture(data, name, shown, is_mask=is_mask)


def decode_picture(data: bytes, filename: str, shown: str = "", *, is_mask: bool = False) -> SourcePicture:
    """Decode the bytes of one picture.

    EXIF orientation is applied, CMYK and 16-bit pictures become 8-bit RGB, of an animation the first frame is taken,
    transparency is laid over white.

    Args:
        shown: how errors call it; empty: by its name.
        is_mask: transparency is laid over black instead: what nobody has painted white is not meant.

    Raises:
        InvalidImage: it is no picture of a known format, truncated, or larger than `MAX_PIXELS`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    shown = shown or filename
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise InvalidImage(
                    f"{shown} has {width}x{height} = {width * height / 1e6:.0f} megapixels, "
                    f"more than {MAX_PIXELS // 10**6}",
                    "save a smaller copy",
                )
            if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
                notes.append("animated: the first frame is used")
                opened.seek(0)
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            if upright.size != opened.size or (opened.getexif().get(0x0112, 1) or 1) != 1:
                notes.append("turned upright by its EXIF orientation")
            picture = _to_rgb(upright, notes, is_mask=is_mask)
    except InvalidImage:
        raise
    except UnidentifiedImageError:
        raise InvalidImage(f"{shown} is not a picture", "PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF are read") from None
    except Image.DecompressionBombError:
        raise InvalidImage(f"{shown} is far too large once unpacked", "save a smaller copy") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError, KeyError, TypeError) as error:
        raise InvalidImage(f"{shown} is damaged: {safe(error, limit=120)}", "remove it or copy it again") from None
    if min(picture.size) < MIN_SIDE:
        raise InvalidImage(
            f"{shown} is {picture.width}x{picture.height}, smaller than {MIN_SIDE} pixels", "use a larger picture"
        )
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return SourcePicture(data, digest, safe(filename, limit=200), picture, tuple(notes))


def _to_rgb(picture: Image, notes: list[str], *, is_mask: bool) -> Image:
    """8-bit RGB of any mode Pillow opens; says in `notes` what is not obvious."""
    from PIL import Image

    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        import numpy as np

        values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
        low, high = _range_of(picture, float(values.min()), float(values.max()))
        scaled = (values - low) / max(high - low, 1e-12) * 255.0
        kind = {"F": "floating-point", "I": "32-bit"}.get(picture.mode, "16-bit")
        notes.append(f"{kind} values scaled to 8 bits")
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        notes.append(f"{picture.mode} converted to RGB")
        return picture.convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            notes.append(f"transparent areas laid over {'black' if is_mask else 'white'}")
        background = Image.new("RGBA", layered.size, "black" if is_mask else "white")
        return Image.alpha_composite(background, layered).convert("RGB")
    return picture.convert("RGB")


def _range_of(picture: Image, least: float, most: float) -> tuple[float, float]:
    """The values that stand for black and white in a picture of more than 8 bits.

    Args:
        least, most: the values that are in it.
    """
    if picture.mode == "F":
        return least, most
    if picture.mode != "I" or (255 < most <= 65535 and least >= 0):
        return 0.0, 65535.0
    # 32 bits for what fits 8, or for more than 16.
    return (0.0, 255.0) if least >= 0 and most <= 255 else (least, most)


@dataclass(frozen=True, slots=True)
class Reading:
    """What paths lead to, good and bad.

    Attributes:
        pictures: those that can be used, each content once.
        notes: for the user: duplicates left out, conversions.
        refused: the paths that lead to no pictures, and the picture files that cannot be used, with what is wrong.
    """

    pictures: list[SourcePicture]
    notes: list[str]
    refused: list[tuple[Path, InvalidInput | FileMissing]]


def read_what_can_be_read(paths: Iterable[Path]) -> Reading:
    """Read every picture that `paths` name and that can be used, for someone who will mend the rest."""
    paths = list(paths)
    refused: list[tuple[Path, InvalidInput | FileMissing]] = []
    files: dict[Path, None] = {}
    for path in paths:
        try:
            files.update(dict.fromkeys(find_images([path])))
        except (InvalidInput, FileMissing) as error:
            refused.append((path, error))
    read: list[tuple[Path, SourcePicture]] = []
    for file in files:
        try:
            read.append((file, read_picture(file)))
        except (InvalidInput, FileMissing) as error:
            refused.append((file, error))
    pictures, notes = _each_once(read)
    return Reading(pictures, passed_over(paths) + notes, refused)


def read_pictures(paths: Iterable[Path]) -> tuple[list[SourcePicture], list[str]]:
    """Read every picture that `paths` name.

    Returns:
        The pictures, each content once, and notes for the user (duplicates left out, conversions).

    Raises:
        FileMissing, InvalidInput: a path leads to no pictures.
        InvalidImage: names every picture that cannot be used.
    """
    paths = list(paths)
    pictures, notes = _each_once(read_each(find_images(paths)))
    return pictures, passed_over(paths) + notes


def _each_once(read: Iterable[tuple[Path, SourcePicture]]) -> tuple[list[SourcePicture], list[str]]:
    pictures: dict[str, SourcePicture] = {}
    first: dict[str, Path] = {}
    notes = []
    for path, picture in read:
        if picture.digest in pictures:
            notes.append(repeated(path, first[picture.digest]))
            continue
        pictures[picture.digest], first[picture.digest] = picture, path
        notes.extend(f"{picture.filename}: {note}" for note in picture.notes)
    return list(pictures.values()), notes


def read_each(files: Iterable[Path]) -> Iterator[tuple[Path, SourcePicture]]:
    """Read picture files one after another; all are looked at, so that one error names every one to mend.

    Raises:
        InvalidImage: at the end, what is wrong with the first that cannot be used, and the names of the others.
        FileMissing: a file is gone.
    """
    refused: list[InvalidImage] = []
    others: list[str] = []
    for file in files:
        try:
            picture = read_picture(file)
        except InvalidImage as error:
            others += [safe(file.name, limit=60)] if refused else []
            refused.append(error)
        else:
            if not refused:
                yield file, picture
    if others:
        names = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        raise InvalidImage(f"{refused[0].message}; nor can {names} be used", refused[0].hint)
    if refused:
        raise refused[0]


def repeated(path: Path, first: Path) -> str:
    """The note on a picture that was there before; with the folders where the names alone would not tell."""
    one, other = (path.name, first.name) if path.name != first.name else (str(path), str(first))
    return f"{safe(one)} is the same picture as {safe(other)}: used once"


def crop_square(image: Image, resolution: int) -> Image:
    """The centre square of `image`, resampled to `resolution` x `resolution` pixels; nothing is squashed."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    return ImageOps.fit(image, (resolution, resolution), method=Pillow.Resampling.LANCZOS, centering=(0.5, 0.5))


def alpha_of(picture: SourcePicture) -> Image | None:
    """The picture's transparency as an 8-bit grey picture, upright, white where it is opaque; None when it has none."""
    from PIL import Image, ImageOps

    opened = ImageOps.exif_transpose(Image.open(io.BytesIO(picture.data), formats=FORMATS))
    if opened.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in opened.info:
        return None
    alpha = opened.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def is_all_black(mask: Image) -> bool:
    """Whether a mask leaves nothing of its centre square, up to the noise of a photograph of black."""
    side = min(mask.size)
    left, top = (mask.width - side) // 2, (mask.height - side) // 2
    square = mask.convert("L").crop((left, top, left + side, top + side))
    return not any(square.histogram()[13:])


def find_masks(pictures: Iterable[Path], folder: Path) -> list[Path | None]:
    """The mask of each picture: the picture file of the same name, whatever its suffix, in `folder`.

    Raises:
        FileMissing: `folder` does not exist, or has no mask for any picture.
    """
    names = list(pictures)
    if not folder.is_dir():
        raise FileMissing(f"{safe(folder)} is not a folder", "give the folder with the masks, or --mask alpha")
    by_stem = {path.stem.casefold(): path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    masks = [by_stem.get(path.stem.casefold()) for path in names]
    if not any(masks):
        raise FileMissing(
            f"{safe(folder)} has no mask for any of the pictures",
            f"for {safe(names[0].name)} it would be {safe(names[0].stem)}.png" if names else "",
        )
    return masks
