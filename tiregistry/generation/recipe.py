"""A picture's recipe: everything needed to make it again, as JSON data; and what differs when it is made again."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import Version
from tiregistry.errors import ConceptNotFound, InvalidInput, NotFound
from tiregistry.generation.processor import described, processor_of, recorded_threads
from tiregistry.generation.prompts import names_in, parse_prompt
from tiregistry.generation.settings import MAX_BATCH, MAX_SEED, GenerationSettings
from tiregistry.generation.words import resolve_words
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.generation.prepared import Prepared
    from tiregistry.registry.registry import Registry

FORMAT = "tireg-picture/1"


def make_recipe(item: Prepared, base: LoadedBase, seed: int, batch_size: int = 1) -> dict[str, Any]:
    """The recipe of one picture; equal inputs give equal recipes (no times, no paths of this machine).

    Args:
        batch_size: how many pictures were made at once, where rounding depends on it; recorded above 1.
    """
    from tiregistry.bases.locating import is_shareable

    identity = base.identity
    recipe: dict[str, Any] = {
        "format": FORMAT,
        "prompt": item.prompt,
        **item.settings.as_dict(),
        "seed": seed,
        "base": {
            "name": identity.name,
            # A path of this machine is nobody else's business; the fingerprint says which model it was.
            "source": identity.source if is_shareable(identity.source) else "",
            "revision": identity.revision,
            "fingerprint": identity.fingerprint.as_dict(),
        },
        "words": [
            {
                "text": name.text,
                "reference": version.reference,
                "digest": version.digest,
                "placeholder_token": version.placeholder_token,
            }
            for name, version in item.versions.items()
        ],
        "device": base.device.type,
        "dtype": str(base.dtype).removeprefix("torch."),
        "processor": processor_of(base.device),
        "software": software(),
    }
    if item.start is not None:
        recipe["start"] = item.start.as_dict()
    if batch_size > 1:
        recipe["batch_size"] = batch_size
    return recipe


def software() -> dict[str, str]:
    """Versions of everything that computes a picture, or writes its file."""
    import diffusers
    import PIL
    import torch
    import transformers

    from tiregistry import __version__

    return {
        "tiregistry": __version__,
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "pillow": PIL.__version__,
    }


@dataclass(frozen=True, slots=True)
class RecordedStart:
    """What a recipe says of a start picture: digests and names; `mask` and its name are empty without a mask."""

    picture: str
    picture_name: str
    mask: str
    mask_name: str
    strength: float


@dataclass(frozen=True)
class Repeat:
    """What a recipe asks for, checked.

    Attributes:
        pinned: the versions it was made with, by how the prompt names them.
        notes: what cannot be as it was, one line each.
        start: what it started from; None when that was noise alone.
        batch_size: how many were made at a time.
        threads: of the CPU that made it; None when a GPU did, or nothing is recorded.
    """

    prompt: str
    settings: GenerationSettings
    seed: int
    pinned: dict[str, Version]
    notes: list[str]
    start: RecordedStart | None = None
    batch_size: int = 1
    threads: int | None = None


def read_repeat(registry: Registry, recipe: Mapping[str, Any]) -> Repeat:
    """What a recipe asks for; its words are looked up by digest, so that a newer version does not change the picture.

    Raises:
        InvalidInput: the recipe is incomplete or has values of the wrong type.
        InvalidPrompt: its prompt cannot be parsed.
        ConceptNotFound, VersionNotFound: a word is not here at all.
    """
    prompt, seed = _value(recipe, "prompt", str), _value(recipe, "seed", int)
    if not 0 <= seed <= MAX_SEED:
        raise InvalidInput(f"the picture's recipe has the seed {safe(seed, limit=40)}", "it was changed")
    settings = _settings(recipe)
    settings.check()
    pinned: dict[str, Version] = {}
    notes: list[str] = []
    recorded = {str(w.get("text")): w for w in _value(recipe, "words", list) if isinstance(w, dict)}
    form = str(recipe.get("format", ""))
    if form != FORMAT:
        notes.append(
            f"the recipe is written as {safe(form, limit=40)}, read here as {FORMAT}: it may say more than that"
        )
    what = "the negative prompt"
    names = [*names_in(parse_prompt(prompt)), *names_in(parse_prompt(settings.negative_prompt, what))]
    for name, position in names:
        word = recorded.get(name.text, {})
        same = registry.versions_with(digest=str(word.get("digest", "")))
        if same:
            pinned[name.text] = same[0]
            continue
        reference = safe(word.get("reference", ""), limit=100)
        was = reference or "a version that is not recorded"
        try:
            found = resolve_words(registry, [(name, position)])[name]
        except NotFound as error:
            raise ConceptNotFound(
                f"the picture was made with {was}, which is not in this registry",
                "pull or import the word first" if isinstance(error, ConceptNotFound) else error.hint,
            ) from None
        pinned[name.text] = found
        notes.append(
            f"{name.text} was {reference} with other vectors; it is {found.reference} now"
            if reference
            else f"it is not recorded which version {name.text} was; it is {found.reference} now"
        )
    at_once = recipe.get("batch_size", 1)
    batch_size = at_once if type(at_once) is int and 1 <= at_once <= MAX_BATCH else 1
    return Repeat(prompt, settings, seed, pinned, notes, _start(recipe), batch_size, recorded_threads(recipe))


def base_for(registry: Registry, recipe: Mapping[str, Any]) -> str:
    """Name of the registered base model whose fingerprint is that of the recipe; empty when there is none.

    A name or Hub id in the recipe is not followed: a picture's metadata must not make anything be downloaded.
    """
    wanted = _fingerprint(recipe)
    for base in registry.bases():
        known = base.fingerprint.as_dict()
        if wanted and all(known[key] == value for key, value in wanted.items() if key in known):
            return base.name
    return ""


def differences(recipe: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """Why a repeated picture may differ: base model, device, precision, processor and libraries, one line each."""
    lines = []
    before, now = _fingerprint(recipe), _fingerprint(made)
    if before != now:
        part = next((key for key in now if before.get(key) != now[key]), "fingerprint")
        old = recipe.get("base")
        name = safe(old.get("name", "") if isinstance(old, dict) else "", limit=80) or "another model"
        called = made["base"]["name"]
        digests = [safe(found.get(part, "not recorded").removeprefix("sha256:"), limit=12) for found in (before, now)]
        lines.append(
            f"the base model {called} has another {part} now: it was {digests[0]}, it is {digests[1]}"
            if name == called
            else f"the base model differs in its {part}: it was {name}, it is {called}"
        )
    lines += [
        f"{key} was {safe(recipe.get(key, 'not recorded'), limit=60)}, it is {made[key]}"
        for key in ("device", "dtype")
        if recipe.get(key) != made[key]
    ]
    processor = described(recipe.get("processor"))
    if processor != described(made["processor"]):
        was = safe(processor or "not recorded", limit=100)
        lines.append(f"the processor was {was}, it is {described(made['processor'])}")
    old_software = recipe.get("software")
    old_software = old_software if isinstance(old_software, dict) else {}
    for key, version in made["software"].items():
        if old_software.get(key) != version:
            lines.append(f"{key} was {safe(old_software.get(key, 'not recorded'), limit=60)}, it is {version}")
    at_once = recipe.get("batch_size", 1)
    if at_once != made.get("batch_size", 1):
        now_at_once = made.get("batch_size", 1)
        lines.append(
            f"pictures made at a time were {safe(at_once, limit=20)}, now {now_at_once}: the same up to rounding only"
        )
    return lines


def find_base(registry: Registry, recipe: Mapping[str, Any]) -> str:
    """As `base_for`, with the embedded model as the answer when the recipe names it.

    Raises:
        NotFound: the model is not registered here.
    """
    name = base_for(registry, recipe)
    raw = recipe.get("base")
    base = raw if isinstance(raw, dict) else {}
    if name:
        return name
    if base.get("source") == "embedded":
        return "embedded"
    called = safe(base.get("name", "") or "a model that is not recorded", limit=80)
    from tiregistry.bases.locating import is_shareable

    # Whatever the file says is shown to be typed: only what can be a Hub id is.
    source = str(base.get("source", ""))
    raise NotFound(
        f"the picture's base model, {called}, is not registered here",
        f"add it with: tireg base add {source}" if is_shareable(source) else "name one with --base",
    )


def _settings(recipe: Mapping[str, Any]) -> GenerationSettings:
    return GenerationSettings(
        num_inference_steps=_value(recipe, "num_inference_steps", int),
        guidance_scale=_value(recipe, "guidance_scale", float),
        negative_prompt=_value(recipe, "negative_prompt", str),
        width=_value(recipe, "width", int),
        height=_value(recipe, "height", int),
        scheduler=_value(recipe, "scheduler", str),
    )


def _value(recipe: Mapping[str, Any], key: str, kind: type) -> Any:
    value = recipe.get(key)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidInput(f"the picture's recipe has no usable {key}", "it was changed, or made by another program")
    return value


def _start(recipe: Mapping[str, Any]) -> RecordedStart | None:
    raw = recipe.get("start")
    if raw is None:
        return None
    try:
        picture, mask = raw["picture"], raw.get("mask") or {"digest": "", "name": ""}
        return RecordedStart(
            str(picture["digest"]), str(picture["name"]), str(mask["digest"]), str(mask["name"]), float(raw["strength"])
        )
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError):
        raise InvalidInput("the picture's recipe has no usable start picture", "it was changed") from None


def _fingerprint(recipe: Mapping[str, Any]) -> dict[str, str]:
    base = recipe.get("base")
    found = base.get("fingerprint") if isinstance(base, dict) else None
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
