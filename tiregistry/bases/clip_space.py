"""The space that a base model's text encoder shares with the vision tower that came with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tiregistry.bases.locating import VISION_PARTS
from tiregistry.bases.quiet import quiet_libraries
from tiregistry.errors import InvalidInput
from tiregistry.images import crop_square

if TYPE_CHECKING:
    from PIL.Image import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class ClipSpace:
    """Features of pictures and of texts that can be compared.

    Args:
        text_model: a `CLIPTextModel`, on its device.
        tokenizer: the tokenizer that goes with it.
        folder: the base model's folder, with the parts of `VISION_PARTS`.

    Raises:
        InvalidInput: the vision tower or its projection does not fit the text encoder.
    """

    def __init__(self, text_model: Any, tokenizer: Any, folder: Path) -> None:
        from transformers import CLIPVisionModelWithProjection

        self._text_model, self._tokenizer = text_model, tokenizer
        self._device = next(text_model.parameters()).device
        self._projection = _read_projection(folder, int(text_model.config.hidden_size)).to(self._device)
        with quiet_libraries():
            vision: Any = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", dtype=torch.float32)
        if int(vision.config.projection_dim) != len(self._projection):
            raise InvalidInput("the vision tower does not fit the text encoder's projection", "copy the model again")
        self._vision = vision.requires_grad_(False).eval().to(self._device)
        self._mean, self._std = normalisation(folder / "feature_extractor")

    @property
    def dim(self) -> int:
        """Width of a feature."""
        return len(self._projection)

    def picture_parameters(self) -> list[torch.Tensor]:
        """The weights that make features of pictures, and the text projection."""
        return [*self._vision.parameters(), self._projection]

    def text_features(self, ids: torch.Tensor) -> torch.Tensor:
        """Float32 `[b, projection]` of token ids `[b, window]` on any device: the projected state at the first end."""
        ids = ids.to(self._device)
        states = self._text_model(ids).last_hidden_state.float()
        end = (ids == self._tokenizer.eos_token_id).int().argmax(dim=1)
        features: torch.Tensor = states[torch.arange(len(ids), device=ids.device), end] @ self._projection.T
        return features

    @torch.no_grad()
    def picture_features(self, pictures: Sequence[Image], *, flip: bool = False) -> torch.Tensor:
        """Float32 `[n, projection]` of each picture's centre square (and of its mirror image, behind it)."""
        pixels = picture_tensor(pictures, int(self._vision.config.image_size), self._mean, self._std)
        if flip:
            pixels = torch.stack([pixels, pixels.flip(-1)], dim=1).flatten(0, 1)
        features: torch.Tensor = self._vision(pixels.to(self._device)).image_embeds.float()
        return features


def picture_tensor(
    pictures: Sequence[Image], side: int, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> torch.Tensor:
    """Float32 `[n, 3, side, side]`: the centre squares, normalised per channel as a vision model expects them."""
    squares = np.stack([np.asarray(crop_square(picture, side), dtype=np.float32) / 255.0 for picture in pictures])
    pixels = (torch.from_numpy(squares) - torch.tensor(mean)) / torch.tensor(std)
    return pixels.permute(0, 3, 1, 2)


def normalisation(
    folder: Path, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the channels as `preprocessor_config.json` in `folder` says, else `mean` and `std`."""
    try:
        config = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        read = [tuple(float(v) for v in config[key]) for key in ("image_mean", "image_std")]
        if all(len(values) == 3 for values in read) and all(read[1]):
            return read[0], read[1]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return tuple(mean), tuple(std)


def _read_projection(folder: Path, width: int) -> torch.Tensor:
    """Float32 `[projection, hidden]`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / VISION_PARTS[1]
    try:
        weight: torch.Tensor = load_file(path)["weight"].float()
    except (SafetensorError, OSError, KeyError) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}", "copy the model again") from None
    if weight.ndim != 2 or weight.shape[1] != width:
        raise InvalidInput(
            f"{path.name} is for a text encoder of width {weight.shape[-1]}, not {width}", "copy the model again"
        )
    return weight
