"""What a step learns from: cached VAE posteriors of the pictures, drawn with captions and noise by seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from tiregistry.bases.autoencoder import scaled, vae_at_work
from tiregistry.errors import InvalidImage
from tiregistry.images import crop_square
from tiregistry.training.config import TrainingConfig
from tiregistry.training.timesteps import Timesteps
from tiregistry.training.wording import PER_IMAGE_PROBABILITY, Wording

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
        views: how many entries each picture has, one after the other: 2 with its mirror image, else 1.
        masks: float32 `[n, 1, height, width]` from 0 (not learned) to 1, or None when everything is learned.
    """

    mean: torch.Tensor
    std: torch.Tensor
    views: int = 1
    masks: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.mean)


@torch.no_grad()
def encode_pictures(
    base: LoadedBase,
    pictures: Sequence[Image],
    resolution: int,
    *,
    flip: bool,
    masks: Sequence[Image | None] = (),
) -> Latents:
    """Run the VAE encoder once per picture and mirror image; the VAE leaves the device afterwards.

    Args:
        pictures: upright RGB pictures of any size.
        resolution: side of the centre square in pixels.
        masks: a grey picture of the same proportions for each picture, white where it is learned; or None, or nothing.

    Raises:
        InvalidImage: a mask is black all over the part that is trained.
    """
    means: list[torch.Tensor] = []
    stds: list[torch.Tensor] = []
    weights: list[torch.Tensor] = []
    with vae_at_work(base, leaves=True) as dtype:
        for index, picture in enumerate(pictures):
            pixels = torch.from_numpy(np.array(crop_square(picture, resolution), dtype=np.float32)) / 127.5 - 1.0
            pixels = pixels.permute(2, 0, 1)
            for view in (pixels, pixels.flip(-1)) if flip else (pixels,):
                posterior = base.vae.encode(view[None].to(base.device, dtype)).latent_dist
                means.append(scaled(base, posterior.mean.float()).cpu())
                stds.append((posterior.std.float() * float(base.vae.config.scaling_factor)).cpu())
            if any(mask is not None for mask in masks):
                weight = _latent_mask(masks[index], resolution, tuple(means[-1].shape[-2:]), f"picture {index + 1}")
                weights.extend((weight, weight.flip(-1)) if flip else (weight,))
    return Latents(torch.cat(means), torch.cat(stds), 2 if flip else 1, torch.stack(weights) if weights else None)


def _latent_mask(mask: Image | None, resolution: int, size: tuple[int, ...], name: str) -> torch.Tensor:
    """A mask at the latents' size, float32 `[1, height, width]`: the share of each cell that is learned."""
    from PIL import Image as Pillow

    if mask is None:
        return torch.ones(1, *size)
    square = crop_square(mask.convert("L"), resolution)
    small = square.resize((size[1], size[0]), Pillow.Resampling.BOX)
    weight = torch.from_numpy(np.array(small, dtype=np.float32))[None] / 255.0
    if not bool(weight.max() > 0.05):
        raise InvalidImage(f"the mask of {name} leaves nothing to learn", "white is learned, black is not")
    return weight


@dataclass(frozen=True)
class Draw:
    """One step's samples for one word, all on the CPU.

    Attributes:
        latents, noise: float32 `[b, channels, height, width]`.
        timesteps: `[b]`, as the model counts them.
        captions: long `[b]`, index into the word's captions.
        masks: float32 `[b, 1, height, width]` or None.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    captions: torch.Tensor
    masks: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.captions)


EVALUATION = -1
"""The step whose draw is the fixed batch of the stopping rule; no training step draws the same."""


def draw(
    latents: Latents, wording: Wording, config: TrainingConfig, timesteps: Timesteps, step: int, count: int = 0
) -> Draw:
    """The samples of step `step`: the same for the same seed and step on every machine, whatever came before.

    Timesteps are stratified (one from each of as many equal slices as samples), which lowers the variance of the loss
    without biasing it. Pictures are dealt without repetition within a step where there are enough.

    Args:
        timesteps: the distribution of the model's training timesteps.
        count: samples to draw; 0 means what the configuration says.
    """
    generator = torch.Generator().manual_seed(mix_seed(config.seed, step))
    count = count or config.samples_per_step
    pictures = torch.cat([torch.randperm(len(latents), generator=generator) for _ in range(-(-count // len(latents)))])
    pictures = pictures[:count]
    captions = _draw_captions(wording, (pictures // latents.views).tolist(), generator)
    quantiles = torch.rand(count, generator=generator)
    if config.stratified_timesteps:
        quantiles = (torch.randperm(count, generator=generator) + quantiles) / count
    times = timesteps(quantiles, config.min_timestep, config.max_timestep)
    shape = (count, *latents.mean.shape[1:])
    sample = latents.mean[pictures] + latents.std[pictures] * torch.randn(shape, generator=generator)
    noise = torch.randn(shape, generator=generator)
    if config.noise_offset:
        noise += config.noise_offset * torch.randn((*shape[:2], 1, 1), generator=generator)
    return Draw(sample, noise, times, captions, None if latents.masks is None else latents.masks[pictures])


def _draw_captions(wording: Wording, pictures: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """A caption index for each drawn picture."""
    where = torch.rand(len(pictures), generator=generator).tolist()
    names_picture = [False] * len(pictures)
    if any(wording.own):
        names_picture = (torch.rand(len(pictures), generator=generator) < PER_IMAGE_PROBABILITY).tolist()
    chosen = []
    for picture, position, own in zip(pictures, where, names_picture, strict=True):
        among = wording.own[picture] if own else wording.choices[picture]
        chosen.append(among[min(int(position * len(among)), len(among) - 1)])
    return torch.tensor(chosen)


def mix_seed(seed: int, step: int) -> int:
    """A 63-bit seed from run seed and step (splitmix64), so that neighbouring steps share nothing."""
    mask = (1 << 64) - 1
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1
