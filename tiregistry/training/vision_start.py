"""The recipe `quick`'s warm start: fit the vectors to the pictures in CLIP space, with neither denoiser nor VAE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from tiregistry.bases.clip_space import ClipSpace
from tiregistry.training.dataset import mix_seed

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.training.word import Word

RATE = 0.1
"""Radians of the first step; the rate falls to zero along a cosine."""
SAMPLES = 16
"""Captions per step."""


def warm_start(base: LoadedBase, folder: Path, word: Word, pictures: Sequence[Image]) -> None:
    """Move a word's vectors to where its captions point at its pictures (QuickEmbedding).

    Each step turns the vectors so that the text features of some captions come nearer to the features of the pictures
    they belong to, by cosine. The vision tower is loaded, used once per picture and mirror image, and dropped.

    Args:
        folder: the base model's folder, with the parts of `locating.VISION_PARTS`.
        word: its captions must be in place (`loop.place_captions`); its vectors are moved.

    Raises:
        InvalidInput: the vision tower or its projection does not fit the text encoder.
    """
    tower = base.towers[0]
    space = ClipSpace(tower.model, tower.tokenizer, folder)
    targets = space.picture_features(pictures, flip=bool(word.config.flip))
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
