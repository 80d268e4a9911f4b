"""One batch from noise (or a start picture) to pictures, through diffusers' pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tiregistry.generation.conditioning import longest

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.denoisers import Conditioning
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.generation.conditioning import PromptEncoder
    from tiregistry.generation.prepared import Prepared
    from tiregistry.generation.tiny_decoder import TinyDecoder

OnStep = Callable[[int, int, Callable[[], "list[Image]"]], None]
"""Told the steps done, the steps in all, and what gives the pictures so far."""


def denoise(
    base: LoadedBase,
    pipeline: Any,
    encoder: PromptEncoder,
    batch: Sequence[tuple[Prepared, int]],
    *,
    on_step: OnStep | None = None,
    tiny: TinyDecoder | None = None,
) -> list[Image]:
    """The pictures (RGB) of a batch, one per prepared prompt and seed.

    Each has its own random source, seeded on the CPU: a seed means the same on every device, in any batch and order.

    Args:
        pipeline: with a fresh scheduler.
        batch: of the same settings, size and number of chunks.
        tiny: decodes the pictures so far; None for the base model's own VAE.
    """
    first = batch[0][0]
    settings, start = first.settings, first.start
    sources = [torch.Generator().manual_seed(seed) for _, seed in batch]
    options: dict[str, Any] = {
        **_conditions(encoder, [item for item, _ in batch]),
        **_guidance(base, first),
        "generator": sources[0] if len(sources) == 1 else sources,
        "num_inference_steps": settings.num_inference_steps,
        "output_type": "pil",
    }
    if base.is_flow:
        # Their pipelines fall back to the usual size, whatever picture they start from.
        options |= {"width": settings.width, "height": settings.height}
    mask = None
    if start is None:
        rows, columns = settings.height // base.vae_factor, settings.width // base.vae_factor
        channels = base.latent_channels if base.is_flow else int(base.denoiser.config.in_channels)
        noise = torch.cat([torch.randn((1, channels, rows, columns), generator=source) for source in sources])
        if base.family == "flux":
            noise = pipeline._pack_latents(noise, len(batch), channels, rows, columns)
        options |= {"latents": noise.to(base.device, base.dtype), "width": settings.width, "height": settings.height}
    else:
        before, mask = start.image_at(settings.width, settings.height), start.mask_at(settings.width, settings.height)
        options |= {"image": [before] * len(batch), "strength": start.strength}
        if mask is not None:
            options |= {"mask_image": [mask] * len(batch), "width": settings.width, "height": settings.height}

    def finished(images: Sequence[Image]) -> list[Image]:
        if mask is None:
            return [image.convert("RGB") for image in images]
        from PIL import Image as Pillow

        # The VAE changes every pixel a little; what the mask protects is put back as it was.
        return [Pillow.composite(image.convert("RGB"), before, mask) for image in images]

    if on_step is not None:
        from tiregistry.generation.steps import decode, watching

        def report(number: int, total: int, latents: torch.Tensor) -> None:
            if base.family == "flux":
                size = (settings.height, settings.width)
                latents = pipeline._unpack_latents(latents, *size, base.vae_factor)
            on_step(number, total, lambda: finished(decode(base, latents, tiny)))

        options |= watching(pipeline, report)
    return finished(pipeline(**options).images)


def _guidance(base: LoadedBase, item: Prepared) -> dict[str, Any]:
    """The pipeline's arguments for guidance.

    FLUX was distilled to be told its guidance. It can follow a negative prompt only by the real, twice as expensive
    guidance, and is then told 1, which is none.
    """
    scale = item.settings.guidance_scale
    if base.family == "flux" and item.negative_parts:
        return {"guidance_scale": 1.0, "true_cfg_scale": scale}
    return {"guidance_scale": scale}


def _conditions(encoder: PromptEncoder, items: Sequence[Prepared]) -> dict[str, torch.Tensor]:
    """The pipeline's arguments for positive and negative prompts, all of the same number of chunks."""
    count = longest([tokens for item in items for tokens in (item.tokens, item.negative_tokens)])
    positive = [encoder.encode(item.tokens, count) for item in items]
    negative = [encoder.encode(item.negative_tokens, count) for item in items]
    options = {"prompt_embeds": _stack(positive), "negative_prompt_embeds": _stack(negative)}
    if positive[0].pooled is not None:
        options |= {
            "pooled_prompt_embeds": torch.cat([one.pooled for one in positive if one.pooled is not None]),
            "negative_pooled_prompt_embeds": torch.cat([one.pooled for one in negative if one.pooled is not None]),
        }
    return options


def _stack(conditionings: Sequence[Conditioning]) -> torch.Tensor:
    return torch.cat([one.states for one in conditionings])
