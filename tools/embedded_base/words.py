"""Learning words on an exported model folder with the project's own engine, and drawing with them, for measuring."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from PIL import Image

from tiregistry.bases.loaded import LoadedBase
from tiregistry.bases.loading import load_base
from tiregistry.training.config import TrainingConfig
from tiregistry.training.dataset import encode_pictures
from tiregistry.training.loop import learn
from tiregistry.training.starting import start_vectors
from tiregistry.training.stopping import StopRule
from tiregistry.training.word import Word
from tiregistry.training.wording import Wording
from tools.embedded_base.autoencoder import to_pictures

BATCH, GPU_BATCH = 16, 256
"""Pictures that are denoised together."""


@dataclass(frozen=True)
class Lesson:
    """What one word is learned from.

    Attributes:
        pictures: (n, 64, 64, 3) uint8.
        captions: one a picture, with `{}` for the word; empty: the templates of Textual Inversion.
        style: a style instead of a thing.
        seed: of the whole training.
    """

    name: str
    pictures: np.ndarray
    initializer: str
    captions: Sequence[str] = ()
    style: bool = False
    seed: int = 0


def open_base(folder: Path) -> LoadedBase:
    """The exported folder as the engine loads any base model, in float32, so that no number is one of rounding."""
    return load_base(str(folder), precision="fp32")


def learn_words(
    base: LoadedBase, lessons: Sequence[Lesson], config: TrainingConfig
) -> tuple[list[torch.Tensor], float]:
    """All lessons in one pass through the model, which gives the same words as one after the other.

    Returns:
        One (1, 192) vector per lesson, and seconds per step and word.
    """
    words = []
    for lesson in lessons:
        own = replace(
            config,
            concept_type="style" if lesson.style else "object",
            initializer=lesson.initializer,
            seed=lesson.seed,
            num_vectors=1,
        ).resolved()
        own.check()
        vectors, count = start_vectors(base, own)
        images = [Image.fromarray(picture) for picture in lesson.pictures]
        latents = encode_pictures(base, images, base.resolution, flip=own.flip)
        wording = Wording.build(own, lesson.captions or [""] * len(images), "<word>")
        rule = StopRule(own) if own.stopping == "dvar" else None
        words.append(Word(lesson.name, vectors, latents, wording, own, count, rule=rule))
    started, steps = time.monotonic(), 0
    for results in learn(base, words):
        steps += len(results)
    role = base.towers[0].role
    return [word.learned()[role] for word in words], (time.monotonic() - started) / max(1, steps)


@torch.no_grad()
def draw(
    base: LoadedBase,
    prompts: Sequence[str],
    words: Mapping[str, torch.Tensor] | None = None,
    *,
    seed: int | Sequence[int] = 0,
    guidance: float = 3.5,
    steps: int = 20,
) -> np.ndarray:
    """(n, 64, 64, 3) uint8. Picture i starts from the noise of `seed + i`, or `seed[i]`, whatever else is drawn.

    Args:
        words: mark in the prompts, such as `<thing>`, to vectors (k, 192).
    """
    batch = BATCH if base.device.type == "cpu" else GPU_BATCH
    seeds = range(seed, seed + len(prompts)) if isinstance(seed, int) else seed
    parts = [
        _draw_batch(base, prompts[i : i + batch], words or {}, seeds[i : i + batch], guidance, steps)
        for i in range(0, len(prompts), batch)
    ]
    return np.concatenate(parts)


def _draw_batch(
    base: LoadedBase,
    prompts: Sequence[str],
    words: Mapping[str, torch.Tensor],
    seeds: Sequence[int],
    guidance: float,
    steps: int,
) -> np.ndarray:
    tower = base.towers[0]
    places: dict[str, tuple[int, ...]] = {}
    for mark, vectors in words.items():
        first = tower.words.first_id + sum(map(len, places.values()))
        places[mark] = tuple(range(first, first + len(vectors)))
    ids = torch.tensor([tower.ids([""]), *(tower.ids(_segments(prompt, places)) for prompt in prompts)])
    if words:
        with base.using_rows({tower.role: torch.cat(list(words.values())).to(base.device)}):
            states = base.encode({tower.role: ids}).states
    else:
        states = base.encode({tower.role: ids}).states
    count = len(prompts)
    both = torch.cat([states[:1].expand(count, -1, -1), states[1:]])
    scheduler = DDIMScheduler.from_config(base.scheduler.config)
    scheduler.set_timesteps(steps)
    side = base.resolution // base.vae_factor
    x = torch.cat([torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(seed)) for seed in seeds]).to(
        base.device
    )
    for t in scheduler.timesteps:
        plain, wanted = base.denoiser(torch.cat([x, x]), t, both).sample.float().chunk(2)
        x = scheduler.step(plain + guidance * (wanted - plain), t, x).prev_sample
    base.vae.to(base.device)
    return to_pictures(base.vae.decode(x / base.vae.config.scaling_factor).sample)


def _segments(prompt: str, places: Mapping[str, tuple[int, ...]]) -> list[str | tuple[int, ...]]:
    """The prompt cut at the marks of the words."""
    segments: list[str | tuple[int, ...]] = [prompt]
    for mark, ids in places.items():
        cut: list[str | tuple[int, ...]] = []
        for segment in segments:
            if isinstance(segment, tuple):
                cut.append(segment)
                continue
            for number, piece in enumerate(segment.split(mark)):
                cut.extend([ids, piece] if number else [piece])
        segments = cut
    return segments
