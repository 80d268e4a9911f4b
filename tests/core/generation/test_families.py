"""The same promises on every family: sd1, sd2, sdxl, sd3 and flux with their real classes, shrunken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.core.generation.conftest import FLOW, QUICK, bytes_of
from tests.learned import register_word
from tiregistry.errors import FileMissing, InvalidConfig, InvalidInput
from tiregistry.generation.generator import Generator
from tiregistry.generation.start import read_start
from tiregistry.registry.registry import Registry

SMALL = replace(QUICK, width=64, height=64)  # FLUX's configuration says no size
FAMILIES = ("sd1", "sd2", "sdxl", *FLOW)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """A picture, and a mask that is white in its left half."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "start.png")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    return tmp_path / "start.png", tmp_path / "mask.png"


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_pictures_are_made_with_lean_layers(loaded: Callable[..., Any], registry: Registry, family: str) -> None:
    """Each block has a forward function of its own, see `bases.frozen_layers`; that it changes no bit is tested there,
    and with diffusers as the judge beside the embeddings' peers."""
    base = loaded(family)
    list(Generator(base, registry).generate("a cat", SMALL))
    blocks = [m for m in base.denoiser.modules() if type(m).__name__ in ("BasicTransformerBlock", "ResnetBlock2D")]
    assert blocks
    assert all("forward" in vars(block) for block in blocks)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_image_and_mask(
    registry: Registry, loaded: Callable[..., Any], pictures: tuple[Path, Path], family: str
) -> None:
    base = loaded(family)
    for seed in (1, 2):
        register_word(registry, base, "gnome", num_vectors=2, seed=seed)
    generator = Generator(base, registry)
    picture, mask = pictures
    text = list(generator.generate("a (red:1.2) <gnome>", SMALL, seeds=[0, 1]))
    assert bytes_of(text)[1:] == bytes_of(generator.generate("a (red:1.2) <gnome>", SMALL, seeds=[1]))
    assert text[0].image.size == (64, 64)
    (other,) = generator.generate("a (red:1.2) <gnome@1>", SMALL)
    assert other.image.tobytes() != text[0].image.tobytes()

    start = read_start(picture, strength=0.9)
    changed = list(generator.generate("a <gnome>", SMALL, start=start, seeds=[0, 1]))
    assert bytes_of(changed)[1:] == bytes_of(generator.generate("a <gnome>", SMALL, start=start, seeds=[1]))
    assert changed[0].recipe["start"]["picture"]["digest"] == start.picture.digest

    inside = read_start(picture, strength=1.0, mask=mask)
    (painted,) = generator.generate("a <gnome>", SMALL, start=inside)
    before, after = np.asarray(start.picture.image), np.asarray(painted.image)
    assert np.array_equal(before[:, 32:], after[:, 32:])
    assert not np.array_equal(before[:, :32], after[:, :32])


def test_the_pooled_vector_of_a_learned_word_is_that_of_the_end_token(
    registry: Registry, loaded: Callable[..., Any]
) -> None:
    base = loaded("sdxl")
    register_word(registry, base, "gnome")
    generator = Generator(base, registry)
    item = generator.prepare("a <gnome> of red", QUICK)
    tower = base.towers[1]
    end = len(item.tokens.chunks[tower.role][0]) + 1
    ids = [tower.tokenizer.bos_token_id, *(t.id for t in item.tokens.chunks[tower.role][0])]
    ids += [tower.tokenizer.eos_token_id] + [tower.tokenizer.pad_token_id] * (tower.window - end - 1)
    with torch.no_grad(), base.using_rows(item.tokens.rows):
        out = tower.model(torch.tensor([ids]))
        expected = tower.model.text_projection(out.last_hidden_state[:, end])
        pooled = generator._prompt_encoder().encode(item.tokens).pooled
    assert pooled is not None
    assert torch.allclose(pooled, expected, atol=1e-6)


def test_what_cannot_be_started_from(generator: Generator, tmp_path: Path, pictures: tuple[Path, Path]) -> None:
    picture, _ = pictures
    Image.new("L", (64, 64), 0).save(tmp_path / "black.png")
    Image.new("L", (32, 64), 255).save(tmp_path / "narrow.png")
    with pytest.raises(InvalidConfig, match=r"strength 1\.5"):
        generator.prepare("a", QUICK, start=read_start(picture, strength=1.5))
    with pytest.raises(InvalidConfig, match="leaves no step"):
        generator.prepare("a", QUICK, start=read_start(picture, strength=0.1))
    with pytest.raises(InvalidInput, match="black all over"):
        generator.prepare("a", QUICK, start=read_start(picture, strength=1, mask=tmp_path / "black.png"))
    with pytest.raises(InvalidInput, match="32x64"):
        generator.prepare("a", QUICK, start=read_start(picture, strength=1, mask=tmp_path / "narrow.png"))
    with pytest.raises(FileMissing):
        read_start(tmp_path / "none.png", strength=1)


def test_a_start_picture_keeps_its_proportions(generator: Generator, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "wide.png")
    item = generator.prepare("a", QUICK, start=read_start(tmp_path / "wide.png", strength=1))
    assert (item.settings.width, item.settings.height) == (96, 64)
