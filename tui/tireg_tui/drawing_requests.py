"""From what stands in the composer to lines of `tireg gen -`, one for each picture, and where pictures are saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_tui.widgets.drawing_fields import MOST
from tiregistry.errors import InvalidInput
from tiregistry.settings import Settings

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def each_picture(request: Mapping[str, Any], count: int, home: Path) -> list[dict[str, Any]]:
    """One request for each picture: alternatives and wildcards expanded, every prompt with the same seeds.

    Args:
        request: as `tireg gen -` reads it; its prompt may stand for several.
        count: pictures of each prompt.
        home: the registry's folder, for the settings.

    Raises:
        InvalidInput: there would be too many.
        InvalidPrompt, FileMissing: the prompt or a wildcard cannot be read.
    """
    from tiregistry.generation.plan import variants_of
    from tiregistry.generation.requests import PictureRequest
    from tiregistry.generation.templates import Wildcards, usual_folders

    wildcards = Wildcards(usual_folders(Settings.load(home), home))
    prompts = [variant.prompt for variant in variants_of(PictureRequest(prompt=request["prompt"]), wildcards)]
    if len(prompts) * count > MOST:
        raise InvalidInput(
            f"the prompt stands for {len(prompts)}, with {count} pictures each: more than {MOST} pictures in one go",
            "fewer pictures, or tireg gen, which takes any number",
        )
    return [{**request, "prompt": prompt, "seed": request["seed"] + n} for prompt in prompts for n in range(count)]


def pictures_folder(registry: Registry) -> Path:
    """Where pictures are saved: as the settings say, else in the registry's folder, or where one is if it can only be
    read."""
    output = Settings.load(registry.home).output
    if output:
        return Path(output).expanduser()
    return Path.cwd() / "pictures" if registry.readonly else registry.home / "pictures"
