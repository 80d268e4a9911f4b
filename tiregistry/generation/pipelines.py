"""diffusers' own pipelines around the parts of a loaded base model: text to image, image to image, inpainting."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from tiregistry.bases.frozen_layers import streamline
from tiregistry.errors import InvalidConfig
from tiregistry.generation.settings import schedulers_of
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.concepts import Family

Task = Literal["text", "image", "inpaint"]

_STEMS: dict[Family, str] = {
    "sd1": "StableDiffusion",
    "sd2": "StableDiffusion",
    "sdxl": "StableDiffusionXL",
    "sd3": "StableDiffusion3",
    "flux": "Flux",
}
_ENDINGS: dict[Task, str] = {"text": "Pipeline", "image": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}


class Pipelines:
    """Makes each pipeline once; all share the base model's parts, nothing is loaded or copied."""

    def __init__(self, base: LoadedBase) -> None:
        self._base = base
        self._made: dict[Task, Any] = {}
        self._schedulers: dict[str, Any] = {}
        self._checked: set[tuple[str, int]] = set()
        if not base.is_flow:
            streamline(base.denoiser)
        if base.device.type == "cuda" and not base.is_flow:
            import torch

            # Convolutions in half precision want their channels last on NVIDIA's tensor cores.
            base.denoiser.to(memory_format=torch.channels_last)
            base.vae.to(memory_format=torch.channels_last)

    def get(self, task: Task, scheduler: str, num_inference_steps: int) -> Any:
        """A pipeline with a fresh scheduler (some keep a history) of the asked kind.

        Raises:
            InvalidConfig: this scheduler cannot work with the base model, or in so few steps.
        """
        self.check(scheduler, num_inference_steps)
        if task not in self._made:
            self._made[task] = self._make(task)
        pipeline = self._made[task]
        # All that a scheduler changes of itself it sets anew when it is told the number of steps.
        pipeline.scheduler = copy.copy(self._schedulers[scheduler])
        return pipeline

    def check(self, scheduler: str, num_inference_steps: int) -> None:
        """Refuse what cannot work, without making a pipeline.

        Raises:
            InvalidConfig: as `get`.
        """
        if (scheduler, num_inference_steps) in self._checked:
            return
        known = schedulers_of(self._base.family)
        name = self._base.identity.name
        if scheduler not in known:
            raise InvalidConfig(
                f"scheduler {scheduler} cannot be used with {name}, a {self._base.family} model",
                f"one of: {', '.join(known)}",
            )
        from tiregistry.bases.quiet import quiet_libraries

        with quiet_libraries():
            import diffusers

            class_name, options = known[scheduler]
            try:
                made = getattr(diffusers, class_name).from_config(self._base.scheduler.config, **options)
                if not self._base.is_flow:
                    copy.copy(made).set_timesteps(num_inference_steps)
            except (ValueError, IndexError, NotImplementedError) as error:
                raise InvalidConfig(
                    f"scheduler {scheduler} cannot make {num_inference_steps} steps on {name}: "
                    f"{safe(error, limit=200)}",
                    f"try more --steps, or --scheduler {next(iter(known))}",
                ) from None
        self._schedulers[scheduler] = made
        self._checked.add((scheduler, num_inference_steps))

    def _make(self, task: Task) -> Any:
        import diffusers

        base = self._base
        parts: dict[str, Any] = {
            "vae": base.vae,
            "scheduler": base.scheduler,
            "transformer" if base.is_flow else "unet": base.denoiser,
        }
        suffixes = {"sdxl": ("", "_2"), "sd3": ("", "_2", "_3"), "flux": ("", "_2")}.get(base.family, ("",))
        # SD3 may come without its third encoder, T5.
        towers = [*base.towers, *[None] * (len(suffixes) - len(base.towers))]
        for suffix, tower in zip(suffixes, towers, strict=True):
            parts[f"text_encoder{suffix}"] = tower and tower.model
            parts[f"tokenizer{suffix}"] = tower and tower.tokenizer
        if base.family in ("sd1", "sd2"):
            parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        if base.family == "sdxl":
            parts["add_watermarker"] = False
        pipeline = getattr(diffusers, _STEMS[base.family] + _ENDINGS[task])(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline
