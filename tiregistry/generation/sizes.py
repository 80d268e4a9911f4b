"""Sizes of pictures that a base model can make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiregistry.errors import InvalidConfig

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase


def size_multiple(base: LoadedBase) -> int:
    """What both sides must be a multiple of: transformers see squares of two by two latent cells."""
    return 2 * base.vae_factor if base.is_flow else 8


def check_size(base: LoadedBase, width: int, height: int) -> None:
    """Refuse a size that the base model cannot make.

    Raises:
        InvalidConfig: names the side and what is allowed.
    """
    multiple, name = size_multiple(base), base.identity.name
    # SD3 learned as many positions as this along one side; FLUX computes them.
    most = getattr(base.denoiser.config, "pos_embed_max_size", None)
    for what, side in (("width", width), ("height", height)):
        if side % multiple:
            raise InvalidConfig(
                f"{what} {side} is not a multiple of {multiple}, as {name} needs", f"for example {base.resolution}"
            )
        if most and side > most * multiple:
            raise InvalidConfig(f"{what} {side} is more than {name} can make", f"up to {most * multiple}")
