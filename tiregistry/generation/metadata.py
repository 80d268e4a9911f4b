"""A picture's recipe inside its file: a text that A1111-style viewers read, and the full JSON.

| file | viewers' text | full recipe |
|---|---|---|
| PNG | text chunk `parameters` | text chunk `tireg` |
| JPEG, WebP | EXIF `UserComment` | EXIF `MakerNote`, after the bytes `tireg\\0` |
"""

from __future__ import annotations

import io
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.errors import FileMissing, InvalidInput
from tiregistry.text import safe
from tiregistry.whole_files import write_whole

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

    from tiregistry.generation.generator import Picture

CHUNK = "tireg"
"""Key of the PNG text chunk that holds the recipe as JSON."""
FORMATS = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""File name endings to Pillow's formats."""
LONGEST = {"PNG": 2**31 - 1, "WEBP": 16_383, "JPEG": 65_500}
"""Pixels of a side that a format can hold, or its encoder."""

_EXIF_IFD, _MAKER_NOTE, _USER_COMMENT, _SOFTWARE_TAG = 0x8769, 0x927C, 0x9286, 0x0131
_SOFTWARE = "Software"  # a keyword of the PNG specification
_MAKER = b"tireg\0"
_JPEG_LIMIT = 65_500  # bytes of one JPEG segment, less its header
_MAX_RECIPE = 1 << 20
# What Pillow raises on a broken file, beside its DecompressionBombError.
_UNREADABLE = (OSError, ValueError, SyntaxError, zlib.error)


def parameters_text(recipe: dict[str, Any]) -> str:
    """The recipe in the form that A1111-style viewers show: prompt, negative prompt, `Key: value, …`."""
    fields = {
        "Steps": recipe["num_inference_steps"],
        "Sampler": recipe["scheduler"],
        "CFG scale": recipe["guidance_scale"],
        "Seed": recipe["seed"],
        "Size": f"{recipe['width']}x{recipe['height']}",
        "Model hash": recipe["base"]["fingerprint"]["denoiser"][7:17],
        "Model": recipe["base"]["name"],
    }
    if "start" in recipe:
        fields["Denoising strength"] = recipe["start"]["strength"]
    if recipe["words"]:
        listed = ", ".join(f"{w['reference']}: {w['digest'][7:19]}" for w in recipe["words"])
        fields["TI hashes"] = f'"{listed}"'
    fields["Version"] = f"tireg {recipe['software']['tiregistry']}"
    # A line break would end the prompt for a viewer; the JSON keeps it.
    lines = [_one_line(recipe["prompt"])]
    if recipe["negative_prompt"]:
        lines.append(f"Negative prompt: {_one_line(recipe['negative_prompt'])}")
    lines.append(", ".join(f"{key}: {value}" for key, value in fields.items()))
    return "\n".join(lines)


def picture_bytes(picture: Picture, suffix: str = ".png") -> bytes:
    """The picture as a file with its recipe inside; equal pictures give equal bytes.

    PNG and WebP are lossless, JPEG has quality 95.

    Args:
        suffix: `.png`, `.webp`, `.jpg` or `.jpeg`.

    Raises:
        InvalidInput: another format, or a recipe too long for a JPEG.
    """
    kind = FORMATS.get(suffix.lower())
    if kind is None:
        raise InvalidInput(f"pictures cannot be saved as {safe(suffix)!r}", f"use {', '.join(FORMATS)}")
    out = io.BytesIO()
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("parameters", parameters_text(picture.recipe))
        info.add_itxt(CHUNK, _dump(picture.recipe))
        picture.image.save(out, format="PNG", pnginfo=info, compress_level=6)
    elif kind == "WEBP":
        picture.image.save(out, format="WEBP", lossless=True, quality=80, method=4, exif=_exif(picture.recipe))
    else:
        exif = _exif(picture.recipe)
        if len(exif.tobytes()) > _JPEG_LIMIT:
            raise InvalidInput("the prompt is too long for the metadata of a JPEG", "save as .png or .webp")
        picture.image.save(out, format="JPEG", quality=95, subsampling=0, exif=exif)
    return out.getvalue()


