"""What a base model's small files say about a request: its family, window, parts; no weight is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.bases.families import (
    FLOW_FAMILIES,
    encoder_parts,
    family_of_folder,
    read_config,
    token_window,
    vae_factor_of_folder,
)
from tiregistry.bases.fingerprints import fingerprint_folder, weight_files
from tiregistry.bases.fitting import check_fit
from tiregistry.bases.locating import VISION_PARTS, locate_base
from tiregistry.bases.tensor_files import read_tensors
from tiregistry.bases.vocabulary import check_initializer
from tiregistry.concepts import Family
from tiregistry.errors import BaseModelNotFound, InvalidConfig, InvalidInput
from tiregistry.opening import identify_base
from tiregistry.placeholders import check_free
from tiregistry.text import safe
from tiregistry.training.config import TrainingConfig
from tiregistry.training.request import TrainingRequest, check_continued, continued_version, namesake
from tiregistry.training.wording import Wording

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

PREDICTIONS = ("epsilon", "v_prediction")
"""What a diffusion model may predict to be learned on."""
_TOKENIZERS = ("tokenizer.json", "vocab.json", "spiece.model")
"""Files that hold a tokenizer's vocabulary, one of which there must be."""


def check_base(registry: Registry, request: TrainingRequest) -> str:
    """Whether a checked request can work on its base model; returns the base model's name.

    A Hub model is downloaded when it is not in the cache.

    Raises:
        BaseModelNotFound, HubError: it is not there.
        InvalidInput: no model, of a family that cannot be trained, without a part that is needed.
        InvalidConfig: more vectors than the token window has room for; a resolution the model cannot have; an
            initializer that is no word of its vocabulary.
        WrongBaseModel: the version to continue belongs to another.
    """
    name, source, revision = identify_base(registry, request.base, request.revision)
    folder = locate_base(source, revision)
    check_folder(folder, safe(name), request, namesake(registry, request.config))
    known = next((base for base in registry.bases() if base.name == name), None)
    version = continued_version(registry, request.config)
    family = family_of_folder(folder)
    fingerprint = known.fingerprint if known else None
    if version is not None and fingerprint is None:
        fingerprint = fingerprint_folder(folder, cache=registry.file_hashes)  # read whole once, and then known
    check_continued(version, fingerprint, name, family, _widths(folder, family))
    return name


def check_folder(folder: Path, name: str, request: TrainingRequest, namesake: str = "") -> None:
    """The part of `check_base` that looks at the model's folder.

    Args:
        namesake: see `request.namesake`.

    Raises:
        InvalidInput: no model, of a family that cannot be trained, or without a part that is needed.
        InvalidConfig: captions do not fit the token window; or the model has no such resolution, timestep, text encoder
            or initializer.
    """
    family = _check_parts(folder, name)
    _check_inputs(folder, family, name)
    config = request.config
    if config.recipe == "quick":
        absent = [part for part in VISION_PARTS if not (folder / part).is_file()]
        if absent:
            raise InvalidInput(
                f"the recipe quick needs a vision tower, and {name} has no {absent[0]}", "use --recipe direction"
            )
    _check_resolution(folder, family, name, config)
    _check_schedule(folder, family, name, config)
    _check_words(folder, request, namesake)
    encoders = encoder_parts(folder, family)
    roles = [role for role, _ in encoders]
    unknown = sorted(set(config.encoders) - set(roles))
    if unknown:
        raise InvalidConfig(f"{name} has no text encoder {safe(unknown[0])!r}", f"it has {', '.join(roles)}")
    for role, suffix in encoders:
        if role != "t5":  # its window is several times longer than the others'
            _check_window(folder, f"text_encoder{suffix}", f"tokenizer{suffix}", name, request)


def _check_parts(folder: Path, name: str) -> Family:
    """Everything is there that is needed, and its parts belong together; returns its family."""
    for part in ("text_encoder", "unet", "transformer"):
        if (folder / part).is_dir():
            _check_json(folder / part / "config.json", name)
    family = family_of_folder(folder)
    encoders = encoder_parts(folder, family)
    _check_json(folder / "scheduler" / "scheduler_config.json", name)
    for _, suffix in encoders:
        if not any((folder / f"tokenizer{suffix}" / file).is_file() for file in _TOKENIZERS):
            raise InvalidInput(f"{name} has no tokenizer in its folder tokenizer{suffix}", "copy the model again")
    parts = [f"text_encoder{suffix}" for _, suffix in encoders]
    parts += ["transformer" if family in FLOW_FAMILIES else "unet", "vae"]
    for part in parts:
        _check_part(folder, part, name)
    check_fit(folder, family, name)
    return family


def _check_inputs(folder: Path, family: Family, name: str) -> None:
    """It makes pictures from texts alone, unlike models for inpainting, depth or variations."""
    part = "transformer" if family in FLOW_FAMILIES else "unet"
    config, latents = read_config(folder / part), read_config(folder / "vae").get("latent_channels")
    taken, more = config.get("in_channels"), ""
    if isinstance(taken, int) and isinstance(latents, int):
        wanted = 4 * latents if family == "flux" else latents  # FLUX's sees squares of two by two cells
        if taken != wanted:
            more = f"its {part} takes {taken} channels, its latents have {wanted}"
    for key in ("class_embed_type", "num_class_embeds", "encoder_hid_dim_type"):
        if config.get(key) is not None and not more:
            more = f"its {part} has {key} {safe(config[key], limit=60)}"
    if more:
        raise InvalidInput(
            f"{name} makes pictures from more than a text: {more}",
            "learn the word on a text-to-image model of the same family",
        )


