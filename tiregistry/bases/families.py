"""Which family a base model belongs to, told by its components: their classes, number and activation, never a size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiregistry.bases.locating import read_model_index
from tiregistry.concepts import Family
from tiregistry.errors import InvalidInput
from tiregistry.text import safe

ENCODER_ROLES: Mapping[Family, tuple[str, ...]] = {
    "sd1": ("clip_l",),
    "sd2": ("clip_h",),
    "sdxl": ("clip_l", "clip_g"),
    "sd3": ("clip_l", "clip_g", "t5"),
    "flux": ("clip_l", "t5"),
}
"""The text encoders of each family in the order of `text_encoder`, `text_encoder_2`, `text_encoder_3`."""

FLOW_FAMILIES: tuple[Family, ...] = ("sd3", "flux")
"""Families whose denoiser predicts the velocity of a straight flow; learning words on them is experimental."""

T5_TOKENS: Mapping[Family, int] = {"sd3": 256, "flux": 512}
"""Length of T5's token window as each family's pipeline uses it."""

_USUAL_RESOLUTION: Mapping[Family, int] = {"sd1": 512, "sd2": 768, "sdxl": 1024, "sd3": 1024, "flux": 1024}


def family_of_folder(folder: Path) -> Family:
    """The family of a diffusers folder.

    Told by the denoiser's class and the number of text encoders. sd1 and sd2 have both in common: sd2's text encoder
    is OpenCLIP-H, which uses plain `gelu` (CLIP-L uses `quick_gelu`) and stops one layer before its last (23 of 24).
    Only where the text encoder's configuration is missing does the width of the denoiser's cross attention decide.

    Raises:
        InvalidInput: the folder is no diffusers model, or of no family known here.
    """
    index = read_model_index(folder)
    denoiser = class_name(index, "transformer") or class_name(index, "unet")
    if denoiser.startswith("Flux"):
        return "flux"
    if denoiser.startswith("SD3"):
        return "sd3"
    if denoiser.startswith("UNet2DCondition"):
        if class_name(index, "text_encoder_2"):
            return "sdxl"
        encoder = read_config(folder / "text_encoder")
        if encoder:
            is_openclip = encoder.get("hidden_act") == "gelu" or encoder.get("num_hidden_layers") == 23
            return "sd2" if is_openclip else "sd1"
        width = read_config(folder / "unet").get("cross_attention_dim")
        if width in (768, 1024):
            return "sd1" if width == 768 else "sd2"
    raise InvalidInput(
        f"{safe(folder)} is of no family known here (its denoiser is {safe(denoiser) or 'missing'})",
        "use a Stable Diffusion 1, 2, XL, 3 or FLUX model",
    )


def encoder_parts(folder: Path, family: Family) -> list[tuple[str, str]]:
    """The text encoders of a diffusers folder: role, and what its part's name ends with (`text_encoder` + suffix).

    SD3 can do without T5, its largest encoder, and is often kept so.
    """
    index = read_model_index(folder)
    parts = list(zip(ENCODER_ROLES[family], ("", "_2", "_3"), strict=False))
    return [(r, s) for r, s in parts if family != "sd3" or r != "t5" or class_name(index, f"text_encoder{s}")]


def family_of_tensors(tensors: Mapping[str, Sequence[int]]) -> Family:
    """The family of a single-file checkpoint, from its tensors' names (and shapes, where names do not tell).

    Args:
        tensors: tensor name to shape.

    Raises:
        InvalidInput: no family known here has such tensors.
    """
    if any("double_blocks." in name for name in tensors):
        return "flux"
    if any("joint_blocks." in name for name in tensors):
        return "sd3"
    if any(name.startswith("conditioner.embedders.") for name in tensors):
        return "sdxl"
    if any(name.startswith("cond_stage_model.model.") for name in tensors):
        return "sd2"
    if any(name.startswith("cond_stage_model.transformer.") for name in tensors):
        return "sd1"
    for name, shape in tensors.items():
        if name.endswith("attn2.to_k.weight") and len(shape) == 2:
            by_width: dict[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
            if shape[1] in by_width:
                return by_width[shape[1]]
    raise InvalidInput(
        "the file is no checkpoint of a family known here", "use a Stable Diffusion 1, 2, XL, 3 or FLUX model"
    )


def resolution_of_folder(folder: Path, family: Family) -> int:
    """Native picture size in pixels, from the configurations of a diffusers folder."""
    denoiser = read_config(folder / "unet") or read_config(folder / "transformer")
    return native_resolution(denoiser.get("sample_size"), vae_factor_of_folder(folder), family)


def native_resolution(sample_size: object, vae_factor: int, family: Family) -> int:
    """Native picture size in pixels: the denoiser's sample size times the VAE's factor; else the family's usual one.

    Args:
        sample_size: as a denoiser's configuration has it: one number of latent cells, or height and width.
        vae_factor: pixels per latent cell along one side.
    """
    sizes = sample_size if isinstance(sample_size, (list, tuple)) else [sample_size]
    if sizes and all(isinstance(size, int) and 0 < size <= 4096 for size in sizes):
        return int(max(sizes) * vae_factor)
    return usual_resolution(family)


def vae_factor_of_folder(folder: Path) -> int:
    """Pixels per latent cell along one side, from the VAE's configuration; 8 where it does not say."""
    blocks = read_config(folder / "vae").get("block_out_channels")
    return int(2 ** (len(blocks) - 1)) if isinstance(blocks, list) and 0 < len(blocks) <= 8 else 8


def usual_resolution(family: Family) -> int:
    """Picture size most models of a family are made for."""
    return _USUAL_RESOLUTION[family]


def token_window(folder: Path, encoder: str, tokenizer: str) -> int:
    """Tokens that a text encoder takes at once, begin and end included; 0 where the configurations do not say.

    Args:
        encoder: the text encoder's folder in `folder`, whose positions are a limit.
        tokenizer: the tokenizer's, whose `model_max_length` is one.
    """
    places = read_config(folder / encoder).get("max_position_embeddings")
    longest = read_config(folder / tokenizer, "tokenizer_config.json").get("model_max_length")
    # A tokenizer without a limit says so by a number of 30 digits.
    limits = [int(limit) for limit in (places, longest) if isinstance(limit, (int, float)) and limit < 100_000]
    return min(limits, default=0)


def class_name(index: Mapping[str, object], component: str) -> str:
    """The class that a `model_index.json` names for a component; empty where it names none."""
    entry = index.get(component)
    if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str):
        return entry[1]
    return ""


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A configuration of a model's part; empty where there is none that can be read."""
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
