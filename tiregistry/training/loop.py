"""The training loop: one frozen model, any number of words, one optimiser step per word and iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tiregistry.training.dataset import EVALUATION, draw
from tiregistry.training.model_pass import ModelPass
from tiregistry.training.stopping import fixed_batch_size
from tiregistry.training.word import Word

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did to one word.

    Attributes:
        word: the word; its `step` and `ended` are up to date.
        loss: mean loss of the batch.
        learning_rate: what the step used.
        notices: what the user should know.
    """

    word: Word
    loss: float
    learning_rate: float
    notices: tuple[str, ...] = ()


def learn(base: LoadedBase, words: Sequence[Word]) -> Iterator[tuple[StepResult, ...]]:
    """Train `words` together until each has ended, yielding after every step of those still learning.

    Each word has its own draws, rows, optimiser state, learning rate and stop; only the pass through the frozen model
    is shared, so a word learns the same alone or in company, up to rounding. A word whose loss or gradient is not
    finite ends as `diverged` with the vectors it had before that step.

    Raises:
        InvalidPrompt: a caption does not fit the token window.
        DeviceError: memory ran out with a single sample.
    """
    model = ModelPass(base, words)
    layout: list[tuple[Word, int]] = []
    while running := [word for word in words if word.ended is None and word.step < word.last]:
        if layout != [(word, word.active) for word in running]:
            layout = [(word, word.active) for word in running]
            place_captions(base, running)
        if any(word.step == 0 for word in running):
            _look(model, running, at_start=True)
        draws = [draw(w.latents, w.wording, w.config, model.objective.timesteps, w.step) for w in running]
        losses = model.gradients(running, draws)
        results = []
        for word, loss in zip(running, losses, strict=True):
            rate = word.learning_rate
            if math.isfinite(loss):
                word.vectors.update(rate)
                word.step += 1
            else:
                word.ended = "diverged"
            results.append(StepResult(word, loss, rate))
        _look(model, running)
        notices, model.notices = tuple(model.notices), []
        for word in running:
            if word.ended is None and word.step >= word.last:
                word.conclude()
        yield (StepResult(results[0].word, results[0].loss, results[0].learning_rate, notices), *results[1:])


def place_captions(base: LoadedBase, words: Sequence[Word]) -> None:
    """Fill `caption_ids` of every word for a pass in which their rows lie behind each other in this order.

    Raises:
        InvalidPrompt: a caption does not fit the token window.
    """
    for tower in base.towers:
        first = tower.words.first_id
        for word in words:
            word.caption_ids[tower.role] = torch.tensor(word.wording.ids(tower, first, word.num_vectors, word.active))
            first += len(word.vectors.rows()[tower.role])


def _look(model: ModelPass, words: Sequence[Word], *, at_start: bool = False) -> None:
    """Evaluate the fixed batch of the words whose stopping rule is due; shorten the course of those that no longer
    change."""
    due = [w for w in words if w.rule and w.ended is None and w.rule.is_due(w.step) and at_start == (not w.step)]
    if not due:
        return
    steps = model.objective.timesteps
    draws = [
        draw(w.latents, w.wording, w.config, steps, EVALUATION, fixed_batch_size(w.config)) if w in due else None
        for w in words
    ]
    for word, loss in zip(words, model.losses(words, draws), strict=True):
        if word not in due or word.rule is None or not word.rule.add(word.step, loss, word.rows_in_use()):
            continue
        # A vector that is yet to join changes the word again.
        if word.active == word.num_vectors:
            word.rule.end_early(word.step)
