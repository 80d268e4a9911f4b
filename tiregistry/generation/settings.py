"""`GenerationSettings`: what decides a picture besides its prompt, its words and the base model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tiregistry.errors import InvalidConfig

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.concepts import Family

MAX_SEED = 2**63 - 1
MAX_BATCH = 256
"""Pictures that are made at a time."""
MAX_SIDE = 8192
"""Pixels of a picture's longer side."""
# Short names a user types, to diffusers' classes; all are built from the base model's own schedule. The first of each
# table is what is used when none is named.
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),  # as Stable Diffusion's own configuration has it
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
# Models that predict a velocity (SD3, FLUX) have schedulers of their own under the same names.
_FLOW_SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "heun": ("FlowMatchHeunDiscreteScheduler", {}),
}
USUAL_STEPS, USUAL_GUIDANCE = 30, 5.0
"""Where nothing is said and the base model has no ways of its own; 5 is what the Textual Inversion evaluation uses."""


def schedulers_of(family: Family) -> dict[str, tuple[str, dict[str, Any]]]:
    """The schedulers that pictures of a family can be made with; the first is the usual one."""
    if family == "flux":
        # Its pipeline sets the noise levels itself, which only this one takes.
        return {"euler": _FLOW_SCHEDULERS["euler"]}
    return _FLOW_SCHEDULERS if family == "sd3" else SCHEDULERS


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """Settings of one picture."""

    num_inference_steps: int | None = None
    """Denoising steps, 1 to 1000. None: 30, or 4 with a FLUX that was distilled to few steps."""
    guidance_scale: float | None = None
    """Classifier-free guidance; 1 switches it off. None: 5, or 3.5 with FLUX. FLUX was distilled to be told a guidance:
    it is told this number, unless there is a negative prompt, which it can only follow by real guidance."""
    negative_prompt: str = ""
    """What to steer away from; may name words too."""
    width: int = 0
    """Pixels, a multiple of 8; 0 means the base model's own size."""
    height: int = 0
    """As `width`."""
    scheduler: str = ""
    """A name from `SCHEDULERS`; empty: `ddim`, or `euler` with SD3 and FLUX."""

    def check(self) -> None:
        """Refuse values that cannot work.

        Raises:
            InvalidConfig: names the setting and what is allowed.
        """
        if self.num_inference_steps is not None and not 1 <= self.num_inference_steps <= 1000:
            raise InvalidConfig(f"{self.num_inference_steps} denoising steps are out of range", "from 1 to 1000")
        if self.guidance_scale is not None and not 0 <= self.guidance_scale <= 100:
            raise InvalidConfig(f"guidance {self.guidance_scale:g} is out of range", "from 0 to 100, usually 3 to 9")
        if self.scheduler and self.scheduler not in SCHEDULERS:
            raise InvalidConfig(f"unknown scheduler {self.scheduler!r}", f"one of: {', '.join(SCHEDULERS)}")
        for name, side in (("width", self.width), ("height", self.height)):
            if side and (not 16 <= side <= MAX_SIDE or side % 8):
                wrong = "is not a multiple of 8" if side % 8 else "is less than 16" if side < 16 else "is too large"
                raise InvalidConfig(f"{name} {side} {wrong}", f"multiples of 8 from 16 to {MAX_SIDE}, for example 512")

    def resolved(self, base: LoadedBase) -> GenerationSettings:
        """With steps, guidance and scheduler filled in as they suit a base model."""
        steps, guidance = USUAL_STEPS, USUAL_GUIDANCE
        if base.family == "flux":
            is_told = bool(base.denoiser.config.guidance_embeds)
            steps, guidance = (USUAL_STEPS, 3.5) if is_told else (4, 1.0)
        return replace(
            self,
            num_inference_steps=self.num_inference_steps or steps,
            guidance_scale=guidance if self.guidance_scale is None else self.guidance_scale,
            scheduler=self.scheduler or next(iter(schedulers_of(base.family))),
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)
