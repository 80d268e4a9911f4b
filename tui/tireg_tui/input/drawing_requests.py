"""From what stands in the composer to lines of `tireg gen -`, one for each picture; where pictures are saved, and
their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_tui.widgets.drawing_fields import MOST
from tiregistry.errors import InvalidInput
from tiregistry.settings import Settings

if TYPE_CHECKING:
    from tireg_tui.processes.picture_maker import Made
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


def base_of(registry: Registry, requests: Sequence[Mapping[str, Any]]) -> str:
    """The base model that the words of requests were learned on; the default where there are none.

    Raises:
        TiregError: no base model fits them all, or one of them cannot be used.
    """
    from tiregistry.generation.words import base_of_words

    texts = [text for request in requests for text in (request["prompt"], request.get("negative", "")) if text]
    return base_of_words(registry, texts) or registry.default_base


def caption_of(made: Made, compared: Sequence[Mapping[str, Any]] = ()) -> str:
    """Prompt and seed; of prompts that are compared only what differs, for side by side there is little room."""
    words = made.prompt.split()
    common = set[str](words).intersection(*(str(request["prompt"]).split() for request in compared))
    own = " ".join(word for word in words if word not in common) if compared else ""
    return f"{own or made.prompt} · seed {made.seed}"


def pictures_folder(registry: Registry) -> Path:
    """Where pictures are saved: as the settings say, else in the registry's folder, or where one is if it can only be
    read."""
    output = Settings.load(registry.home).output
    if output:
        return Path(output).expanduser()
    return Path.cwd() / "pictures" if registry.readonly else registry.home / "pictures"
