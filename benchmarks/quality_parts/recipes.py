"""The recipes that are compared: ours, the paper's and the diffusers script's, with changes where asked."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiregistry.concepts import ConceptType
from tiregistry.training.config import TrainingConfig

RECIPES: dict[str, TrainingConfig] = {
    "direction": TrainingConfig(),
    "thorough": TrainingConfig(recipe="thorough"),
    "classic": TrainingConfig(recipe="classic"),
    "quick": TrainingConfig(recipe="quick"),
    # The paper's code: AdamW with PyTorch's weight decay, 5e-3 times the batch, always mirrored at random.
    "paper": TrainingConfig(
        recipe="classic",
        learning_rate=5e-3,
        batch_size=2,
        weight_decay=0.01,
        max_steps=6100,
        stratified_timesteps=False,
    ),
    # The example script as its README runs it: 5e-4 times 4 accumulated batches of one, 3000 steps. Four accumulated
    # batches of one are one batch of four, which a CPU is through with in three quarters of the time.
    "diffusers": TrainingConfig(
        recipe="classic",
        learning_rate=5e-4,
        batch_size=4,
        weight_decay=0.01,
        max_steps=3000,
        stratified_timesteps=False,
    ),
}


@dataclass(frozen=True)
class Concept:
    """One concept to learn."""

    name: str
    type: ConceptType
    initializer: str
    folder: Path


def concepts(data: Path, names: list[str], count: int) -> list[Concept]:
    """Those of `concepts.toml` that are named, or `count` evenly spread over the file: things first, then styles."""
    tables = tomllib.loads((data / "concepts.toml").read_text(encoding="utf-8"))["concept"]
    every = [Concept(t["name"], t["type"], t["initializer"], data / t["folder"]) for t in tables]
    if names:
        return [c for c in every if c.name in names]
    count = min(count, len(every))
    return [every[round(i * (len(every) - 1) / max(1, count - 1))] for i in range(count)]


def config_of(spec: str, concept: Concept, seed: int) -> TrainingConfig:
    """The resolved configuration of a recipe such as `direction` or `direction:learning_rate=0.04,flip=false`."""
    name, _, changes = spec.partition(":")
    if name not in RECIPES:
        raise SystemExit(f"no recipe {name!r}: {', '.join(RECIPES)}")
    values: dict[str, Any] = RECIPES[name].as_dict()
    for change in filter(None, changes.split(",")):
        key, _, value = change.partition("=")
        values[key] = tomllib.loads(f"v = {value}")["v"] if value[:1] in "0123456789[tf-" else value
    config = TrainingConfig.from_mapping(values)
    config = replace(config, concept_type=concept.type, initializer=concept.initializer, seed=seed)
    config = replace(config, num_vectors=config.num_vectors or 1)
    return config.resolved()


_UNREAD: dict[str, Any] = {"stop_every": 20, "stop_window": 60, "stop_threshold": 0.1, "warm_start_steps": 100}
"""Settings count as these in the key of a training that does not read them, so that another default of them does not
forget what has been measured."""


_NEWER: dict[str, Any] = {"magnitude": 1.0, "preconditioning": False, "spare_memory": False}
"""Settings that a training does not have in its key where it does without them, so that what was measured before there
were such settings is not forgotten."""


def key_of(base: str, config: TrainingConfig, pictures: list[str]) -> str:
    """What a training is remembered by: base model, settings and pictures."""
    read = {name for name in _UNREAD if name.startswith("stop_") and config.stopping == "dvar"}
    read |= {"warm_start_steps"} if config.recipe == "quick" else set()
    settings = {name: value for name, value in config.as_dict().items() if _NEWER.get(name, ...) != value}
    settings |= {name: value for name, value in _UNREAD.items() if name not in read}
    if config.recipe == "thorough":
        settings["recipe"] = "direction"  # one engine: what was measured by its settings counts under its name
    told = json.dumps([base, settings, pictures], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:24]
