"""A tiny base model with towers of its own, tiny judges in folders, and a registry with words and source pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.models import tiny_sd
from tiregistry.concepts import NewVersion, SourceImage, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.evaluation.protocols import Protocol
from tiregistry.generation.generator import Generator
from tiregistry.generation.settings import GenerationSettings
from tiregistry.registry.registry import Registry

TINY = Protocol(
    "quick", "a photo of a {}", ("a {} on the beach", "a {} in snow"), 3, 2, GenerationSettings(num_inference_steps=2)
)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny sd1 model with a vision tower."""
    return tiny_sd(tmp_path_factory.mktemp("base") / "seeing", vision=True)


@pytest.fixture(scope="session")
def loaded(base_folder: Path) -> Any:
    import torch

    from tiregistry.bases.loading import load_base

    torch.set_num_threads(1)
    return load_base(str(base_folder), device="cpu")


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> Path:
    """A tiny CLIP as transformers saves it."""
    import shutil

    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("judges") / "tiny-clip"
    tokenizer = CLIPTokenizer.from_pretrained(base_folder, subfolder="tokenizer")
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    for file in (base_folder / "tokenizer").iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny vision transformer without texts."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(4)
    folder = tmp_path_factory.mktemp("judges") / "tiny-dino"
    config = ViTConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    ViTModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.open() as opened:
        yield opened


def picture(seed: int) -> Image.Image:
    """A small picture of blocks of colour."""
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST)


@pytest.fixture
def add_word(registry: Registry, loaded: Any) -> Callable[..., Version]:
    """Registers a word of random vectors with source pictures, on the tiny base model."""
    registry.add_base(loaded.identity)

    def add(name: str = "gnome", seed: int = 0, *, pictures: int = 2, **fields: Any) -> Version:
        images = []
        for number in range(pictures):
            buffer = io.BytesIO()
            picture(10 * seed + number).save(buffer, format="PNG")
            images.append(SourceImage(registry.blobs.add(buffer.getvalue()), f"{number}.png", 64, 64))
        vectors = np.random.default_rng(seed).normal(size=(1, 32)).astype(np.float32) * 0.1
        new = NewVersion(
            concept=name,
            placeholder_token=f"<{name}>",
            concept_type="object",
            origin="trained",
            fingerprint=loaded.identity.fingerprint,
            base_name=loaded.identity.name,
            images=tuple(images),
            training={"initializer": "teapot"},
        )
        from dataclasses import replace

        return registry.add_version(replace(new, **fields), Embedding({"clip_l": vectors}))

    return add


@pytest.fixture
def generator(registry: Registry, loaded: Any) -> Generator:
    return Generator(loaded, registry)
