"""TAESD for previews: a decoder of a few megabytes, quick and nearly right (github.com/madebyollin/taesd)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiregistry.bases.locating import download, looks_like_hub_id
from tiregistry.errors import FileMissing, InvalidInput
from tiregistry.text import safe

if TYPE_CHECKING:
    import torch

    from tiregistry.bases.loaded import LoadedBase

KNOWN = {
    "sd1": "madebyollin/taesd",
    "sd2": "madebyollin/taesd",
    "sdxl": "madebyollin/taesdxl",
    "sd3": "madebyollin/taesd3",
    "flux": "madebyollin/taef1",
}
"""The published one for the latents of each family, as Hub ids."""


class TinyDecoder:
    """Decodes latents with an `AutoencoderTiny`, on the base model's device and in its precision.

    Args:
        source: a folder or Hub id that `AutoencoderTiny.from_pretrained` loads, or the decoder's own weights as one
            `.safetensors` file (`taesd_decoder.safetensors`, as ComfyUI keeps them).
        base: the model whose latents it shall decode.

    Raises:
        FileMissing, BaseModelNotFound, HubError: it is not there.
        InvalidInput: it is no TAESD, or one for other latents.
    """

    def __init__(self, source: str, base: LoadedBase) -> None:
        from tiregistry.bases.quiet import quiet_libraries

        self.source = source
        with quiet_libraries():
            model = _load(source)
        self._check(model, base)
        self._model = model.decoder.requires_grad_(False).eval().to(base.device, base.dtype)
        self._device, self._dtype = base.device, base.dtype

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels `[b, 3, h, w]` from -1 to 1 of latents as the denoiser knows them."""
        pixels: torch.Tensor = self._model(latents.to(self._device, self._dtype))
        return pixels

    def _check(self, model: Any, base: LoadedBase) -> None:
        channels = int(model.config.latent_channels)
        factor = int(model.config.upsampling_scaling_factor) ** (len(model.config.decoder_block_out_channels) - 1)
        wanted = int(base.vae.config.latent_channels)
        if (channels, factor) != (wanted, base.vae_factor):
            raise InvalidInput(
                f"{safe(self.source)} decodes latents of {channels} channels and {factor} pixels a cell; those of "
                f"{base.identity.name} have {wanted} channels and {base.vae_factor} pixels",
                f"{KNOWN[base.family]} is made for most models of family {base.family}",
            )


def _load(source: str) -> Any:
    from diffusers import AutoencoderTiny

    path = Path(source).expanduser()
    if path.is_file():
        return _from_weights(path)
    if not path.is_dir() and not looks_like_hub_id(source):
        raise FileMissing(
            f"no TAESD {safe(source)!r}: not a folder, a .safetensors file or a Hub id owner/name",
            f"for example {KNOWN['sd1']}",
        )
    if not path.is_dir():
        path = download(
            source, files=["*.json", "*.safetensors"], instead="give a folder, or taesd_decoder.safetensors"
        )
    try:
        return AutoencoderTiny.from_pretrained(path, use_safetensors=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = safe(str(error).strip().splitlines()[0] if str(error).strip() else error, limit=200)
        raise InvalidInput(f"{safe(source)} is no TAESD: {reason}", "copy it again, or give another") from None


def _from_weights(path: Path) -> Any:
    """An `AutoencoderTiny` whose decoder has the weights of a single file, in the layout of TAESD's own repository."""
    import safetensors
    from diffusers import AutoencoderTiny
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
        model = AutoencoderTiny(latent_channels=weights["1.weight"].shape[1])
        model.decoder.load_state_dict(_renamed(weights))
    except (safetensors.SafetensorError, OSError, KeyError, IndexError, RuntimeError):
        raise InvalidInput(
            f"{safe(path)} does not hold the decoder of a TAESD", "give taesd_decoder.safetensors, or a Hub id"
        ) from None
    return model


def _renamed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Parameter names as diffusers has them: its list of layers lacks the first one, the clamp."""
    out = {}
    for name, tensor in weights.items():
        number, _, rest = name.partition(".")
        out[f"layers.{int(number) - 1}.{rest}"] = tensor
    return out
