"""Steps are told as they are done, what they foresee becomes the picture, and TAESD decodes it where it fits.

With `TIREG_REAL_TAESD=/folder pytest …` also the published weights are tried: `taesd_encoder.safetensors` and
`taesd_decoder.safetensors` in that folder.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.core.generation.conftest import QUICK, bytes_of
from tiregistry.errors import FileMissing, HubError, InvalidInput
from tiregistry.generation.generator import Generator
from tiregistry.generation.settings import SCHEDULERS
from tiregistry.generation.start import read_start
from tiregistry.generation.steps import Step
from tiregistry.generation.tiny_decoder import TinyDecoder

TAESD = os.environ.get("TIREG_REAL_TAESD", "")


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_what_a_step_foresees_becomes_the_picture(generator: Generator, scheduler: str) -> None:
    settings = replace(QUICK, num_inference_steps=4, scheduler=scheduler)
    looks: list[Image.Image] = []
    (picture,) = generator.generate("a <imp>", settings, on_step=lambda step: looks.extend(step.previews()))
    assert distance(looks[-1], picture.image) < 2
    assert [picture.recipe] == [p.recipe for p in generator.generate("a <imp>", settings)]


def test_steps_are_counted_over_batches_and_change_nothing(generator: Generator) -> None:
    steps: list[Step] = []
    prompts = ["a <gnome>", "a <imp>"]
    watched = list(generator.generate(prompts, QUICK, seeds=range(2), batch_size=3, on_step=steps.append))
    assert [(s.first, s.count, s.number, s.total) for s in steps] == [
        (0, 3, 1, 2),
        (0, 3, 2, 2),
        (3, 1, 1, 2),
        (3, 1, 2, 2),
    ]
    assert bytes_of(watched) == bytes_of(generator.generate(prompts, QUICK, seeds=range(2), batch_size=3))


def test_a_preview_of_a_masked_picture_keeps_what_the_mask_protects(generator: Generator, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "start.png")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    start = read_start(tmp_path / "start.png", strength=1, mask=tmp_path / "mask.png")
    looks: list[Image.Image] = []
    list(generator.generate("a <imp>", QUICK, start=start, on_step=lambda step: looks.extend(step.previews())))
    assert len(looks) == 2
    assert np.array_equal(np.asarray(looks[0])[:, 32:], np.asarray(start.picture.image)[:, 32:])


def test_a_taesd_decodes_previews(generator: Generator, tmp_path: Path) -> None:
    from diffusers import AutoencoderTiny

    AutoencoderTiny().save_pretrained(tmp_path / "tiny")
    quick = Generator(generator.base, generator.registry, taesd=str(tmp_path / "tiny"))
    looks: list[Image.Image] = []
    (picture,) = quick.generate("a <imp>", QUICK, on_step=lambda step: looks.extend(step.previews()))
    assert [look.size for look in looks] == [(64, 64)] * 2
    assert bytes_of([picture]) == bytes_of(generator.generate("a <imp>", QUICK))


def test_what_is_no_taesd_for_the_model_is_said(generator: Generator, tmp_path: Path) -> None:
    from diffusers import AutoencoderTiny

    base = generator.base
    with pytest.raises(FileMissing, match="no TAESD 'nowhere'"):
        TinyDecoder("nowhere", base)
    with pytest.raises(HubError, match=r"nobody/nothing is not on this disk|HF_HUB_OFFLINE"):
        TinyDecoder("nobody/nothing", base)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="is no TAESD"):
        TinyDecoder(str(tmp_path / "empty"), base)
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidInput, match="does not hold the decoder of a TAESD"):
        TinyDecoder(str(tmp_path / "broken.safetensors"), base)
    AutoencoderTiny(latent_channels=16).save_pretrained(tmp_path / "wide")
    with pytest.raises(InvalidInput, match="16 channels and 8 pixels a cell; those of"):
        TinyDecoder(str(tmp_path / "wide"), base)


@pytest.mark.skipif(not TAESD, reason="TIREG_REAL_TAESD names no folder")
def test_the_published_weights_give_a_picture_back(generator: Generator) -> None:
    from diffusers import AutoencoderTiny
    from safetensors.torch import load_file

    encoder = AutoencoderTiny().encoder
    encoder.load_state_dict(
        {f"layers.{name}": tensor for name, tensor in load_file(Path(TAESD) / "taesd_encoder.safetensors").items()}
    )
    rows, columns = np.mgrid[0:128, 0:128] / 127
    pixels = np.stack([rows, columns, (rows - columns) ** 2])[None]
    before = torch.tensor(pixels, dtype=torch.float32) * 2 - 1
    with torch.inference_mode():
        after = TinyDecoder(str(Path(TAESD) / "taesd_decoder.safetensors"), generator.base).decode(encoder(before))
    noise = float(((after - before) / 2).pow(2).mean())
    assert -10 * np.log10(noise) > 25
