"""Shrunken base models with random weights: the real classes and the real configuration fields, in a megabyte.

The fields are those of Stable Diffusion 1.5, 2.1 and XL; only widths, depths and the vocabulary are smaller. Pictures
are 64 px (the VAE's factor is 8, as in the real models), the token window has its 77 places.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = (  # noqa: SIM905
    "a the of my in on photo rendering cropped close up clean dirty dark cool bright good rendition nice small weird "
    "large one painting picture style object cat dog teapot red blue green old gnome beach snow"
).split()
START, END = "<|startoftext|>", "<|endoftext|>"


def tiny_sd(
    folder: Path,
    family: str = "sd1",
    prediction_type: str = "epsilon",
    *,
    vision: bool = False,
    seed: int = 0,
    beta_schedule: str = "scaled_linear",
) -> Path:
    """Write a diffusers folder of a tiny model and return it.

    Args:
        family: `sd1`, `sd2` or `sdxl`.
        prediction_type: `epsilon` or `v_prediction`.
        vision: also write a CLIP vision tower and the text projection paired with it.
    """
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    width, width_2, projection = 32, 64, 32
    vocabulary, merges = build_vocabulary()
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if family == "sdxl" else "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_tokenizer(folder / "tokenizer", vocabulary, merges, pad=END)
    text = _text_config(len(vocabulary), width, sd2=family == "sd2")
    _save(CLIPTextModel(text), folder / "text_encoder")
    cross = width
    if family == "sdxl":
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
        write_tokenizer(folder / "tokenizer_2", vocabulary, merges, pad="!")
        second = _text_config(len(vocabulary), width_2, sd2=True, projection=projection)
        _save(CLIPTextModelWithProjection(second), folder / "text_encoder_2")
        cross = width + width_2
    _save(UNet2DConditionModel(**_unet_config(family, cross, projection)), folder / "unet")
    _save(AutoencoderKL(**_VAE), folder / "vae")
    _write_json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "DDIMScheduler",
            "_diffusers_version": "0.42.1",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": beta_schedule,
            "num_train_timesteps": 1000,
            "prediction_type": prediction_type,
            "clip_sample": False,
            "set_alpha_to_one": False,
            "steps_offset": 1,
        },
    )
    if vision:
        _write_vision(folder, width, projection)
        index["image_encoder"] = ["transformers", "CLIPVisionModelWithProjection"]
        index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    _write_json(folder / "model_index.json", index)
    return folder


def build_vocabulary() -> tuple[dict[str, int], list[str]]:
    """A byte-level BPE vocabulary in CLIP's layout (begin and end tokens last) in which `WORDS` are single tokens."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = letters + [letter + "</w>" for letter in letters]
    merges: list[str] = []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = f"{parts[0]} {parts[1]}"
            parts = [parts[0] + parts[1], *parts[2:]]
            if pair not in merges:
                merges.append(pair)
                tokens.append(parts[0])
    tokens = [*dict.fromkeys(tokens), START, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def _text_config(vocabulary: int, width: int, *, sd2: bool, projection: int = 32) -> Any:
    from transformers import CLIPTextConfig

    # The real files say eos_token_id 2, which transformers answers with its legacy pooling at the highest token id.
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act="gelu" if sd2 else "quick_gelu",
        projection_dim=projection,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def _unet_config(family: str, cross: int, projection: int) -> dict[str, Any]:
    common: dict[str, Any] = {
        "act_fn": "silu",
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": cross,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "sample_size": 8,
    }
    if family == "sdxl":
        return common | {
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "block_out_channels": (16, 32, 32),
            "attention_head_dim": (2, 4, 4),
            "transformer_layers_per_block": (1, 1, 2),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": projection + 6 * 8,
        }
    return common | {
        "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        "block_out_channels": (16, 32, 32, 32),
        "attention_head_dim": (2, 4, 4, 4) if family == "sd2" else 4,
        "use_linear_projection": family == "sd2",
        "upcast_attention": family == "sd2",
    }


_VAE: dict[str, Any] = {
    "block_out_channels": (8, 8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 64,
}


def _write_vision(folder: Path, width: int, projection: int) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        projection_dim=projection,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    _save(CLIPVisionModelWithProjection(config), folder / "image_encoder")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder / "feature_extractor"
    )
    (folder / "alignment").mkdir(exist_ok=True)
    weights = {"weight": torch.randn(projection, width), "logit_scale": torch.tensor([2.6])}
    save_file(weights, folder / "alignment" / "text_projection.safetensors")


def write_tokenizer(folder: Path, vocabulary: dict[str, int], merges: list[str], *, pad: str) -> None:
    _write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": START,
            "eos_token": END,
            "unk_token": END,
            "pad_token": pad,
            "model_max_length": 77,
            "do_lower_case": True,
        },
    )


def _save(model: Any, folder: Path) -> None:
    model.eval().save_pretrained(folder, safe_serialization=True)


def _write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
