"""The recipe `quick`'s warm start: fit the vectors to the pictures in CLIP space, with neither denoiser nor VAE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tiregistry.errors import InvalidInput
from tiregistry.images import crop_square
from tiregistry.training.base_check import VISION_PARTS
from tiregistry.training.dataset import mix_seed

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.loop import Word

RATE = 0.1
"""Radians of the first step; the rate falls to zero along a cosine."""
SAMPLES = 16
"""Captions per step."""


def warm_start(base: LoadedBase, folder: Path, word: Word, pictures: Sequence[Image]) -> None:
    """Move a word's vectors to where its captions point at its pictures (QuickEmbedding).

    Each step turns the vectors so that the text features of some captions come nearer to the features of the pictures
    they belong to, by cosine. The vision tower is loaded, used once per picture and mirror image, and dropped.

    Args:
        folder: the base model's folder, with the parts of `base_check.VISION_PARTS`.
        word: its captions must be in place (`loop.place_captions`); its vectors are moved.

    Raises:
        InvalidInput: the vision tower or its projection does not fit the text encoder.
    """
    tower = base.towers[0]
    space = ClipSpace(base, folder)
    targets = space.picture_features(pictures, flip=word.config.flip)
    steps = word.config.warm_start_steps
    views = len(targets) // len(pictures)
    for step in range(steps):
        generator = torch.Generator().manual_seed(mix_seed(word.config.seed, -2 - step))
        chosen = torch.randint(len(targets), (SAMPLES,), generator=generator)
        where = torch.rand(SAMPLES, generator=generator).tolist()
        captions = [
            among[int(position * len(among))]
            for among, position in zip((word.wording.choices[int(c) // views] for c in chosen), where, strict=True)
        ]
        ids = word.caption_ids[tower.role][captions].to(base.device)
        with base.using_rows(word.vectors.rows()):
            features = space.text_features(ids)
        loss = -torch.cosine_similarity(features, targets[chosen.to(base.device)], dim=-1).mean()
        torch.autograd.backward(loss)
        word.vectors.update(RATE * 0.5 * (1 + float(np.cos(np.pi * step / steps))))
    # The optimiser's past belongs to another objective.
    word.vectors.place({role: rows.detach() for role, rows in word.vectors.rows().items()})


class ClipSpace:
    """The space that a base model's text encoder and its vision tower share.

    Args:
        folder: the base model's folder, with the parts of `base_check.VISION_PARTS`.

    Raises:
        InvalidInput: the vision tower or its projection does not fit the text encoder.
    """

    def __init__(self, base: LoadedBase, folder: Path) -> None:
        from transformers import CLIPVisionModelWithProjection

        self._tower, self._device = base.towers[0], base.device
        self._projection = _read_projection(folder, int(self._tower.model.config.hidden_size)).to(base.device)
        vision: Any = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", dtype=torch.float32)
        if int(vision.config.projection_dim) != len(self._projection):
            raise InvalidInput("the vision tower does not fit the text encoder's projection", "use --recipe direction")
        self._vision = vision.requires_grad_(False).eval().to(base.device)
        self._mean, self._std = _normalisation(folder)

    def text_features(self, ids: torch.Tensor) -> torch.Tensor:
        """Float32 `[b, projection]` of token ids `[b, window]`: the projected state at the first end token."""
        states = self._tower.model(ids).last_hidden_state.float()
        end = (ids == self._tower.tokenizer.eos_token_id).int().argmax(dim=1)
        features: torch.Tensor = states[torch.arange(len(ids), device=ids.device), end] @ self._projection.T
        return features

    @torch.no_grad()
    def picture_features(self, pictures: Sequence[Image], *, flip: bool = False) -> torch.Tensor:
        """Float32 `[n, projection]` of each picture's centre square (and of its mirror image, behind it)."""
        side = int(self._vision.config.image_size)
        views: list[torch.Tensor] = []
        for picture in pictures:
            square = np.array(crop_square(picture, side), dtype=np.float32) / 255.0
            pixels = ((torch.from_numpy(square) - self._mean) / self._std).permute(2, 0, 1)
            views.extend((pixels, pixels.flip(-1)) if flip else (pixels,))
        features: torch.Tensor = self._vision(torch.stack(views).to(self._device)).image_embeds.float()
        return features


def _read_projection(folder: Path, width: int) -> torch.Tensor:
    """Float32 `[projection, hidden]`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / VISION_PARTS[1]
    try:
        weight: torch.Tensor = load_file(path)["weight"].float()
    except (SafetensorError, OSError, KeyError) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}", "use --recipe direction") from None
    if weight.ndim != 2 or weight.shape[1] != width:
        raise InvalidInput(
            f"{path.name} is for a text encoder of width {weight.shape[-1]}, not {width}", "use --recipe direction"
        )
    return weight


def _normalisation(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the channels as the vision tower expects them; CLIP's own when none are given."""
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    try:
        config = json.loads((folder / "feature_extractor" / "preprocessor_config.json").read_text(encoding="utf-8"))
        mean, std = config["image_mean"], config["image_std"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return torch.tensor(mean), torch.tensor(std)
