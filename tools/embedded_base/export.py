"""Writes the trained parts as an ordinary `StableDiffusionPipeline` folder in float16."""

import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPTokenizer

from tools.embedded_base.autoencoder import build_autoencoder
from tools.embedded_base.denoiser import build_scheduler, load_unet
from tools.embedded_base.stage import load_average
from tools.embedded_base.tokenizer import CaptionEncoder
from tools.embedded_base.towers import build_text_model, load_text_tower
from tools.embedded_base.vision import load_teacher, load_vision


def _feature_extractor() -> CLIPImageProcessor:
    half = [0.5, 0.5, 0.5]
    return CLIPImageProcessor(
        size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}, image_mean=half, image_std=half
    )


def _say_plain_class_names(index: Path) -> None:
    """Writes the class name that every version of transformers knows, not the variant that happened to be installed."""
    index.write_text(index.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))


def _say_one_type(target: Path) -> None:
    """Lets a plain `from_pretrained` load every part in float32.

    transformers 5 loads a model in the type that its config names, diffusers in float32: half a pipeline in each cannot
    run. The weights stay float16.
    """
    for part in ("text_encoder", "image_encoder"):
        path = target / part / "config.json"
        if path.exists():
            path.write_text(path.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))


def export(work: Path, target: Path) -> None:
    """Everything that has been trained so far; the vision tower joins once it exists."""
    target.mkdir(parents=True, exist_ok=True)
    encoder = CaptionEncoder(work / "tokenizer")
    text = build_text_model(encoder.size, encoder.start, encoder.end)
    text.load_state_dict(load_text_tower(work, encoder).plain_state())
    autoencoder = build_autoencoder(torch.load(work / "latents.pt")["factor"])
    autoencoder.load_state_dict(load_average(work, "vae", "vae"))
    vision = load_vision(work) if (work / "vision.pt").exists() else None
    pipeline = StableDiffusionPipeline(
        vae=autoencoder.half().eval(),
        text_encoder=text.half().eval(),
        tokenizer=CLIPTokenizer.from_pretrained(work / "tokenizer"),
        unet=load_unet(work).half(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=_feature_extractor() if vision else None,
        image_encoder=vision.half() if vision else None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(target, safe_serialization=True)
    _say_plain_class_names(target / "model_index.json")
    _say_one_type(target)
    (target / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copyfile(work / "tokenizer" / file, target / "tokenizer" / file)
    _, alignment = load_teacher(work)
    (target / "alignment").mkdir(exist_ok=True)
    state = {
        "weight": alignment.project.weight.half().contiguous(),
        "logit_scale": alignment.logit_scale.reshape(1).float(),
    }
    save_file(state, target / "alignment" / "text_projection.safetensors")
    for path in target.rglob("*.safetensors"):
        path.chmod(0o644)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"export: {target}, {size / 2**20:.1f} MiB", flush=True)
