"""A picture on its way: the steps of a batch as they are done, and what each of them foresees as the result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tiregistry.bases.autoencoder import pictures_of, unscaled, vae_at_work

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.generation.tiny_decoder import TinyDecoder

Foreseen = Callable[[int, int, torch.Tensor], None]
"""Told the steps done, the steps in all, and the clean latents foreseen, as the pipeline has them."""


@dataclass(frozen=True)
class Step:
    """One denoising step of a batch.

    Attributes:
        first: index of the batch's first picture among all of the call, from 0.
        count: pictures in the batch.
        number, total: steps done, and steps in all.
    """

    first: int
    count: int
    number: int
    total: int
    _decode: Callable[[], list[Image]]

    def previews(self) -> list[Image]:
        """What the batch's pictures look like so far (RGB): the clean latents that this step foresees, decoded."""
        return self._decode()


def watching(pipeline: Any, report: Foreseen) -> dict[str, Any]:
    """Arguments that make a pipeline with a fresh scheduler report its steps; what it computes stays the same."""
    scheduler = pipeline.scheduler
    step = scheduler.step
    foreseen: list[torch.Tensor] = []

    # Pipelines look at the parameters of `step` to know what it takes.
    @functools.wraps(step)
    def remember(model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        out = step(model_output, timestep, sample, *args, **kwargs)
        foreseen[:] = [_clean(scheduler, out, model_output, sample)]
        return out

    def done(pipe: Any, index: int, timestep: Any, tensors: Any) -> dict[str, Any]:
        report(index + 1, pipe.num_timesteps, foreseen[0])
        return {}

    scheduler.step = remember
    return {"callback_on_step_end": done}


def _clean(scheduler: Any, out: Any, model_output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """The clean latents that a scheduler's step foresees, from what the scheduler gives away of it."""
    if len(out) > 1:
        return out[1]
    known = getattr(scheduler, "model_outputs", None)
    if known and known[-1] is not None:
        return known[-1]
    if hasattr(scheduler, "scale_noise") and scheduler.step_index:
        # x_t = (1 - sigma) x_0 + sigma noise, and the velocity is noise - x_0 (Lipman et al. 2023).
        return sample - scheduler.sigmas[scheduler.step_index - 1] * model_output
    return out[0]


def decode(base: LoadedBase, latents: torch.Tensor, tiny: TinyDecoder | None = None) -> list[Image]:
    """Pictures (RGB) of latents `[b, c, h, w]` as the denoiser knows them.

    Args:
        tiny: decodes them instead of the base model's own VAE.
    """
    if tiny is not None:
        return pictures_of(tiny.decode(latents))
    with vae_at_work(base) as dtype:
        return pictures_of(base.vae.decode(unscaled(base, latents).to(dtype)).sample)
