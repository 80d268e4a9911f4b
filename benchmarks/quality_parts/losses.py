"""The training loss of finished words on samples that no training step draws: how far each recipe has come."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.quality_parts.records import Records
from benchmarks.quality_parts.training import Training, make

SAMPLES = 96
RANGES = ((0, 1000), (0, 300), (300, 600), (600, 1000))
"""Timesteps, from and below."""
_DRAW = -9
"""The step whose draw they are; neither training steps nor the fixed batch of a stopping rule draw the same."""


def print_losses(base: Any, folder: Path, records: Records, groups: Sequence[Sequence[Training]]) -> None:
    """A line for each recipe and seed of which all concepts have ended, in Markdown.

    The samples are the same for every recipe: default captions and pictures, mirrored ones among them.
    """
    heads = [f"timesteps {low} to {high}" for low, high in RANGES]
    print(f"\n| recipe | seed | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 2)}")
    for group in groups:
        if all(training.key in records.ends for training in group):
            means = [statistics.mean(losses) for losses in _losses(base, folder, records, group)]
            print(
                f"| `{group[0].recipe}` | {group[0].seed} | {' | '.join(f'{mean:.4f}' for mean in means)} |", flush=True
            )


def _losses(base: Any, folder: Path, records: Records, group: Sequence[Training]) -> list[list[float]]:
    """Of each range the loss of each word as it would be registered."""
    from tiregistry.training.config import TrainingConfig
    from tiregistry.training.dataset import draw
    from tiregistry.training.loop import place_captions
    from tiregistry.training.model_pass import ModelPass
    from tiregistry.training.trail import trail
    from tiregistry.training.vectors import FreeVectors

    words = []
    for training in group:
        plain = TrainingConfig(concept_type=training.concept.type, initializer=training.concept.initializer)
        word = make(base, folder, replace(training, config=plain.resolved()))
        end = next(p for p in trail(records.folder / training.key) if p.step == records.ends[training.key]["step"])
        rows = {role: torch.from_numpy(array.copy()) for role, array in end.embedding().tensors.items()}
        word.vectors = FreeVectors(rows, base.device, word.config)
        words.append(word)
    place_captions(base, words)
    model = ModelPass(base, words)
    found = []
    for low, high in RANGES:
        configs = [replace(word.config, min_timestep=low, max_timestep=high) for word in words]
        draws = [
            draw(word.latents, word.wording, config, model.objective.timesteps, _DRAW, SAMPLES)
            for word, config in zip(words, configs, strict=True)
        ]
        found.append(model.losses(words, draws))
    return found
