"""Previews: pictures of a word while it is learned, from the same noise every time, so that only the word differs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tiregistry.bases.autoencoder import pictures_of, unscaled, vae_at_work

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.denoisers import Conditioning
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.vectors import Rows

STEPS = 25
GUIDANCE = 5.0
FLUX_GUIDANCE = 3.5
"""What a guidance-distilled FLUX is told."""


def preview(base: LoadedBase, rows: Rows, prompt: str, seed: int, side: int = 0) -> bytes:
    """A picture as PNG bytes: see `pictures`."""
    buffer = io.BytesIO()
    pictures(base, rows, [(prompt, seed)], side)[0].save(buffer, format="PNG")
    return buffer.getvalue()


@torch.no_grad()
def pictures(
    base: LoadedBase, rows: Rows, shots: Sequence[tuple[str, int]], side: int = 0, steps: int = STEPS
) -> list[Image]:
    """RGB pictures of a word, made in one batch: DDIM with guidance 5 (SD3: Euler with 5; FLUX: Euler, told 3.5).

    Args:
        rows: the word's vectors, per encoder role `[num_vectors, dim]`.
        shots: prompts with `{}` at the word's place, each with the seed of its noise.
        side: of the pictures in pixels; 0 means the base model's own.

    Raises:
        InvalidPrompt: a prompt does not fit the token window.
    """
    ids = {}
    for tower in base.towers:
        word = tuple(range(tower.words.first_id, tower.words.first_id + len(rows[tower.role])))
        texts = [(prompt.partition("{}")) for prompt, _ in shots]
        told = [tower.ids([before, word, after]) for before, _, after in texts]
        ids[tower.role] = torch.tensor([tower.ids([""])] * len(shots) + told)
    with base.using_rows({role: vectors.to(base.device) for role, vectors in rows.items()}):
        conditions = base.encode(ids)
    cells = (side or base.resolution) // base.vae_factor
    shape = (1, base.latent_channels, cells, cells)
    noise = torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for _, seed in shots])
    latents = (_flow if base.is_flow else _diffuse)(base, conditions, noise.to(base.device), steps)
    return _decode(base, latents)


def _diffuse(base: LoadedBase, told: Conditioning, latents: torch.Tensor, steps: int) -> torch.Tensor:
    from diffusers import DDIMScheduler

    scheduler: Any = DDIMScheduler.from_config(base.scheduler.config)
    scheduler.set_timesteps(steps)
    latents = latents * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), timestep).to(base.dtype)
        times = torch.full((len(both),), int(timestep), device=base.device)
        out = _guided(base.predict(both, times, told).float())
        latents = scheduler.step(out, int(timestep), latents).prev_sample
    return latents


def _flow(base: LoadedBase, told: Conditioning, latents: torch.Tensor, steps: int) -> torch.Tensor:
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(base.scheduler.config)
    config = scheduler.config
    mu = None
    if config.use_dynamic_shifting:
        # Linear in the number of squares of two by two cells, between the two sizes the configuration names.
        squares = latents.shape[-1] * latents.shape[-2] // 4
        share = (squares - config.base_image_seq_len) / (config.max_image_seq_len - config.base_image_seq_len)
        mu = config.base_shift + share * (config.max_shift - config.base_shift)
    scheduler.set_timesteps(steps, device=base.device, mu=mu)
    distilled = base.family == "flux"
    with_words = told[torch.arange(len(latents), 2 * len(latents), device=base.device)]
    for timestep in scheduler.timesteps:
        noised = latents.to(base.dtype)
        if distilled:
            times = timestep.repeat(len(noised))
            out = base.predict(noised, times, with_words, guidance=FLUX_GUIDANCE).float()
        else:
            both = torch.cat([noised, noised])
            out = _guided(base.predict(both, timestep.repeat(len(both)), told).float())
        latents = scheduler.step(out, timestep, latents).prev_sample
    return latents


def _guided(both: torch.Tensor) -> torch.Tensor:
    """Classifier-free guidance from the predictions without and with the words (Ho & Salimans 2022)."""
    without, told = both.chunk(2)
    return without + GUIDANCE * (told - without)


def _decode(base: LoadedBase, latents: torch.Tensor) -> list[Image]:
    decoded: list[Image] = []
    with vae_at_work(base, leaves=True) as dtype:
        for one in latents:  # one by one: a preview must not need more memory than a step
            decoded += pictures_of(base.vae.decode(unscaled(base, one[None]).to(dtype)).sample)
    return decoded
