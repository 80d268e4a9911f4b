"""The base model's autoencoder at work: where it is, in which type, and how its latents are scaled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from tiregistry.bases.quiet import quiet_libraries

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase


@contextmanager
def vae_at_work(base: LoadedBase, *, leaves: bool = False) -> Iterator[torch.dtype]:
    """Within the block the autoencoder is on the device, in the type it can work in, which is yielded.

    SDXL's autoencoder overflows in fp16, as its configuration says; bf16 has float32's range.

    Args:
        leaves: it leaves the device afterwards, so that its memory is free for other things.
    """
    before = next(base.vae.parameters()).dtype
    overflows = before == torch.float16 and bool(getattr(base.vae.config, "force_upcast", False))
    dtype = torch.float32 if overflows else before
    _move(base, base.device, dtype)
    try:
        yield dtype
    finally:
        _move(base, torch.device("cpu") if leaves else base.device, before)
        if leaves and base.device.type == "cuda":
            torch.cuda.empty_cache()


def _move(base: LoadedBase, device: torch.device, dtype: torch.dtype) -> None:
    with quiet_libraries():  # diffusers advises against it for the sake of parts that need float32, also without any
        base.vae.to(device, dtype)


def scaled(base: LoadedBase, latents: torch.Tensor) -> torch.Tensor:
    """Latents as the denoiser knows them, of those `[b, c, h, w]` that the autoencoder puts out."""
    shift, factor = _scale(base, latents)
    return (latents - shift) * factor


def unscaled(base: LoadedBase, latents: torch.Tensor) -> torch.Tensor:
    """Latents as the autoencoder knows them; the inverse of `scaled`."""
    shift, factor = _scale(base, latents)
    return latents / factor + shift


def pictures_of(pixels: torch.Tensor) -> list[Image]:
    """RGB pictures of decoded pixels `[b, 3, h, w]` from -1 to 1."""
    from PIL import Image as Pillow

    values = ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    return [Pillow.fromarray(one.permute(1, 2, 0).numpy()) for one in values]


def _scale(base: LoadedBase, latents: torch.Tensor) -> tuple[float | torch.Tensor, float | torch.Tensor]:
    """What is taken off the autoencoder's latents, and what they are then multiplied by.

    Some configurations have a mean and a standard deviation for each channel, as diffusers' pipelines read them.
    """
    config = base.vae.config
    factor, mean, deviation = float(config.scaling_factor), config.get("latents_mean"), config.get("latents_std")
    if mean is None or deviation is None:
        return float(config.get("shift_factor") or 0.0), factor
    mean, deviation = (latents.new_tensor(values).view(1, -1, 1, 1) for values in (mean, deviation))
    return mean, factor / deviation
