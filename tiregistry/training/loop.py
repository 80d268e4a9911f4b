"""The training loop: one frozen model, any number of words, one optimiser step per word and iteration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from tiregistry.errors import TrainingDiverged
from tiregistry.training.config import TrainingConfig
from tiregistry.training.dataset import Draw, Latents, draw
from tiregistry.training.objective import Objective
from tiregistry.training.vectors import Rows, Vectors, learning_rate_at

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase


@dataclass
class Word:
    """One word being learned.

    Attributes:
        name: for messages.
        vectors: the trainable vectors with their optimiser.
        latents: cached posteriors of its pictures.
        captions: caption templates with `{}`.
        config: a resolved configuration; its seed decides every draw.
    """

    name: str
    vectors: Vectors
    latents: Latents
    captions: Sequence[str]
    config: TrainingConfig
    caption_ids: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepResult:
    """Losses and learning rates of one step, in the order of the words."""

    step: int
    losses: tuple[float, ...]
    learning_rates: tuple[float, ...]


# Gradients of a half-precision model can fall below fp16's smallest number; scaling the loss keeps them above it.
_FP16_LOSS_SCALE = 1024.0


def learn(base: LoadedBase, words: Sequence[Word], first_step: int, last_step: int) -> Iterator[StepResult]:
    """Train `words` together from `first_step` (steps done) to `last_step`, yielding after every step.

    Each word has its own draws, rows, optimiser state and learning rate; only the pass through the frozen model is
    shared, so a word learns the same alone or in company, up to rounding.

    Raises:
        InvalidPrompt: a caption does not fit the token window.
        TrainingDiverged: a loss became NaN or infinite; the vectors are those before that step.
    """
    objective = Objective(base, words[0].config.min_snr_gamma)
    _tokenise(base, words)
    for step in range(first_step, last_step):
        draws = [
            draw(w.latents, len(w.captions), w.config.batch_size or 1, objective.num_timesteps, w.config.seed, step)
            for w in words
        ]
        losses = _accumulate(base, objective, words, draws)
        for word, loss in zip(words, losses, strict=True):
            if not loss == loss or loss in (float("inf"), float("-inf")):
                raise TrainingDiverged(
                    f"{word.name}: the loss became {loss} at step {step + 1}; the state before it is kept",
                    "lower --lr or use --precision fp32",
                )
        rates = tuple(learning_rate_at(step, w.config) for w in words)
        for word, rate in zip(words, rates, strict=True):
            word.vectors.update(rate)
        yield StepResult(step + 1, tuple(losses), rates)


def _tokenise(base: LoadedBase, words: Sequence[Word]) -> None:
    """Fill `caption_ids` of every word: encoder role to long `[captions, window]`, with its rows' ids in place."""
    for tower in base.towers:
        first = tower.words.first_id
        for word in words:
            count = len(word.vectors.rows()[tower.role])
            place = tuple(range(first, first + count))
            first += count
            filled = []
            for caption in word.captions:
                before, after = caption.split("{}")
                filled.append(tower.ids([before, place, after]))
            word.caption_ids[tower.role] = torch.tensor(filled)


def _accumulate(base: LoadedBase, objective: Objective, words: Sequence[Word], draws: Sequence[Draw]) -> list[float]:
    """Forward and backward over all words' samples, in micro-batches; returns each word's mean loss."""
    owner = torch.cat([torch.full_like(d.captions, i) for i, d in enumerate(draws)])
    weight = torch.cat([torch.full((len(d.captions),), 1.0 / len(d.captions)) for d in draws])
    captions = torch.cat([d.captions for d in draws])
    latents = torch.cat([d.latents for d in draws])
    noise = torch.cat([d.noise for d in draws])
    timesteps = torch.cat([d.timesteps for d in draws])
    size = words[0].config.micro_batch or len(owner)
    totals = torch.zeros(len(words))
    scale = _FP16_LOSS_SCALE if base.dtype == torch.float16 else 1.0
    for start in range(0, len(owner), size):
        part = slice(start, start + size)
        losses = _forward(
            base, objective, words, owner[part], captions[part], latents[part], noise[part], timesteps[part]
        )
        torch.autograd.backward((losses * weight[part].to(losses.device)).sum() * scale)
        totals.index_add_(0, owner[part], losses.detach().float().cpu() * weight[part])
    if scale != 1.0:
        _unscale(words, scale)
    return [float(total) for total in totals]


def _forward(
    base: LoadedBase,
    objective: Objective,
    words: Sequence[Word],
    owner: torch.Tensor,
    captions: torch.Tensor,
    latents: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
) -> torch.Tensor:
    """Losses float32 `[b]` of samples given by owner, caption index, latents, noise and timesteps."""
    keys, inverse = torch.unique(torch.stack([owner, captions], dim=1), dim=0, return_inverse=True)
    ids = {
        tower.role: torch.stack([words[int(o)].caption_ids[tower.role][int(c)] for o, c in keys])
        for tower in base.towers
    }
    device = base.device
    with base.using_rows(_joined_rows(base, words)):
        # Samples of a step often share a caption: each distinct one is encoded once.
        encoded = base.encode(ids)
    inverse = inverse.to(device)
    latents, noise, timesteps = latents.to(device), noise.to(device), timesteps.to(device)
    noised = objective.noised(latents, noise, timesteps)
    factor = base.vae_factor
    added = base.added_conditions(encoded, latents.shape[-1] * factor, latents.shape[-2] * factor)
    predicted = base.denoiser(
        noised.to(base.dtype),
        timesteps,
        encoded.states[inverse],
        added_cond_kwargs=None if added is None else {key: value[inverse] for key, value in added.items()},
    ).sample
    return objective.losses(predicted, latents, noise, timesteps)


def _joined_rows(base: LoadedBase, words: Sequence[Word]) -> Rows:
    every = [word.vectors.rows() for word in words]
    return {tower.role: torch.cat([rows[tower.role] for rows in every]) for tower in base.towers}


def _unscale(words: Sequence[Word], scale: float) -> None:
    for word in words:
        for parameter in word.vectors.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(scale)
