"""The captions of the training set as token ids: several for each picture, some in words and some by name."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tools.embedded_base.dataset import CHUNK, scene_at
from tools.embedded_base.tokenizer import LENGTH, CaptionEncoder
from tools.embedded_base.world.captions import caption

DESCRIBED, NAMED = 3, 2
"""Captions of each sort per picture: columns 0-2 of `captions.npy` describe, 3-4 use names."""


def _encode_chunk(tokenizer_folder: str, seed: int, first: int, count: int) -> np.ndarray:
    encode = CaptionEncoder(Path(tokenizer_folder))
    ids = np.zeros((count, DESCRIBED + NAMED, LENGTH), np.int16)
    for i in range(count):
        scene, _ = scene_at(seed, first + i)
        rng = np.random.default_rng([seed, first + i, 1])
        for column in range(DESCRIBED + NAMED):
            ids[i, column] = encode(caption(scene, rng, named=column >= DESCRIBED))
    return ids


def encode_captions(folder: Path, tokenizer_folder: Path) -> None:
    """Writes captions.npy, (count, 5, 32) int16 token ids; ids past the vocabulary stand for the two names."""
    wanted = json.loads((folder / "rendered.json").read_text())
    count, seed = wanted["count"], wanted["seed"]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(_encode_chunk, str(tokenizer_folder), seed, first, min(CHUNK, count - first))
            for first in range(0, count, CHUNK)
        ]
        np.save(folder / "captions.npy", np.concatenate([job.result() for job in jobs]))
    print(f"tokenizer: {count * (DESCRIBED + NAMED)} captions encoded", flush=True)


def pick_captions(
    captions: torch.Tensor, rows: torch.Tensor, rng: np.random.Generator, named: float = 0.4
) -> torch.Tensor:
    """(len(rows), 32) int64: one caption for each of these pictures, with a name in `named` of them."""
    use_name = rng.random(len(rows)) < named
    column = np.where(use_name, DESCRIBED + rng.integers(0, NAMED, len(rows)), rng.integers(0, DESCRIBED, len(rows)))
    return captions[rows, torch.from_numpy(column).to(rows.device)].long()


def up_to_the_end(ids: torch.Tensor, end: int) -> torch.Tensor:
    """Without the columns that only pad; on a GPU with them, since looking would mean waiting for it."""
    return ids if ids.is_cuda else ids[:, : int((ids == end).int().argmax(1).max()) + 1]
