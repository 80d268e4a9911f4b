"""Stable Diffusion architectures with random weights: for time, memory and operations, which weights do not change."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.models import build_vocabulary, write_tokenizer  # noqa: E402

VOCABULARY = 49408
UNETS: dict[str, dict[str, Any]] = {
    "sd15": {
        "attention_head_dim": 8,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 768,
        "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        "sample_size": 64,
    },
    "sdxl": {
        "attention_head_dim": (5, 10, 20),
        "block_out_channels": (320, 640, 1280),
        "cross_attention_dim": 2048,
        "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
        "up_block_types": (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "sample_size": 128,
    },
}
_NARROW, _HEADS = 32, 4


def _narrow_unet(kind: str) -> dict[str, Any]:
    narrow: dict[str, Any] = {
        "attention_head_dim": _HEADS,
        "block_out_channels": (_NARROW,) * len(UNETS[kind]["block_out_channels"]),
        "cross_attention_dim": _NARROW * (2 if kind == "sdxl" else 1),
    }
    if kind == "sdxl":
        narrow["projection_class_embeddings_input_dim"] = 6 * UNETS[kind]["addition_time_embed_dim"] + _NARROW
    return narrow


def random_base(folder: Path, kind: str, *, narrow: bool = False) -> Path:
    """Write a diffusers folder of the architecture `sd15` or `sdxl` with random fp32 weights and return it.

    Args:
        narrow: all layers there are, each but a few channels wide: as many operations, hardly any arithmetic.
    """
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")  # three billion numbers take a CPU minutes
    words, merges = build_vocabulary()
    *ordinary, start, end = words
    filled = ordinary + [f"<filler{n}>" for n in range(VOCABULARY - len(words))] + [start, end]
    vocabulary = {token: number for number, token in enumerate(filled)}
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if kind == "sdxl" else "StableDiffusionPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }

    def text_config(width: int, layers: int, heads: int, activation: str) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=VOCABULARY,
            hidden_size=_NARROW if narrow else width,
            intermediate_size=4 * (_NARROW if narrow else width),
            num_hidden_layers=layers,
            num_attention_heads=_HEADS if narrow else heads,
            projection_dim=_NARROW if narrow else width,
            hidden_act=activation,
            bos_token_id=0,
            eos_token_id=2,
            pad_token_id=1,
        )

    write_tokenizer(folder / "tokenizer", vocabulary, merges, pad=end)
    CLIPTextModel(text_config(768, 12, 12, "quick_gelu")).save_pretrained(folder / "text_encoder")
    if kind == "sdxl":
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
        write_tokenizer(folder / "tokenizer_2", vocabulary, merges, pad="!")
        second = CLIPTextModelWithProjection(text_config(1280, 32, 20, "gelu"))
        second.save_pretrained(folder / "text_encoder_2")
    UNet2DConditionModel(**UNETS[kind] | (_narrow_unet(kind) if narrow else {})).save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(_NARROW,) * 4 if narrow else (128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=512,
    ).save_pretrained(folder / "vae")
    scheduler = {
        "_class_name": "DDIMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    for path, data in (("scheduler/scheduler_config.json", scheduler), ("model_index.json", index)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(data), encoding="utf-8")
    return folder
