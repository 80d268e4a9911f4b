"""`Samples`: what several words drew for one step, behind each other and on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from tiregistry.training.dataset import Draw
    from tiregistry.training.word import Word


@dataclass(frozen=True)
class Samples:
    """The samples of one step.

    Attributes:
        owner, captions: long `[b]` on the CPU, index of each sample's word, and of its caption among the word's.
        weight: float32 `[b]`, share of the sample in its word's mean loss.
        latents, noise: float32 `[b, channels, height, width]`.
        timesteps: `[b]`.
        masks: float32 `[b, 1, height, width]`, or None when no word has masks.
        gammas: float32 `[b]`, min-SNR's gamma, or None when no word asks for it.
    """

    owner: torch.Tensor
    captions: torch.Tensor
    weight: torch.Tensor
    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    masks: torch.Tensor | None
    gammas: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.owner)

    @classmethod
    def of(cls, words: Sequence[Word], every: Sequence[Draw | None], device: torch.device) -> Samples:
        """The draws of those words that have one, moved to `device`."""
        draws = [(index, draw) for index, draw in enumerate(every) if draw is not None]
        gammas = [words[index].config.min_snr_gamma for index, draw in draws for _ in range(len(draw))]
        masks = _joined_masks([draw for _, draw in draws])
        return cls(
            owner=torch.tensor([index for index, draw in draws for _ in range(len(draw))]),
            captions=torch.cat([draw.captions for _, draw in draws]),
            weight=torch.tensor([1.0 / len(draw) for _, draw in draws for _ in range(len(draw))]).to(device),
            latents=torch.cat([draw.latents for _, draw in draws]).to(device),
            noise=torch.cat([draw.noise for _, draw in draws]).to(device),
            timesteps=torch.cat([draw.timesteps for _, draw in draws]).to(device),
            masks=None if masks is None else masks.to(device),
            gammas=torch.tensor(gammas).to(device) if any(gammas) else None,
        )


def _joined_masks(draws: Sequence[Draw]) -> torch.Tensor | None:
    if all(draw.masks is None for draw in draws):
        return None
    return torch.cat([torch.ones_like(d.latents[:, :1]) if d.masks is None else d.masks for d in draws])
