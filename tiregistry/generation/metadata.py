"""A picture's recipe inside its file: a text chunk that A1111-style viewers read, and the full JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.errors import InvalidInput
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.generation.generator import Picture

CHUNK = "tireg"
"""Key of the PNG text chunk that holds the recipe as JSON."""


def parameters_text(recipe: dict[str, Any]) -> str:
    """The recipe in the form that A1111-style viewers show: prompt, negative prompt, `Key: value, …`."""
    fields = {
        "Steps": recipe["num_inference_steps"],
        "Sampler": recipe["scheduler"],
        "CFG scale": recipe["guidance_scale"],
        "Seed": recipe["seed"],
        "Size": f"{recipe['width']}x{recipe['height']}",
        "Model": recipe["base"]["name"],
        "Version": f"tireg {recipe['software']['tiregistry']}",
    }
    if recipe["words"]:
        listed = ", ".join(f"{w['reference']}: {w['digest'][7:19]}" for w in recipe["words"])
        fields["TI hashes"] = f'"{listed}"'
    lines = [recipe["prompt"]]
    if recipe["negative_prompt"]:
        lines.append(f"Negative prompt: {recipe['negative_prompt']}")
    lines.append(", ".join(f"{key}: {value}" for key, value in fields.items()))
    return "\n".join(lines)


def save_picture(picture: Picture, path: Path) -> None:
    """Write a PNG with its recipe; the file appears whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("parameters", parameters_text(picture.recipe))
    info.add_itxt(CHUNK, json.dumps(picture.recipe, ensure_ascii=True, sort_keys=True))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "xb") as file:
            picture.image.save(file, format="PNG", pnginfo=info, compress_level=6)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe inside a picture made by tireg.

    Raises:
        InvalidInput: it holds none, or is no picture.
    """
    from PIL import Image

    name = safe(path.name)
    try:
        with Image.open(path, formats=("PNG",)) as image:
            raw = image.text.get(CHUNK) if hasattr(image, "text") else None
            recipe = json.loads(raw) if raw else None
    except FileNotFoundError:
        raise InvalidInput(f"{name} does not exist", "give a picture made by tireg gen") from None
    except (OSError, ValueError, SyntaxError):
        recipe = None
    if not isinstance(recipe, dict) or not str(recipe.get("format", "")).startswith("tireg-picture/"):
        raise InvalidInput(f"{name} holds no tireg recipe", "give a PNG made by tireg gen")
    return recipe
