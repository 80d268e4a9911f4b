"""Neighbours among what the text encoder makes of words: each word alone, right after the begin token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiregistry.bases.loading import load_clip_towers
from tiregistry.bases.locating import locate_base
from tiregistry.embeddings.embedding import Embedding
from tiregistry.progress import Progress

if TYPE_CHECKING:
    from tiregistry.concepts import Version
    from tiregistry.registry.registry import Registry

_BATCH = 512


def nearest_outputs(
    registry: Registry, version: Version, embedding: Embedding, count: int, progress: Progress | None = None
) -> tuple[dict[str, list[tuple[tuple[str, float], ...]]], str]:
    """Per CLIP encoder and vector, the vocabulary words whose hidden states lie nearest; and why there are none.

    CLIP's text encoder looks only backwards, so a word's state behind the begin token depends on nothing that follows:
    two tokens per word are enough. All states share a large common part; the vocabulary's mean is taken off first.

    Raises:
        InvalidInput: the text encoders cannot be loaded.
    """
    from tiregistry.generation.words import base_of_versions

    name = base_of_versions(registry, [version])
    if not name:
        return {}, "its base model is not registered here, so its text encoder cannot be asked"
    base = registry.base(name)
    towers = load_clip_towers(locate_base(base.source, base.revision), base.family)
    return {
        tower.role: _nearest(tower, embedding.tensors[tower.role], count, progress)
        for tower in towers
        if tower.role in embedding.tensors
    }, ""


def _nearest(tower: Any, vectors: Any, count: int, progress: Progress | None) -> list[tuple[tuple[str, float], ...]]:
    import numpy as np
    import torch

    whole = {
        index: token.removesuffix("</w>")
        for token, index in tower.tokenizer.get_vocab().items()
        if token.endswith("</w>")
    }
    ids = sorted(index for index, word in whole.items() if word.isalpha() and index < tower.words.first_id)
    begin = int(tower.tokenizer.bos_token_id)
    states = []
    with torch.inference_mode():
        for start in range(0, len(ids), _BATCH):
            chosen = torch.tensor([[begin, index] for index in ids[start : start + _BATCH]])
            states.append(tower.encode(chosen).states[:, 1].float())
            if progress:
                progress(min(start + _BATCH, len(ids)), len(ids), tower.role)
        tower.words.rows = torch.from_numpy(np.array(vectors, dtype=np.float32))
        first = tower.words.first_id
        own = tower.encode(torch.tensor([[begin, first + n] for n in range(len(vectors))])).states[:, 1].float()
        tower.words.rows = None
        table = torch.cat(states)
        mean = table.mean(dim=0)
        cosines = (
            torch.nn.functional.normalize(own - mean, dim=-1) @ torch.nn.functional.normalize(table - mean, dim=-1).T
        )
        best = cosines.topk(min(count, len(ids)), dim=-1)
    return [
        tuple((whole[ids[i]], float(c)) for c, i in zip(values.tolist(), places.tolist(), strict=True))
        for values, places in zip(best.values, best.indices, strict=True)
    ]
