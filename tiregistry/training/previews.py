"""Previews: pictures of a word while it is learned, from the same noise every time, so that only the word differs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.vectors import Rows

STEPS = 25
GUIDANCE = 5.0


@torch.no_grad()
def preview(base: LoadedBase, rows: Rows, prompt: str, seed: int) -> bytes:
    """A picture as PNG bytes, in the base model's own size: DDIM, 25 steps, guidance 5.

    Args:
        rows: the word's vectors, per encoder role `[num_vectors, dim]`.
        prompt: with `{}` at the word's place.

    Raises:
        InvalidPrompt: it does not fit the token window.
    """
    from diffusers import DDIMScheduler

    scheduler: Any = DDIMScheduler.from_config(base.scheduler.config)
    scheduler.set_timesteps(STEPS)
    before, after = prompt.split("{}")
    ids = {}
    for tower in base.towers:
        word = tuple(range(tower.words.first_id, tower.words.first_id + len(rows[tower.role])))
        ids[tower.role] = torch.tensor([tower.ids([""]), tower.ids([before, word, after])])
    with base.using_rows({role: vectors.to(base.device) for role, vectors in rows.items()}):
        encoded = base.encode(ids)
    side = base.resolution
    added = base.added_conditions(encoded, side, side)
    shape = (1, int(base.denoiser.config.in_channels), side // base.vae_factor, side // base.vae_factor)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(base.device)
    latents = latents * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), timestep).to(base.dtype)
        times = torch.full((2,), int(timestep), device=base.device)
        out = base.denoiser(both, times, encoded.states, added_cond_kwargs=added).sample.float()
        without, told = out.chunk(2)
        latents = scheduler.step(without + GUIDANCE * (told - without), int(timestep), latents).prev_sample
    buffer = io.BytesIO()
    _decode(base, latents).save(buffer, format="PNG")
    return buffer.getvalue()


def _decode(base: LoadedBase, latents: torch.Tensor) -> Image:
    from PIL import Image as Pillow

    scale = float(base.vae.config.scaling_factor)
    shift = float(getattr(base.vae.config, "shift_factor", None) or 0.0)
    with vae_on_device(base) as dtype:
        pixels = base.vae.decode((latents / scale + shift).to(dtype)).sample[0].float().cpu()
    array = ((pixels.permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    return Pillow.fromarray(array)


@contextmanager
def vae_on_device(base: LoadedBase) -> Iterator[torch.dtype]:
    """Within the block the autoencoder is on the device, in the type it can work in; then it leaves again.

    SDXL's autoencoder overflows in fp16, as its configuration says; bf16 has float32's range.
    """
    before = next(base.vae.parameters()).dtype
    dtype = torch.float32 if before == torch.float16 and base.vae.config.force_upcast else before
    base.vae.to(base.device, dtype)
    try:
        yield dtype
    finally:
        base.vae.to("cpu", before)
        if base.device.type == "cuda":
            torch.cuda.empty_cache()
