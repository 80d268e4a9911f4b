"""What a step learns from: cached VAE posteriors of the pictures and tokenised captions, drawn by seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from tiregistry.images import crop_square

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase


@dataclass(frozen=True)
class Latents:
    """VAE posteriors of the pictures (and of their mirror images), scaled as the denoiser expects them.

    Keeping mean and standard deviation instead of one sample keeps the encoder's noise in training while the VAE
    itself runs only once per picture.

    Attributes:
        mean, std: float32 `[n, channels, height, width]` on the CPU.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __len__(self) -> int:
        return len(self.mean)


@torch.no_grad()
def encode_pictures(base: LoadedBase, pictures: Sequence[Image], resolution: int, *, flip: bool) -> Latents:
    """Run the VAE encoder once per picture and mirror image.

    Args:
        pictures: upright RGB pictures of any size.
        resolution: side of the centre square in pixels.
    """
    means, stds = [], []
    scale = float(base.vae.config.scaling_factor)
    shift = float(getattr(base.vae.config, "shift_factor", None) or 0.0)
    dtype = next(base.vae.parameters()).dtype
    for picture in pictures:
        pixels = torch.from_numpy(np.array(crop_square(picture, resolution), dtype=np.float32)) / 127.5 - 1.0
        pixels = pixels.permute(2, 0, 1)
        for view in (pixels, pixels.flip(-1)) if flip else (pixels,):
            posterior = base.vae.encode(view[None].to(base.device, dtype)).latent_dist
            means.append(((posterior.mean.float() - shift) * scale).cpu())
            stds.append((posterior.std.float() * scale).cpu())
    return Latents(torch.cat(means), torch.cat(stds))


@dataclass(frozen=True)
class Draw:
    """One step's samples for one word, all on the CPU.

    Attributes:
        latents, noise: float32 `[b, channels, height, width]`.
        timesteps: long `[b]`.
        captions: long `[b]`, index into the word's captions.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    captions: torch.Tensor


def draw(latents: Latents, num_captions: int, batch_size: int, num_timesteps: int, seed: int, step: int) -> Draw:
    """The samples of step `step`: the same for the same seed and step on every machine, whatever came before.

    Timesteps are stratified (one from each of `batch_size` equal slices), which lowers the variance of the loss
    without biasing it. Pictures are dealt without repetition within a step where there are enough.
    """
    generator = torch.Generator().manual_seed(_mix(seed, step))
    pictures = torch.cat(
        [torch.randperm(len(latents), generator=generator) for _ in range(-(-batch_size // len(latents)))]
    )[:batch_size]
    captions = torch.randint(num_captions, (batch_size,), generator=generator)
    slices = torch.randperm(batch_size, generator=generator) + torch.rand(batch_size, generator=generator)
    timesteps = (slices * (num_timesteps / batch_size)).long().clamp(max=num_timesteps - 1)
    shape = (batch_size, *latents.mean.shape[1:])
    mean, std = latents.mean[pictures], latents.std[pictures]
    sample = mean + std * torch.randn(shape, generator=generator)
    return Draw(sample, torch.randn(shape, generator=generator), timesteps, captions)


def _mix(seed: int, step: int) -> int:
    """A 63-bit seed from run seed and step (splitmix64), so that neighbouring steps share nothing."""
    mask = (1 << 64) - 1
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1
