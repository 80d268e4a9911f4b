"""What is different with SD3 and FLUX: two kinds of text encoders, velocities, guidance that is told, larger cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.core.generation.conftest import FLOW, QUICK, bytes_of
from tests.learned import register_word
from tiregistry.errors import InvalidConfig
from tiregistry.generation.generator import Generator
from tiregistry.generation.settings import GenerationSettings
from tiregistry.registry.registry import Registry

SMALL = replace(QUICK, width=64, height=64)
Load = Callable[..., Any]


def encoded(generator: Generator, prompt: str) -> Any:
    item = generator.prepare(prompt, SMALL)
    with torch.no_grad():
        return generator._prompt_encoder().encode(item.tokens)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl", *FLOW])
def test_plain_text_is_encoded_as_diffusers_does_it(registry: Registry, loaded: Load, kind: str) -> None:
    generator = Generator(loaded(kind), registry)
    ours = encoded(generator, "a red cat on the beach")
    pipeline = generator._all_pipelines()._make("text")
    options: dict[str, Any] = {"prompt": "a red cat on the beach", "device": torch.device("cpu")}
    options |= {"num_images_per_prompt": 1}
    if kind.startswith("flux"):
        window = 256 if kind == "flux-distilled" else 512
        states, pooled, _ = pipeline.encode_prompt(prompt_2=None, max_sequence_length=window, **options)
    elif kind.startswith("sd3"):
        states, _, pooled, _ = pipeline.encode_prompt(prompt_2=None, prompt_3=None, **options)
    elif kind == "sdxl":
        states, _, pooled, _ = pipeline.encode_prompt(**options)
    else:
        states, pooled = pipeline.encode_prompt(do_classifier_free_guidance=False, **options)[0], None
    assert torch.equal(ours.states, states)
    assert (ours.pooled is None) == (pooled is None)
    assert pooled is None or torch.equal(ours.pooled, pooled)


def test_weights_act_on_each_encoder_of_its_own(registry: Registry, loaded: Load) -> None:
    generator = Generator(loaded("sd3"), registry)
    plain, silent, empty = (encoded(generator, text).states for text in ("a red cat", "a (red:0) cat", ""))
    assert plain.shape[1] == 77 + 256
    # T5 has no begin token, and reads one piece for each of these words.
    changed = [i for i in range(plain.shape[1]) if not torch.equal(plain[0, i], silent[0, i])]
    assert changed == [2, 77 + 1]
    assert torch.equal(silent[0, changed], empty[0, changed])


def test_long_prompts_have_as_many_pieces_as_each_encoder_needs(registry: Registry, loaded: Load) -> None:
    base = loaded("sd3")
    register_word(registry, base, "gnome", num_vectors=3)
    generator = Generator(base, registry)
    item = generator.prepare("red " * 74 + "<gnome> " + "cat " * 30, replace(SMALL, negative_prompt="old"))
    assert {role: len(chunks) for role, chunks in item.tokens.chunks.items()} == {"clip_l": 2, "clip_g": 2, "t5": 1}
    assert [len(chunk) for chunk in item.tokens.chunks["clip_l"]] == [74, 33]
    assert "encoded in 2 pieces" in item.notes[0]
    (picture,) = generator.render(item, [0])
    assert picture.image.size == (64, 64)
    flux = Generator(loaded("flux"), registry).prepare("red " * 90, SMALL)
    assert ({role: len(chunks) for role, chunks in flux.tokens.chunks.items()}, flux.notes) == (
        {"clip_l": 1, "t5": 1},
        (),
    )


def test_what_is_usual_for_a_family(registry: Registry, loaded: Load) -> None:
    usual = {}
    for kind in ("sd1", *FLOW):
        settings = GenerationSettings(width=64, height=64).resolved(loaded(kind))
        usual[kind] = (settings.num_inference_steps, settings.guidance_scale, settings.scheduler)
    assert usual == {
        "sd1": (30, 5.0, "ddim"),
        "sd3": (30, 5.0, "euler"),
        "sd3-without-t5": (30, 5.0, "euler"),
        "flux": (30, 3.5, "euler"),
        "flux-distilled": (4, 1.0, "euler"),
    }


@pytest.mark.parametrize("kind", ["flux", "flux-distilled"])
def test_flux_follows_a_negative_prompt(registry: Registry, loaded: Load, kind: str) -> None:
    generator = Generator(loaded(kind), registry)
    pictures = {
        negative: next(generator.generate("a cat", replace(SMALL, negative_prompt=negative, guidance_scale=4.0)))
        for negative in ("", "old", "dark")
    }
    assert len({picture.image.tobytes() for picture in pictures.values()}) == 3


@pytest.mark.parametrize(("kind", "scheduler"), [("sd3", "euler"), ("sd3", "heun"), ("flux", "euler")])
def test_what_a_step_foresees_becomes_the_picture(registry: Registry, loaded: Load, kind: str, scheduler: str) -> None:
    generator = Generator(loaded(kind), registry)
    settings = replace(SMALL, num_inference_steps=4, scheduler=scheduler)
    looks: list[Image.Image] = []
    (picture,) = generator.generate("a cat", settings, on_step=lambda step: looks.extend(step.previews()))
    difference = np.abs(np.asarray(looks[-1], dtype=float) - np.asarray(picture.image, dtype=float))
    assert difference.mean() < 2
    assert bytes_of([picture]) == bytes_of(generator.generate("a cat", settings))


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("flux", {"scheduler": "heun"}, "scheduler heun cannot be used with"),
        ("sd3", {"scheduler": "ddim"}, "scheduler ddim cannot be used with"),
        ("flux", {"width": 72}, "width 72 is not a multiple of 16"),
        ("sd3", {"height": 512}, "height 512 is more than"),
    ],
)
def test_what_cannot_be_made(registry: Registry, loaded: Load, kind: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        Generator(loaded(kind), registry).prepare("a cat", replace(SMALL, **wrong))
