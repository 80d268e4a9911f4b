"""diffusers' own pipelines around the parts of a loaded base model: text to image, image to image, inpainting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tiregistry.errors import InvalidConfig
from tiregistry.generation.settings import SCHEDULERS
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase

Task = Literal["text", "image", "inpaint"]

_CLASSES: dict[tuple[bool, Task], str] = {
    (False, "text"): "StableDiffusionPipeline",
    (False, "image"): "StableDiffusionImg2ImgPipeline",
    (False, "inpaint"): "StableDiffusionInpaintPipeline",
    (True, "text"): "StableDiffusionXLPipeline",
    (True, "image"): "StableDiffusionXLImg2ImgPipeline",
    (True, "inpaint"): "StableDiffusionXLInpaintPipeline",
}


class Pipelines:
    """Makes each pipeline once; all share the base model's parts, nothing is loaded or copied."""

    def __init__(self, base: LoadedBase) -> None:
        if base.is_flow:
            raise InvalidConfig(
                f"pictures cannot be made with a {base.family} model yet", "previews while training can"
            )
        self._base = base
        self._made: dict[Task, Any] = {}
        if base.device.type == "cuda":
            import torch

            # Convolutions in half precision want their channels last on NVIDIA's tensor cores.
            base.denoiser.to(memory_format=torch.channels_last)
            base.vae.to(memory_format=torch.channels_last)

    def get(self, task: Task, scheduler: str, num_inference_steps: int) -> Any:
        """A pipeline with a fresh scheduler (some keep a history) of the asked kind.

        Raises:
            InvalidConfig: this scheduler cannot work with the base model's noise schedule, or in so few steps.
        """
        from tiregistry.bases.loading import quiet_libraries

        with quiet_libraries():
            import diffusers

            if task not in self._made:
                self._made[task] = self._make(task)
            pipeline = self._made[task]
            class_name, options = SCHEDULERS[scheduler]
            try:
                fresh = getattr(diffusers, class_name).from_config(self._base.scheduler.config, **options)
                fresh.set_timesteps(num_inference_steps)
            except (ValueError, IndexError, NotImplementedError) as error:
                raise InvalidConfig(
                    f"scheduler {scheduler} cannot make {num_inference_steps} steps on {self._base.identity.name}: "
                    f"{safe(error, limit=200)}",
                    "try more --steps, or --scheduler ddim",
                ) from None
        pipeline.scheduler = fresh
        return pipeline

    def _make(self, task: Task) -> Any:
        import diffusers

        base = self._base
        is_sdxl = base.family == "sdxl"
        first, second = base.towers[0], base.towers[-1]
        parts: dict[str, Any] = {
            "vae": base.vae,
            "text_encoder": first.model,
            "tokenizer": first.tokenizer,
            "unet": base.denoiser,
            "scheduler": base.scheduler,
        }
        if is_sdxl:
            parts |= {"text_encoder_2": second.model, "tokenizer_2": second.tokenizer, "add_watermarker": False}
        else:
            parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = getattr(diffusers, _CLASSES[is_sdxl, task])(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline
