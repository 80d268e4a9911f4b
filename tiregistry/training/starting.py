"""Where a word's vectors start: a phrase, an existing version, the text encoder's view of a phrase, or the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tiregistry.errors import InvalidConfig, WrongBaseModel
from tiregistry.training.config import TrainingConfig
from tiregistry.training.vectors import Rows, Vectors, make_vectors

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.bases.towers import TextTower
    from tiregistry.embeddings.embedding import Embedding


def start_vectors(
    base: LoadedBase, config: TrainingConfig, continued: Embedding | None = None, num_pictures: int = 0
) -> tuple[Vectors, int]:
    """A word's trainable vectors at their start.

    Args:
        config: resolved.
        continued: the embedding of the version that the initializer names.
        num_pictures: pictures that get a vector of their own, behind those of the word.

    Returns:
        The vectors, and how many of their rows are the word's own.

    Raises:
        InvalidConfig: the initializer is unknown to the tokenizer, or has more vectors than the word.
        WrongBaseModel: the version has no vectors for an encoder of this base model, or of another width.
    """
    start = initial_rows(base, config, continued)
    count = len(next(iter(start.values())))
    if config.progressive_steps and count < 2:
        raise InvalidConfig("progressive_steps needs more than one vector", "add --num-vectors 2 or more")
    norms = None
    if continued is not None:
        # A continued word keeps the magnitudes it has.
        norms = {role: rows.norm(dim=-1, keepdim=True) for role, rows in start.items()}
    if num_pictures:
        for tower in base.towers:
            extra = _mean_vector(tower).repeat(num_pictures, 1)
            start[tower.role] = torch.cat([start[tower.role], extra])
            if norms is not None:
                norms[tower.role] = torch.cat([norms[tower.role], extra.norm(dim=-1, keepdim=True)])
    return make_vectors(base, start, config, norms), count


def initial_rows(base: LoadedBase, config: TrainingConfig, continued: Embedding | None = None) -> Rows:
    """The vectors a word starts from, per encoder role float32 `[num_vectors, dim]` on the CPU.

    The initializer phrase gives one vector per token; with `num_vectors` larger its tokens repeat in turn, with
    `num_vectors` smaller the last ones are kept (in English the head noun comes last). Without an initializer the
    word `object` or `style` serves where the vocabulary has it, else the vocabulary's mean. A continued version gives
    its own vectors, repeated in turn when there are to be more.

    Raises:
        InvalidConfig, WrongBaseModel: see `start_vectors`.
    """
    states = _encoder_outputs(base, config) if config.cross_initialization else {}
    rows: Rows = {}
    for tower in base.towers:
        named = bool(config.initializer)
        if continued is not None:
            vectors = _continued(tower, continued)
            if config.num_vectors is not None and config.num_vectors < len(vectors):
                raise InvalidConfig(
                    f"the version to continue has {len(vectors)} vectors, more than {config.num_vectors}",
                    "leave --num-vectors out",
                )
        elif config.cross_initialization:
            vectors = states[tower.role]
        elif named:
            vectors = tower.vectors_of(config.initializer)
        elif base.towers[0].is_word(config.concept_type):
            vectors = tower.vectors_of(config.concept_type)
        else:
            vectors = _mean_vector(tower)
        count = config.num_vectors or (len(vectors) if named else 1)
        if count <= len(vectors):
            vectors = vectors[len(vectors) - count :]
        else:
            vectors = vectors[torch.arange(count) % len(vectors)]
        rows[tower.role] = vectors.clone()
    return rows


def _mean_vector(tower: TextTower) -> torch.Tensor:
    """The vocabulary's mean embedding at the vocabulary's mean norm, float32 `[1, dim]` on the CPU."""
    mean = tower.words.table.weight.detach().float().mean(dim=0, keepdim=True).cpu()
    return mean / mean.norm().clamp(min=1e-12) * tower.mean_norm()


def _continued(tower: TextTower, embedding: Embedding) -> torch.Tensor:
    array = embedding.tensors.get(tower.role)
    if array is None or array.shape[1] != tower.dim:
        found = "none" if array is None else f"width {array.shape[1]}"
        raise WrongBaseModel(
            f"the version to continue has {found} for {tower.role}, this base model needs width {tower.dim}",
            "use the base model that it was learned on",
        )
    return torch.from_numpy(array.copy())


@torch.no_grad()
def _encoder_outputs(base: LoadedBase, config: TrainingConfig) -> Rows:
    """What each text encoder puts out at the words of the initializer, float32 `[words, dim]` on the CPU.

    Cross Initialization's observation: learned vectors end up in the neighbourhood of the encoder's outputs, whose
    norms are far beyond the vocabulary's.
    """
    rows: Rows = {}
    for tower in base.towers:
        phrase = config.initializer or config.concept_type
        tower.vectors_of(phrase)  # refuses words that the vocabulary does not have
        states = tower.encode(torch.tensor([tower.ids([phrase])], device=base.device)).states[0].float().cpu()
        rows[tower.role] = torch.stack([states[list(places)].mean(dim=0) for places in tower.places_of(phrase)])
    return rows
