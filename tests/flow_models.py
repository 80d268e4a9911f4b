"""Shrunken Stable Diffusion 3 and FLUX with random weights: the real classes and fields, beside `tests/models.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models import END, WORDS, _save, _text_config, _write_json, build_vocabulary, write_tokenizer

CLIP_L, CLIP_G, T5 = 16, 24, 48
"""Widths. Those of the real models are 768, 1280 and 4096: the two CLIP encoders side by side are narrower than T5."""


def tiny_flow(folder: Path, family: str, *, t5: bool = True, guidance: bool = True, seed: int = 0) -> Path:
    """Write a diffusers folder of a tiny `sd3` or `flux` and return it.

    Args:
        t5: False leaves SD3's third text encoder out.
        guidance: False makes a FLUX that is told no guidance, like the variant distilled to few steps.
    """
    import torch
    from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    vocabulary, merges = build_vocabulary()
    is_sd3 = family == "sd3"
    index: dict[str, Any] = {
        "_class_name": "StableDiffusion3Pipeline" if is_sd3 else "FluxPipeline",
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection" if is_sd3 else "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "transformer": ["diffusers", "SD3Transformer2DModel" if is_sd3 else "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_tokenizer(folder / "tokenizer", vocabulary, merges, pad=END)
    text = _text_config(len(vocabulary), CLIP_L, sd2=False, projection=CLIP_L)
    _save((CLIPTextModelWithProjection if is_sd3 else CLIPTextModel)(text), folder / "text_encoder")
    if is_sd3:
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
        write_tokenizer(folder / "tokenizer_2", vocabulary, merges, pad="!")
        second = _text_config(len(vocabulary), CLIP_G, sd2=True, projection=CLIP_G)
        _save(CLIPTextModelWithProjection(second), folder / "text_encoder_2")
        _save(SD3Transformer2DModel(**_SD3), folder / "transformer")
    else:
        _save(FluxTransformer2DModel(**_FLUX, guidance_embeds=guidance), folder / "transformer")
    suffix = "_3" if is_sd3 else "_2"
    if t5:
        index[f"text_encoder{suffix}"] = ["transformers", "T5EncoderModel"]
        index[f"tokenizer{suffix}"] = ["transformers", "T5TokenizerFast"]
        _write_t5(folder, suffix)
    else:
        index[f"text_encoder{suffix}"] = index[f"tokenizer{suffix}"] = [None, None]
    _save(AutoencoderKL(**_VAE, scaling_factor=1.5305, shift_factor=0.0609), folder / "vae")
    _write_json(folder / "scheduler" / "scheduler_config.json", _SCHEDULERS[family])
    _write_json(folder / "model_index.json", index)
    return folder


def _write_t5(folder: Path, suffix: str) -> None:
    """T5's encoder, and a tokenizer of word pieces in which `gnome` and `teapot` are two."""
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    whole = [f"▁{word}" for word in WORDS if word not in ("gnome", "teapot")]
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁gn", "ome", "▁tea", "pot", *whole, *letters]
    vocabulary = [(piece, -8.0 if len(piece) == 1 else -2.0) for piece in dict.fromkeys(pieces)]
    tokenizer = T5TokenizerFast(vocab=vocabulary, extra_ids=0, additional_special_tokens=[], model_max_length=512)
    tokenizer.save_pretrained(folder / f"tokenizer{suffix}")
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=T5,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        dropout_rate=0.1,
    )
    _save(T5EncoderModel(config), folder / f"text_encoder{suffix}")


_SD3: dict[str, Any] = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "joint_attention_dim": T5,
    "caption_projection_dim": 32,
    "pooled_projection_dim": CLIP_L + CLIP_G,
    "pos_embed_max_size": 16,
}

_FLUX: dict[str, Any] = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": T5,
    "pooled_projection_dim": CLIP_L,
    "axes_dims_rope": (4, 6, 6),
}

_VAE: dict[str, Any] = {
    "block_out_channels": (8, 8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 16,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 64,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}

_SCHEDULERS: dict[str, dict[str, Any]] = {
    "sd3": {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "_diffusers_version": "0.29.0.dev0",
        "num_train_timesteps": 1000,
        "shift": 3.0,
    },
    "flux": {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "_diffusers_version": "0.30.0.dev0",
        "base_image_seq_len": 256,
        "base_shift": 0.5,
        "max_image_seq_len": 4096,
        "max_shift": 1.15,
        "num_train_timesteps": 1000,
        "shift": 3.0,
        "use_dynamic_shifting": True,
    },
}
