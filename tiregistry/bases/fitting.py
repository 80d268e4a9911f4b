"""Whether the parts of a diffusers folder belong together: what text encoders make and what the denoiser takes.

A folder that was put together by hand, or a part copied from another model, loads without complaint and fails in the
middle of the first step, with a line about matrices.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tiregistry.bases.families import encoder_parts, read_config
from tiregistry.concepts import Family
from tiregistry.errors import InvalidInput


def check_fit(folder: Path, family: Family, name: str) -> None:
    """Refuse a folder whose parts do not fit each other, or whose noise is not that of the family.

    Raises:
        InvalidInput: calls the model `name`, and says what does not fit.
    """
    unfit = misfit(folder, family)
    if unfit:
        raise InvalidInput(f"the parts of {name} are of different models: {unfit}", "copy the model again")
    scheduler = read_config(folder / "scheduler", "scheduler_config.json")
    # Karras et al. 2022: the denoiser's input and output are scaled, in other ways than Stable Diffusion's.
    if str(scheduler.get("_class_name", "")).startswith("EDM") or "sigma_data" in scheduler:
        raise InvalidInput(
            f"{name} was trained in the EDM formulation, which is not known here",
            "use a model that predicts noise or velocity, as Stable Diffusion does",
        )


def misfit(folder: Path, family: Family) -> str:
    """Which parts do not fit each other, in words; empty where they do, as far as their configurations say.

    The widths are those that `LoadedBase.join` joins.
    """
    denoiser = read_config(folder / "unet") or read_config(folder / "transformer")
    encoders = {role: read_config(folder / f"text_encoder{suffix}") for role, suffix in encoder_parts(folder, family)}
    width = {role: config.get("d_model" if role == "t5" else "hidden_size") for role, config in encoders.items()}
    pooled = {role: config.get("projection_dim") for role, config in encoders.items()}
    if family == "flux":
        states, vector = width["t5"], width["clip_l"]
    elif family == "sd3":
        # Both CLIP encoders side by side are filled up to T5's width, with or without T5.
        states, vector = width.get("t5"), _sum(pooled[role] for role in ("clip_l", "clip_g"))
    else:
        states, vector = _sum(width.values()), pooled.get("clip_g")
    wanted = denoiser.get("joint_attention_dim" if family in ("sd3", "flux") else "cross_attention_dim")
    if _differ(states, wanted):
        return f"its text encoders make states of width {states}, its denoiser takes {wanted}"
    wanted = denoiser.get("pooled_projection_dim")
    if family == "sdxl":
        # The pooled state stands beside six numbers of sizes, each written as so many.
        both, sizes = denoiser.get("projection_class_embeddings_input_dim"), denoiser.get("addition_time_embed_dim")
        wanted = both - 6 * sizes if isinstance(both, int) and isinstance(sizes, int) else None
    if _differ(vector, wanted):
        return f"its text encoders pool a text into {vector} numbers, its denoiser takes {wanted}"
    return ""


def _differ(made: Any, taken: Any) -> bool:
    return isinstance(made, int) and isinstance(taken, int) and made != taken


def _sum(values: Iterable[Any]) -> int | None:
    known = list(values)
    return sum(known) if all(isinstance(value, int) for value in known) else None
