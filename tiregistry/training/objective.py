"""The denoising loss of latent diffusion (Rombach et al. 2022, eq. 2) for epsilon- and v-predicting models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tiregistry.errors import InvalidConfig

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase


class Objective:
    """Noises latents and scores the denoiser's answer.

    Attributes:
        num_timesteps: length of the noise schedule the model was trained with.
    """

    def __init__(self, base: LoadedBase, min_snr_gamma: float = 0.0) -> None:
        from diffusers import DDPMScheduler

        noise_scheduler = DDPMScheduler.from_config(base.scheduler.config)
        self.num_timesteps = int(noise_scheduler.config.num_train_timesteps)
        self._alphas = noise_scheduler.alphas_cumprod.float().to(base.device)
        self._gamma = min_snr_gamma
        self._prediction = base.prediction_type
        if self._prediction not in ("epsilon", "v_prediction"):
            raise InvalidConfig(
                f"the base model predicts {self._prediction!r}, which cannot be trained", "epsilon and v_prediction can"
            )

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise; all `[b, c, h, w]` float32, timesteps long `[b]`."""
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise

    def losses(
        self, predicted: torch.Tensor, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """Squared error of each sample, float32 `[b]`, weighted by min-SNR when asked.

        The target is the noise, or the velocity sqrt(a_t) noise - sqrt(1 - a_t) x_0 (Salimans & Ho 2022).
        """
        alpha = self._alphas[timesteps]
        if self._prediction == "epsilon":
            target = noise
        else:
            a = alpha.view(-1, 1, 1, 1)
            target = a.sqrt() * noise - (1 - a).sqrt() * latents
        error = (predicted.float() - target).square().mean(dim=(1, 2, 3))
        if self._gamma > 0:
            snr = alpha / (1 - alpha)
            capped = snr.clamp(max=self._gamma)
            error = error * (capped / snr if self._prediction == "epsilon" else capped / (snr + 1))
        return error
