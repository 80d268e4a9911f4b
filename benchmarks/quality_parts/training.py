"""Trainings that can be killed at any moment and go on: several concepts of one recipe and seed in one pass."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.quality_parts.recipes import Concept, config_of, key_of
from benchmarks.quality_parts.records import Records

LOOKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
"""Shares of a recipe's steps at which its word is judged."""
_CHECKPOINT_EVERY = 50


@dataclass(frozen=True)
class Training:
    """One concept learned by one recipe with one seed."""

    key: str
    recipe: str
    concept: Concept
    seed: int
    config: Any
    pictures: tuple[Any, ...]

    @property
    def looks(self) -> tuple[int, ...]:
        """Steps at which the word is kept for judging."""
        return tuple(sorted({max(1, round(share * self.config.max_steps)) for share in LOOKS}))


def plan(base: Any, recipe: str, concept: Concept, seed: int) -> Training:
    """A training with its pictures."""
    from tiregistry.images import read_pictures

    config = config_of(recipe, concept, seed)
    read = read_pictures([concept.folder])[0]
    fingerprint = base.identity.fingerprint
    key = key_of(f"{fingerprint.text_encoder} {fingerprint.denoiser}", config, [picture.digest for picture in read])
    return Training(key, recipe, concept, seed, config, tuple(picture.image for picture in read))


def make(base: Any, folder: Path, training: Training, *, fresh: bool = True) -> Any:
    """The word at its start."""
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.loop import place_captions
    from tiregistry.training.starting import start_vectors
    from tiregistry.training.stopping import StopRule
    from tiregistry.training.vision_start import warm_start
    from tiregistry.training.word import Word
    from tiregistry.training.wording import Wording

    config, images = training.config, list(training.pictures)
    vectors, count = start_vectors(base, config)
    latents = encode_pictures(base, images, base.resolution, flip=config.flip)
    wording = Wording.build(config, [""] * len(images), "<word>")
    rule = StopRule(config) if config.stopping == "dvar" else None
    word = Word(training.concept.name, vectors, latents, wording, config, count, rule=rule)
    if config.recipe == "quick" and fresh:
        place_captions(base, [word])
        warm_start(base, folder, word, images)
    return word


def train(
    base: Any, folder: Path, records: Records, trainings: Sequence[Training], is_over: Callable[[], bool]
) -> None:
    """Carry the trainings to their ends, or until `is_over`; each goes on where it was left."""
    from tiregistry.training.checkpoint import FILE, load_checkpoint
    from tiregistry.training.loop import learn

    words = {}
    for training in trainings:
        inside = records.folder / training.key
        checkpoint = load_checkpoint(inside / FILE)
        word = make(base, folder, training, fresh=checkpoint is None)
        if checkpoint is not None:
            word.vectors.load_state(checkpoint.state)
            if word.rule is not None:
                word.rule.load_state(checkpoint.state)
            word.step = checkpoint.step
        words[word] = training
    for results in learn(base, list(words)):
        for result in results:
            word, training = result.word, words[result.word]
            if word.ended:
                _end(records, training, word)
                continue
            if word.step in training.looks:
                _keep(records.folder / training.key, word)
            if word.step in training.looks or word.step % _CHECKPOINT_EVERY == 0:
                _checkpoint(records.folder / training.key, word)
        if is_over():
            for word, training in words.items():
                if not word.ended:
                    _checkpoint(records.folder / training.key, word)
            return


def measure_time(base: Any, folder: Path, training: Training, steps: int = 10) -> dict[str, float]:
    """CPU seconds of one training alone: until its first step, and of a step (median; looks of a stopping rule are
    spread over the steps)."""
    from dataclasses import replace

    from tiregistry.training.loop import learn

    before = time.process_time()
    word = make(base, folder, training)
    setup = time.process_time() - before
    every, whole, looks = word.config.stop_every, word.config.max_steps, 0
    if word.rule is not None:
        looks = sum(word.rule.is_due(step) for step in range(whole + 1))
        word.rule.first = 0
    word.config = replace(word.config, max_steps=2 + max(steps, every if word.rule else 0))
    if word.rule is not None:
        word.rule.last = word.config.max_steps
    times = []
    before = time.process_time()
    for _ in learn(base, [word]):
        times.append(time.process_time() - before)
        before = time.process_time()
    step = statistics.median(times[2:])
    if word.rule is not None:
        # The step with a look is the dearest.
        step += (max(times[2:]) - step) * looks / whole
    return {"setup": setup, "step": step}


def _end(records: Records, training: Training, word: Any) -> None:
    _keep(records.folder / training.key, word)
    rule = word.rule
    records.add(
        what="end",
        training=training.key,
        recipe=training.recipe,
        concept=training.concept.name,
        seed=training.seed,
        step=word.step,
        reason=word.ended,
        kept=rule.best_step if rule else word.step,
        losses=rule.losses if rule else [],
    )


def _keep(folder: Path, word: Any) -> None:
    """The vectors as they would be registered now."""
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.training.trail import keep_point

    keep_point(folder, word.step, Embedding({role: rows.numpy() for role, rows in word.learned().items()}))


def _checkpoint(folder: Path, word: Any) -> None:
    from tiregistry.training.checkpoint import FILE, Checkpoint, save_checkpoint

    state = word.vectors.state() | (word.rule.state() if word.rule is not None else {})
    save_checkpoint(folder / FILE, Checkpoint(word.step, state, []))
