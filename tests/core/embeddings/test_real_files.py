"""Files found in public, when there is a folder of them: `TIREG_REAL_EMBEDDINGS=/folder pytest …`.

Every file in it must be read or be refused with a reason; what is known about some of them is checked by name.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tiregistry.embeddings.folders import read_folder

FOLDER = os.environ.get("TIREG_REAL_EMBEDDINGS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="TIREG_REAL_EMBEDDINGS names no folder")

# Parent folder and file to format, token, and encoders with their shape.
KNOWN = {
    "thumbs_up/learned_embeds.bin": ("diffusers-1d", "<thumbs_up>", {"clip_l": (1, 768)}),
    "9LSMai/na-tarapisu153.bin": ("sd-concepts", "<na-tarapisu153>", {"clip_l": (1, 768)}),
    "crossinit/learned_embeds.bin": ("multi-token", "28017", {"clip_h": (2, 1024)}),
    "invokeai/test_embedding.safetensors": ("emb-params", "", {"clip_l": (5, 768)}),
    "official_ldm/embeddings.pt": ("ldm", "", {"clip_l": (1, 768)}),
}


def test_every_file_is_read_or_refused_with_a_reason():
    results = list(read_folder(Path(FOLDER)))
    assert results
    for result in results:
        assert result.found or (result.error is not None and result.error.message)


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_of_some_files(name):
    path = Path(FOLDER) / name
    if not path.exists():
        pytest.skip("not in this folder")
    (result,) = [result for result in read_folder(path.parent) if result.path == path]
    (found,) = result.found
    format_id, token, shapes = KNOWN[name]
    assert (found.format, found.placeholder_token) == (format_id, token)
    assert {s.encoder: (s.num_vectors, s.dim) for s in found.embedding.shapes} == shapes


def test_torch_agrees_where_it_can_load():
    import torch

    for result in read_folder(Path(FOLDER)):
        if result.path.suffix != ".bin" or not result.found:
            continue
        loaded = torch.load(result.path, weights_only=True)
        stacked = np.concatenate([np.atleast_2d(value.numpy()) for value in loaded.values()])
        assert np.array_equal(stacked, next(iter(result.found[0].embedding.tensors.values())))
