"""How each family's denoiser is called: the same arguments for UNets and transformers, for training and previews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

TRAINING_GUIDANCE = 1.0
"""What a guidance-distilled FLUX is told while training: at 1 it predicts what the training target is made of, the
velocity without guidance."""


@dataclass(frozen=True)
class Conditioning:
    """What the denoiser is told: `states [b, tokens, dim]`, and where the family has it `pooled [b, dim]`."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None

    def __getitem__(self, index: torch.Tensor) -> Conditioning:
        """The conditions of some samples, repeated as `index` (long `[n]`) says."""
        return Conditioning(_chosen(self.states, index), None if self.pooled is None else _chosen(self.pooled, index))


def _chosen(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """`rows[index]`, whose way back adds up in the same order every time, also on several CPU threads."""
    chosen = torch.nn.functional.embedding(index, rows.flatten(1))
    return chosen.unflatten(1, rows.shape[1:])


def predict_with_unet(denoiser: Any, noised: torch.Tensor, timesteps: torch.Tensor, told: Conditioning) -> torch.Tensor:
    """Stable Diffusion 1 and 2: the prediction `[b, c, h, w]`."""
    out: torch.Tensor = denoiser(noised, timesteps, told.states).sample
    return out


def predict_with_xl_unet(
    denoiser: Any, noised: torch.Tensor, timesteps: torch.Tensor, told: Conditioning, factor: int
) -> torch.Tensor:
    """Stable Diffusion XL, with its micro-conditioning (original size, crop corner, target size) for an uncropped
    picture.

    Args:
        factor: pixels per latent cell.
    """
    assert told.pooled is not None
    height, width = noised.shape[-2] * factor, noised.shape[-1] * factor
    sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=told.pooled.dtype, device=noised.device)
    added = {"text_embeds": told.pooled, "time_ids": sizes.expand(len(told.pooled), -1)}
    out: torch.Tensor = denoiser(noised, timesteps, told.states, added_cond_kwargs=added).sample
    return out


def predict_with_sd3(denoiser: Any, noised: torch.Tensor, timesteps: torch.Tensor, told: Conditioning) -> torch.Tensor:
    """Stable Diffusion 3: the velocity `[b, c, h, w]`; timesteps from 0 to 1000."""
    out: torch.Tensor = denoiser(
        hidden_states=noised,
        timestep=timesteps,
        encoder_hidden_states=told.states,
        pooled_projections=told.pooled,
    ).sample
    return out


def predict_with_flux(
    denoiser: Any,
    noised: torch.Tensor,
    timesteps: torch.Tensor,
    told: Conditioning,
    guidance: float,
) -> torch.Tensor:
    """FLUX: the velocity `[b, c, h, w]`; timesteps from 0 to 1000.

    The transformer sees squares of two by two latent cells as a sequence, each with its row and column.
    """
    batch, channels, height, width = noised.shape
    rows, columns = height // 2, width // 2
    squares = noised.view(batch, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5)
    places = torch.zeros(rows, columns, 3, device=noised.device, dtype=noised.dtype)
    places[..., 1] = torch.arange(rows, device=noised.device)[:, None]
    places[..., 2] = torch.arange(columns, device=noised.device)[None, :]
    told_guidance = None
    if denoiser.config.guidance_embeds:
        told_guidance = torch.full((batch,), guidance, device=noised.device, dtype=torch.float32)
    out: torch.Tensor = denoiser(
        hidden_states=squares.reshape(batch, rows * columns, channels * 4),
        timestep=timesteps / 1000,
        encoder_hidden_states=told.states,
        pooled_projections=told.pooled,
        guidance=told_guidance,
        txt_ids=torch.zeros(told.states.shape[1], 3, device=noised.device, dtype=noised.dtype),
        img_ids=places.reshape(rows * columns, 3),
    ).sample
    squares = out.view(batch, rows, columns, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return squares.reshape(batch, channels, height, width)