def _check_resolution(folder: Path, family: Family, name: str, config: TrainingConfig) -> None:
    factor = vae_factor_of_folder(folder)
    if family in FLOW_FAMILIES:
        factor *= 2  # their transformers see squares of two by two latent cells
    if config.resolution is None:
        return
    if config.resolution % factor:
        raise InvalidConfig(
            f"resolution {config.resolution} is not a multiple of {factor}, which {name} needs",
            f"use {max(1, round(config.resolution / factor)) * factor}",
        )
    # SD3 learned as many positions as this along one side; FLUX computes them.
    most = read_config(folder / "transformer").get("pos_embed_max_size")
    if isinstance(most, int) and config.resolution > most * factor:
        raise InvalidConfig(f"resolution {config.resolution} is more than {name} can make", f"up to {most * factor}")


def _check_schedule(folder: Path, family: Family, name: str, config: TrainingConfig) -> None:
    """What the model predicts can be learned from, and the timesteps to learn from are those of its noise schedule."""
    scheduler = read_config(folder / "scheduler", "scheduler_config.json")
    predicted = scheduler.get("prediction_type", "epsilon")
    if family not in FLOW_FAMILIES and predicted not in PREDICTIONS:
        raise InvalidInput(
            f"{name} predicts {safe(predicted, limit=60)!r}, which cannot be trained",
            f"{' and '.join(PREDICTIONS)} can",
        )
    schedule = scheduler.get("num_train_timesteps", 1000)
    if not isinstance(schedule, int) or schedule < 1:
        raise InvalidInput(
            f"{name} has no number of timesteps in its scheduler/scheduler_config.json", "copy the model again"
        )
    if config.min_timestep >= schedule:
        raise InvalidConfig(
            f"min_timestep {config.min_timestep} is beyond the {schedule} timesteps of {name}", f"below {schedule}"
        )
    if config.max_timestep is not None and config.max_timestep > schedule:
        raise InvalidConfig(
            f"max_timestep {config.max_timestep} is beyond the {schedule} timesteps of {name}", f"at most {schedule}"
        )


def _check_words(folder: Path, request: TrainingRequest, namesake: str) -> None:
    """The placeholder token is no word of the vocabulary, and the initializer's words are."""
    config = request.config
    vocabulary = _vocabulary(folder / "tokenizer")
    check_free(request.placeholder_token, request.concept, {}, vocabulary)
    if vocabulary and config.initializer and not config.initializer.startswith("sha256:"):
        check_initializer(config.initializer, vocabulary, namesake)
        if config.progressive_steps and config.num_vectors is None and " " not in config.initializer.strip():
            raise InvalidConfig("progressive_steps needs more than one vector", "add --num-vectors 2 or more")


def _vocabulary(folder: Path) -> dict[str, Any]:
    """Token strings of a CLIP tokenizer, from either of the files that may hold them."""
    whole = read_config(folder, "tokenizer.json").get("model")
    known = whole.get("vocab") if isinstance(whole, dict) else None
    return read_config(folder, "vocab.json") or (known if isinstance(known, dict) else {})


def _check_part(folder: Path, part: str, name: str) -> None:
    """A part's weights are there, their headers whole, and its configuration is one."""
    weights = weight_files(folder / part)
    if not weights:
        raise InvalidInput(f"{name} has no weights in its folder {part}", "copy the model again")
    for file in weights:
        if file.suffix == ".safetensors":
            read_tensors(file)
    _check_json(folder / part / "config.json", name)


def _check_json(file: Path, name: str) -> None:
    try:
        sound = isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise InvalidInput(f"{name} has no {file.parent.name}/{file.name} that can be read", "copy the model again")


def _check_window(folder: Path, part: str, tokenizer: str, name: str, request: TrainingRequest) -> None:
    """A lower bound: every word of a caption has at least one token. The tokenizer says the rest, once it is loaded."""
    window = token_window(folder, part, tokenizer)
    if not window:
        return
    room = window - 2
    phrase = "" if request.config.initializer.startswith("sha256:") else request.config.initializer
    vectors = request.config.num_vectors or len(phrase.split()) or 1
    wording = Wording.build(request.config, request.all_captions, request.placeholder_token, request.filenames)
    texts = [(wording.name(caption), text, "captions") for caption, text in enumerate(wording.texts)]
    texts += [
        (f"the preview prompt {safe(text, limit=60)!r}", text, "prompts") for text in request.config.preview_prompts
    ]
    for told, text, kind in texts:
        needed = len(text.split()) - 1 + vectors
        if needed > room:
            many = "vectors" if vectors > 1 else "vector"
            raise InvalidConfig(
                f"{vectors} {many} and {told} need {needed} tokens, {room} fit {name}",
                f"use fewer vectors, or shorter {kind}" if vectors > 1 else f"use shorter {kind}",
            )


def _widths(folder: Path, family: Family) -> dict[str, int]:
    """Encoder role to the width of its token embeddings, of the encoders whose configuration says it."""
    widths = {}
    for role, suffix in encoder_parts(folder, family):
        config = read_config(folder / f"text_encoder{suffix}")
        width = config.get("d_model" if role == "t5" else "hidden_size")
        if isinstance(width, int):
            widths[role] = width
    return widths


def vision_folder(registry: Registry, wanted: str) -> Path:
    """The folder of a base model that has passed `check_base` for the recipe `quick`.

    Raises:
        BaseModelNotFound: it is gone.
    """
    _, source, revision = identify_base(registry, wanted)
    folder = locate_base(source, revision)
    if not (folder / VISION_PARTS[0]).is_file():
        raise BaseModelNotFound(f"{safe(wanted)} has no vision tower any more", "use --recipe direction")
    return folder
