"""`TrainingConfig`: everything that decides what a run learns, checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from tiregistry.captions import templates_for
from tiregistry.concepts import CONCEPT_TYPES, ConceptType
from tiregistry.errors import InvalidConfig

Recipe = Literal["direction", "classic"]
RECIPES: tuple[Recipe, ...] = ("direction", "classic")
LrScheduler = Literal["constant", "cosine", "linear"]
LR_SCHEDULERS: tuple[LrScheduler, ...] = ("constant", "cosine", "linear")
MAX_VECTORS = 64

# What each recipe means where the user says nothing.
_RECIPE_DEFAULTS: dict[str, dict[str, Any]] = {
    "direction": {"learning_rate": 2e-2, "lr_scheduler": "cosine", "max_steps": 300, "batch_size": 8},
    "classic": {"learning_rate": 5e-3, "lr_scheduler": "constant", "max_steps": 3000, "batch_size": 4},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How one word is learned. `None` means: what the recipe says (see `resolved`)."""

    concept_type: ConceptType = "object"
    """`object` or `style`: chooses the caption templates."""
    initializer: str = ""
    """Vocabulary words the vectors start from, e.g. `cat` or `old teapot`. Empty: `object` or `style` itself is tried,
    then the mean of the vocabulary."""
    num_vectors: int | None = None
    """How many vectors the word has, 1 to 64. None: as many as the initializer has tokens (1 without initializer).
    One is the most editable (Gal et al. 2022, section 5)."""
    recipe: Recipe = "direction"
    """`direction`: fixed magnitude, only the direction is learned (Directional Textual Inversion, ICLR 2026).
    `classic`: AdamW on the free vector (Gal et al. 2022)."""
    max_steps: int | None = None
    """Optimiser steps. Usual range 100 to 1000 for `direction`, 1000 to 5000 for `classic`."""
    batch_size: int | None = None
    """Samples per step and word."""
    micro_batch: int = 0
    """Samples that go through the model at once; 0 means the whole batch. Smaller needs less memory, same result up to
    rounding."""
    learning_rate: float | None = None
    """`direction`: radians per step on the unit sphere, usual range 5e-3 to 5e-2.
    `classic`: AdamW's rate before it is multiplied by the batch size, as in the paper's code."""
    lr_scheduler: LrScheduler | None = None
    """Course of the learning rate over `max_steps`."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from zero."""
    prior_strength: float = 1e-4
    """`direction` only: constant pull towards the initializer's direction (kappa in the paper); 0 switches it off."""
    weight_decay: float = 0.0
    """`classic` only: AdamW's decay, which also pulls the word towards zero."""
    resolution: int | None = None
    """Side of the training pictures in pixels, a multiple of 8. None: the base model's own."""
    flip: bool = True
    """Also learn from mirrored pictures. Switch it off for anything with writing on it."""
    caption_templates: tuple[str, ...] = ()
    """Own caption templates with `{}` for the word; empty: the paper's templates for the concept type."""
    min_snr_gamma: float = 0.0
    """Loss weight min(SNR, gamma) / SNR (Hang et al. 2023), usual value 5; 0 weighs all timesteps alike."""
    seed: int = 0
    """Seed of all noise, timesteps, captions and picture order: step `n` always draws the same."""
    checkpoint_every: int = 50
    """Steps between checkpoints; 0 writes one only at the end."""

    def resolved(self) -> TrainingConfig:
        """The configuration with the recipe's values in place of every None that a recipe decides."""
        defaults = _RECIPE_DEFAULTS[self.recipe]
        return replace(self, **{key: value for key, value in defaults.items() if getattr(self, key) is None})

    def check(self) -> None:
        """Refuse values that cannot work.

        Raises:
            InvalidConfig: names the field, its value and what is allowed.
        """
        _one_of("concept type", self.concept_type, CONCEPT_TYPES)
        _one_of("recipe", self.recipe, RECIPES)
        if self.lr_scheduler is not None:
            _one_of("lr_scheduler", self.lr_scheduler, LR_SCHEDULERS)
        _between("num_vectors", self.num_vectors, 1, MAX_VECTORS)
        _between("max_steps", self.max_steps, 1, 1_000_000)
        _between("batch_size", self.batch_size, 1, 4096)
        _between("micro_batch", self.micro_batch, 0, 4096)
        _between("learning_rate", self.learning_rate, 1e-9, 10.0)
        _between("warmup_steps", self.warmup_steps, 0, 1_000_000)
        _between("prior_strength", self.prior_strength, 0.0, 10.0)
        _between("weight_decay", self.weight_decay, 0.0, 1.0)
        _between("resolution", self.resolution, 32, 4096)
        if self.resolution is not None and self.resolution % 8:
            raise InvalidConfig(
                f"resolution {self.resolution} is not a multiple of 8", f"use {self.resolution // 8 * 8}"
            )
        _between("min_snr_gamma", self.min_snr_gamma, 0.0, 1000.0)
        _between("seed", self.seed, 0, 2**63 - 1)
        _between("checkpoint_every", self.checkpoint_every, 0, 1_000_000)
        templates_for(self.concept_type, self.caption_templates)

    def as_dict(self) -> dict[str, Any]:
        """JSON data; `from_mapping` is its inverse."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> TrainingConfig:
        """Build and check a configuration from JSON or TOML data.

        Raises:
            InvalidConfig: an unknown field, a wrong type or a value out of range.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(raw) - known)
        if unknown:
            raise InvalidConfig(f"unknown training setting {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
        try:
            config = cls(**values)
            config.check()
        except TypeError as error:
            raise InvalidConfig(f"a training setting has a wrong type: {error}", "see docs/training.md") from None
        return config


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidConfig(f"{name} {value!r} is unknown", f"one of: {', '.join(allowed)}")


def _between(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidConfig(f"{name} {value} is out of range", f"from {low:g} to {high:g}")
