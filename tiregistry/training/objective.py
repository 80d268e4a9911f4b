"""The training loss: denoising for diffusion models, the straight flow's velocity for SD3 and FLUX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from tiregistry.errors import InvalidConfig
from tiregistry.training.base_check import PREDICTIONS
from tiregistry.training.timesteps import LogitNormalTimesteps, Timesteps, UniformTimesteps

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase


class Objective(Protocol):
    """Noises latents and scores the denoiser's answer.

    Attributes:
        timesteps: which timesteps are trained how often.
    """

    timesteps: Timesteps

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Latents and noise, both `[b, c, h, w]` float32, mixed as `timesteps [b]` say."""

    def losses(
        self,
        predicted: torch.Tensor,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        masks: torch.Tensor | None = None,
        gammas: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Squared error of each sample, float32 `[b]`.

        Args:
            masks: `[b, 1, h, w]` weights from 0 to 1; the error is averaged over what they leave, so that a small
                thing weighs as much as a large one.
            gammas: float `[b]`, min-SNR's gamma of each sample (Hang et al. 2023); 0 weighs it 1.
        """


def make_objective(base: LoadedBase) -> Objective:
    """The loss that a base model was trained with.

    Raises:
        InvalidConfig: it predicts something that cannot be trained here.
    """
    return FlowMatching(base) if base.is_flow else Denoising(base)


class Denoising:
    """Latent diffusion (Rombach et al. 2022, eq. 2) for models that predict the noise or the velocity.

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise. The target is the noise, or sqrt(a_t) noise - sqrt(1 - a_t) x_0 (Salimans
    & Ho 2022).
    """

    def __init__(self, base: LoadedBase) -> None:
        from diffusers import DDPMScheduler

        noise_scheduler = DDPMScheduler.from_config(base.scheduler.config)
        self.timesteps: Timesteps = UniformTimesteps(int(noise_scheduler.config.num_train_timesteps))
        self._alphas = noise_scheduler.alphas_cumprod.float().to(base.device)
        self._prediction = base.prediction_type
        if self._prediction not in PREDICTIONS:
            raise InvalidConfig(
                f"the base model predicts {self._prediction!r}, which cannot be trained",
                f"{' and '.join(PREDICTIONS)} can",
            )

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise

    def losses(
        self,
        predicted: torch.Tensor,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        masks: torch.Tensor | None = None,
        gammas: torch.Tensor | None = None,
    ) -> torch.Tensor:
        alpha = self._alphas[timesteps]
        if self._prediction == "epsilon":
            target = noise
        else:
            a = alpha.view(-1, 1, 1, 1)
            target = a.sqrt() * noise - (1 - a).sqrt() * latents
        error = _squared_error(predicted, target, masks)
        if gammas is None:
            return error
        # At zero terminal SNR the last timestep has no signal at all; its weight is the limit, not 0 / 0.
        snr = (alpha / (1 - alpha)).clamp(min=1e-8)
        capped = torch.minimum(snr, gammas)
        weight = capped / snr if self._prediction == "epsilon" else capped / (snr + 1)
        return error * torch.where(gammas > 0, weight, 1.0)


class FlowMatching:
    """Rectified flow (Liu et al. 2023; Esser et al. 2024) for SD3 and FLUX.

    With s the share of noise (timestep / 1000): x_s = (1 - s) x_0 + s noise, and the target is noise - x_0.
    """

    def __init__(self, base: LoadedBase) -> None:
        config = base.scheduler.config
        # Where the shift depends on the picture's size (FLUX), the file's fixed one is not in use, here as there.
        fixed = not config.get("use_dynamic_shifting", False)
        self.timesteps: Timesteps = LogitNormalTimesteps(float(config.get("shift", 1.0)) if fixed else 1.0)

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        share = _share(timesteps)
        return (1 - share) * latents + share * noise

    def losses(
        self,
        predicted: torch.Tensor,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        masks: torch.Tensor | None = None,
        gammas: torch.Tensor | None = None,
    ) -> torch.Tensor:
        error = _squared_error(predicted, noise - latents, masks)
        if gammas is None:
            return error
        # x_0 = x_s - s v: the error of x_0, which min-SNR caps, is s squared times that of the velocity.
        share = _share(timesteps).flatten().clamp(min=1e-4)
        weight = torch.minimum(((1 - share) / share).square(), gammas) * share.square()
        return error * torch.where(gammas > 0, weight, 1.0)


def _share(timesteps: torch.Tensor) -> torch.Tensor:
    return (timesteps.float() / 1000).view(-1, 1, 1, 1)


def _squared_error(predicted: torch.Tensor, target: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
    squared = (predicted.float() - target).square()
    if masks is None:
        return squared.mean(dim=(1, 2, 3))
    return (squared * masks).sum(dim=(1, 2, 3)) / (masks.sum(dim=(1, 2, 3)) * squared.shape[1])