def save_picture(picture: Picture, path: Path) -> bytes:
    """Write a picture with its recipe in the format of the path's ending; return the file's bytes.

    The file appears whole or not at all, instead of one that is there.

    Raises:
        InvalidInput: as `picture_bytes`.
        OSError: the folder cannot be written, or the disk is full.
    """
    data = picture_bytes(picture, path.suffix)
    write_whole(path, data)
    return data


def save_image(image: Image, path: Path) -> None:
    """Write a picture without a recipe, such as a grid, in the format of the path's ending, whole or not at all.

    It is marked as made by tireg (`is_marked`).

    Raises:
        InvalidInput: another format than those of `FORMATS`.
        OSError: the folder cannot be written, or the disk is full.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InvalidInput(f"{safe(path.name)} cannot be saved as {path.suffix!r}", f"use {', '.join(FORMATS)}")
    out = io.BytesIO()
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text(_SOFTWARE, CHUNK)
        image.save(out, format=kind, pnginfo=info)
    else:
        from PIL.Image import Exif

        exif = Exif()
        exif[_SOFTWARE_TAG] = CHUNK
        image.save(out, format=kind, exif=exif, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
    write_whole(path, out.getvalue())


def is_marked(path: Path) -> bool:
    """Whether `save_image` made the file at `path`."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG", "WEBP", "JPEG")) as image:
            said = image.info.get(_SOFTWARE) if image.format == "PNG" else image.getexif().get(_SOFTWARE_TAG)
    except (*_UNREADABLE, Image.DecompressionBombError):
        return False
    return said == CHUNK


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe inside a picture made by tireg: PNG, WebP or JPEG.

    Raises:
        FileMissing: there is no such file.
        InvalidInput: it holds no recipe, or is no picture.
    """
    from PIL import Image

    name = safe(path)
    try:
        with Image.open(path, formats=("PNG", "WEBP", "JPEG")) as image:
            raw = _raw_recipe(image)
        recipe = json.loads(raw) if raw else None
    except FileNotFoundError:
        raise FileMissing(f"{safe(path)} does not exist", "give a picture made by tireg gen") from None
    except (*_UNREADABLE, RecursionError, Image.DecompressionBombError):
        recipe = None
    if not isinstance(recipe, dict) or not str(recipe.get("format", "")).startswith("tireg-picture/"):
        raise InvalidInput(f"{name} holds no tireg recipe", "give a PNG, WebP or JPEG made by tireg gen")
    return recipe


def _raw_recipe(image: Image) -> str | bytes | None:
    if image.format == "PNG":
        # `info` has the chunks before the pixels; asking for all of them would decode the picture.
        chunk = image.info.get(CHUNK)
        return chunk if isinstance(chunk, str) and len(chunk) <= _MAX_RECIPE else None
    note = image.getexif().get_ifd(_EXIF_IFD).get(_MAKER_NOTE)
    if isinstance(note, bytes) and note.startswith(_MAKER) and len(note) <= _MAX_RECIPE:
        return note[len(_MAKER) :]
    return None


def _exif(recipe: dict[str, Any]) -> Exif:
    from PIL.Image import Exif

    exif = Exif()
    ifd = exif.get_ifd(_EXIF_IFD)
    # EXIF 2.32: the first eight bytes of a UserComment name its character code.
    ifd[_USER_COMMENT] = b"UNICODE\0" + parameters_text(recipe).encode("utf-16-be", "replace")
    ifd[_MAKER_NOTE] = _MAKER + _dump(recipe).encode("ascii")
    return exif


def _dump(recipe: dict[str, Any]) -> str:
    return json.dumps(recipe, ensure_ascii=True, sort_keys=True)


def _one_line(text: str) -> str:
    # Lone surrogates cannot be written as UTF-8.
    return re.sub(r"\s*[\r\n]+\s*", " ", text).encode("utf-8", "replace").decode()
