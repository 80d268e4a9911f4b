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

    def __init__(self, base: LoadedBase) -> None:
        from diffusers import DDPMScheduler

        noise_scheduler = DDPMScheduler.from_config(base.scheduler.config)
        self.num_timesteps = int(noise_scheduler.config.num_train_timesteps)
        self._alphas = noise_scheduler.alphas_cumprod.float().to(base.device)
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
        self,
        predicted: torch.Tensor,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        masks: torch.Tensor | None = None,
        gammas: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Squared error of each sample, float32 `[b]`.

        The target is the noise, or the velocity sqrt(a_t) noise - sqrt(1 - a_t) x_0 (Salimans & Ho 2022).

        Args:
            masks: `[b, 1, h, w]` weights from 0 to 1; the error is averaged over what they leave, so that a small
                thing weighs as much as a large one.
            gammas: float `[b]`, min-SNR's gamma of each sample (Hang et al. 2023); 0 weighs it 1.
        """
        alpha = self._alphas[timesteps]
        if self._prediction == "epsilon":
            target = noise
        else:
            a = alpha.view(-1, 1, 1, 1)
            target = a.sqrt() * noise - (1 - a).sqrt() * latents
        squared = (predicted.float() - target).square()
        if masks is None:
            error = squared.mean(dim=(1, 2, 3))
        else:
            error = (squared * masks).sum(dim=(1, 2, 3)) / (masks.sum(dim=(1, 2, 3)) * squared.shape[1])
        if gammas is not None:
            # At zero terminal SNR the last timestep has no signal at all; its weight is the limit, not 0 / 0.
            snr = (alpha / (1 - alpha)).clamp(min=1e-8)
            capped = torch.minimum(snr, gammas)
            weight = capped / snr if self._prediction == "epsilon" else capped / (snr + 1)
            error = error * torch.where(gammas > 0, weight, 1.0)
        return error
