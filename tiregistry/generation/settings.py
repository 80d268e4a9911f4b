"""`GenerationSettings`: what decides a picture besides its prompt, its words and the base model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tiregistry.errors import InvalidConfig

MAX_SIDE = 8192
"""Pixels of a picture's longer side."""
# Short names a user types, to diffusers' classes; all are built from the base model's own schedule.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """Settings of one picture."""

    num_inference_steps: int = 30
    """Denoising steps, 1 to 1000."""
    guidance_scale: float = 5.0
    """Classifier-free guidance; 1 switches it off. 5 is what the Textual Inversion evaluation uses."""
    negative_prompt: str = ""
    """What to steer away from; may name words too."""
    width: int = 0
    """Pixels, a multiple of 8; 0 means the base model's own size."""
    height: int = 0
    """As `width`."""
    scheduler: str = "ddim"
    """A name from `SCHEDULERS`."""

    def check(self) -> None:
        """Refuse values that cannot work.

        Raises:
            InvalidConfig: names the setting and what is allowed.
        """
        if not 1 <= self.num_inference_steps <= 1000:
            raise InvalidConfig(f"{self.num_inference_steps} denoising steps are out of range", "from 1 to 1000")
        if not 0 <= self.guidance_scale <= 100:
            raise InvalidConfig(f"guidance {self.guidance_scale:g} is out of range", "from 0 to 100, usually 3 to 9")
        if self.scheduler not in SCHEDULERS:
            raise InvalidConfig(f"unknown scheduler {self.scheduler!r}", f"one of: {', '.join(SCHEDULERS)}")
        for name, side in (("width", self.width), ("height", self.height)):
            if side and (not 16 <= side <= MAX_SIDE or side % 8):
                raise InvalidConfig(f"{name} {side} is not a multiple of 8 from 16 to {MAX_SIDE}", "for example 512")

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)
