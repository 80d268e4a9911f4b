"""Which timesteps are trained: from evenly spread numbers to places in a model's noise schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


class Timesteps(Protocol):
    """The distribution of training timesteps."""

    def __call__(self, quantiles: torch.Tensor, low: int, high: int | None) -> torch.Tensor:
        """Timesteps `[b]` at float32 `quantiles [b]` from 0 to 1 of what lies from `low` to below `high`.

        Even quantiles give the distribution's own density within the range; None means the schedule's end.
        """


@dataclass(frozen=True)
class UniformTimesteps:
    """Diffusion models: every timestep (long) is as likely as any other (Ho et al. 2020).

    Attributes:
        count: length of the noise schedule.
    """

    count: int

    def __call__(self, quantiles: torch.Tensor, low: int, high: int | None) -> torch.Tensor:
        end = min(high or self.count, self.count)
        return (low + quantiles * (end - low)).long().clamp(max=end - 1)


@dataclass(frozen=True)
class LogitNormalTimesteps:
    """Flow models: the middle of the way is trained most (Esser et al. 2024, section 3.1, mean 0 and deviation 1).

    Timesteps are real numbers, 1000 times the share of noise.

    Attributes:
        shift: moves the density towards more noise, as pictures of more pixels need (ibid. section 5.3.2); 1 leaves it.
    """

    shift: float = 1.0
    scale: float = 1000.0

    def __call__(self, quantiles: torch.Tensor, low: int, high: int | None) -> torch.Tensor:
        bounds = torch.tensor([low, min(high or self.scale, self.scale)], dtype=torch.float64) / self.scale
        unshifted = bounds / (self.shift - (self.shift - 1) * bounds)
        start, end = torch.special.ndtr(torch.logit(unshifted))
        inner = (start + quantiles.double() * (end - start)).clamp(1e-7, 1 - 1e-7)
        sigmas = torch.sigmoid(torch.special.ndtri(inner))
        shifted = self.shift * sigmas / (1 + (self.shift - 1) * sigmas)
        return (shifted * self.scale).float()
