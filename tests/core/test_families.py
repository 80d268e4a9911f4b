"""Families and picture sizes of base models, told from configurations as the published models have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.core.test_fingerprints import CLIP, OPENCLIP_H, write_model
from tiregistry.bases.families import encoder_parts, family_of_folder, native_resolution, resolution_of_folder
from tiregistry.concepts import Family

CLIP_L = ("CLIPTextModel", {"hidden_act": "quick_gelu", "hidden_size": 768, "num_hidden_layers": 12})
OPENCLIP_G = ("CLIPTextModelWithProjection", {"hidden_act": "gelu", "hidden_size": 1280, "num_hidden_layers": 32})
T5 = ("T5EncoderModel", {"d_model": 4096, "num_layers": 24})
ARCHITECTURES: dict[str, tuple[str, list[tuple[str, dict[str, Any]]], dict[str, Any]]] = {
    "Stable Diffusion 1.5": (
        "unet/UNet2DConditionModel",
        [CLIP_L],
        {"cross_attention_dim": 768, "sample_size": 64, "attention_head_dim": 8},
    ),
    "Stable Diffusion 2.1": (
        "unet/UNet2DConditionModel",
        [("CLIPTextModel", {"hidden_act": "gelu", "hidden_size": 1024, "num_hidden_layers": 23})],
        {"cross_attention_dim": 1024, "sample_size": 96, "attention_head_dim": [5, 10, 20, 20]},
    ),
    "Stable Diffusion XL": (
        "unet/UNet2DConditionModel",
        [CLIP_L, OPENCLIP_G],
        {"cross_attention_dim": 2048, "sample_size": 128, "attention_head_dim": [5, 10, 20]},
    ),
    "Stable Diffusion 3": (
        "transformer/SD3Transformer2DModel",
        [("CLIPTextModelWithProjection", CLIP_L[1]), OPENCLIP_G, T5],
        {"joint_attention_dim": 4096, "sample_size": 128, "patch_size": 2},
    ),
    "FLUX.1": (
        "transformer/FluxTransformer2DModel",
        [CLIP_L, T5],
        {"joint_attention_dim": 4096, "guidance_embeds": True, "patch_size": 1},
    ),
}
"""The denoiser's folder and class, the text encoders in order, and what the denoiser's configuration says."""


def write_configurations(folder: Path, name: str) -> Path:
    """`model_index.json` and the configurations of an architecture, without weights."""
    denoiser, encoders, config = ARCHITECTURES[name]
    part, _, kind = denoiser.partition("/")
    index: dict[str, Any] = {
        "_class_name": "Pipeline",
        part: ["diffusers", kind],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    configs: dict[str, Any] = {part: config, "vae": {"block_out_channels": [128, 256, 512, 512]}}
    for suffix, (encoder, encoder_config) in zip(("", "_2", "_3"), encoders, strict=False):
        index[f"text_encoder{suffix}"] = ["transformers", encoder]
        configs[f"text_encoder{suffix}"] = encoder_config
    for component, values in configs.items():
        (folder / component).mkdir(parents=True)
        (folder / component / "config.json").write_text(json.dumps(values))
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(
    ("name", "family", "pixels", "roles"),
    [
        ("Stable Diffusion 1.5", "sd1", 512, ["clip_l"]),
        ("Stable Diffusion 2.1", "sd2", 768, ["clip_h"]),
        ("Stable Diffusion XL", "sdxl", 1024, ["clip_l", "clip_g"]),
        ("Stable Diffusion 3", "sd3", 1024, ["clip_l", "clip_g", "t5"]),
        ("FLUX.1", "flux", 1024, ["clip_l", "t5"]),
    ],
)
def test_real_architectures_are_told_apart(
    tmp_path: Path, name: str, family: Family, pixels: int, roles: list[str]
) -> None:
    folder = write_configurations(tmp_path, name)
    assert family_of_folder(folder) == family
    assert resolution_of_folder(folder, family) == pixels
    assert [role for role, _ in encoder_parts(folder, family)] == roles


def test_a_family_is_told_by_components_not_by_width(tmp_path: Path) -> None:
    assert family_of_folder(write_model(tmp_path / "a", encoder=CLIP, width=1024)) == "sd1"
    assert family_of_folder(write_model(tmp_path / "b", encoder=OPENCLIP_H, width=768)) == "sd2"
    assert family_of_folder(write_model(tmp_path / "c", encoder={}, width=1024)) == "sd2"  # the last resort


@pytest.mark.parametrize(
    ("sample_size", "pixels"), [(64, 512), ([64, 96], 768), ([], 512), ("64", 512), (None, 512), (-1, 512)]
)
def test_native_resolutions_as_configurations_write_them(sample_size: object, pixels: int) -> None:
    assert native_resolution(sample_size, 8, "sd1") == pixels
