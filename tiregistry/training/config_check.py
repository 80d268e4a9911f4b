"""What a `TrainingConfig` may not say: values out of range, of the wrong type, or at odds with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from tiregistry.captions import templates_for
from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.errors import InvalidConfig
from tiregistry.placeholders import placeholders_in
from tiregistry.text import safe
from tiregistry.training.recipes import (
    LR_SCHEDULERS,
    MAX_VECTORS,
    RECIPES,
    STOPPING,
)

if TYPE_CHECKING:
    from tiregistry.training.config import TrainingConfig

_MANY = 1_000_000
_CHOICES: dict[str, Sequence[str]] = {
    "concept_type": CONCEPT_TYPES,
    "recipe": RECIPES,
    "lr_scheduler": LR_SCHEDULERS,
    "stopping": STOPPING,
    "precision": ("auto", "fp32", "bf16", "fp16"),
}
ENCODERS = ("clip_l", "clip_g", "clip_h", "t5")
_RANGES: dict[str, tuple[float, float]] = {
    "num_vectors": (1, MAX_VECTORS),
    "max_steps": (1, _MANY),
    "batch_size": (1, 4096),
    "gradient_accumulation": (1, 4096),
    "micro_batch": (0, 4096),
    "learning_rate": (1e-9, 10.0),
    "warmup_steps": (0, _MANY),
    "prior_strength": (0.0, 10.0),
    "magnitude": (0.01, 100.0),
    "weight_decay": (0.0, 1.0),
    "regularization": (0.0, 100.0),
    "max_grad_norm": (0.0, 1e6),
    "progressive_steps": (0, _MANY),
    "warm_start_steps": (1, 10_000),
    "stop_every": (1, 10_000),
    "stop_window": (2, _MANY),
    "stop_threshold": (0.0, 1.0),
    "resolution": (32, 4096),
    "min_snr_gamma": (0.0, 1000.0),
    "noise_offset": (0.0, 1.0),
    "min_timestep": (0, 999_999),
    "max_timestep": (1, _MANY),
    "seed": (0, 2**63 - 1),
    "checkpoint_every": (0, _MANY),
    "preview_every": (0, _MANY),
    "preview_seed": (0, 2**63 - 1),
}
# Settings that only some recipes understand: the recipes, and what else to do.
_DIRECTED = ("direction", "thorough", "quick")
_ONLY: dict[str, tuple[tuple[str, ...], str]] = {
    "weight_decay": (("classic",), "the direction recipes keep the magnitude fixed"),
    "regularization": (("classic",), "use prior_strength to stay near the initializer"),
    "max_grad_norm": (("classic",), "the direction recipes only use the gradient's direction"),
    "cross_initialization": (("classic",), "its large start is what the direction recipes forbid"),
    "prior_strength": (_DIRECTED, "use regularization to stay near the initializer"),
    "magnitude": (_DIRECTED, "AdamW finds its own"),
    "preconditioning": (_DIRECTED, "AdamW has its own"),
    "warm_start_steps": (("quick",), "it alone starts in CLIP space"),
}


def check(config: TrainingConfig) -> None:
    """Refuse a configuration that cannot work.

    Raises:
        InvalidConfig: names the setting, its value and what is allowed.
    """
    hints = get_type_hints(type(config))
    for field in fields(config):
        value = getattr(config, field.name)
        _check_type(field.name, value, hints[field.name])
        if value is None:
            continue
        if field.name in _CHOICES and value not in _CHOICES[field.name]:
            raise InvalidConfig(f"{field.name} {value!r} is unknown", f"one of: {', '.join(_CHOICES[field.name])}")
        if field.name in _RANGES:
            _check_range(field.name, value, *_RANGES[field.name])
    if config.resolution is not None and config.resolution % 8:
        nearest = round(config.resolution / 8) * 8
        raise InvalidConfig(f"resolution {config.resolution} is not a multiple of 8", f"use {nearest}")
    unknown = [role for role in config.encoders if role not in ENCODERS]
    if unknown:
        raise InvalidConfig(f"text encoder {unknown[0]!r} is unknown", f"one of: {', '.join(ENCODERS)}")
    templates_for(config.concept_type, config.caption_templates)
    for prompt in config.preview_prompts:
        if prompt.count("{}") != 1:
            raise InvalidConfig(f"preview prompt {prompt!r} must contain {{}} exactly once", "it marks the word")
        others = placeholders_in(prompt)
        if others:
            raise InvalidConfig(
                f"preview prompt {prompt!r} names {others[0]}: previews know only the word that is being learned",
                "write it as {}",
            )
    # Which base model it is for is not known here: what a longer course allows is not refused yet.
    _check_together(config.resolved(embedded=False))


def refuse_unread(given: Iterable[str], config: TrainingConfig) -> None:
    """Refuse settings that were given for one word and that nothing reads.

    Raises:
        InvalidConfig: names the first.
    """
    given = list(given)
    unread = next((name for name in given if name.startswith("stop_")), "")
    if unread and config.resolved().stopping != "dvar":
        raise InvalidConfig(f"{unread} says when to stop, and stopping is none", "add stopping=dvar")
    unread = next((name for name in given if name in ("preview_every", "preview_seed")), "")
    if unread and not config.preview_prompts:
        raise InvalidConfig(f"{unread} is about previews, and there are none", 'add --preview "a photo of {}"')
    if "magnitude" in given and config.magnitude is not None and config.continues_version:
        raise InvalidConfig(
            f"magnitude {config.magnitude:g} has no effect: a word that goes on from a version keeps its magnitude",
            "leave it out, or start from a phrase",
        )


def without_unread(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recorded training without those that its recipe does not read.

    They are whatever the usual values were when it was recorded, which a later release may refuse beside this recipe.
    """
    recipe = recorded.get("recipe", "direction")
    return {name: value for name, value in recorded.items() if name not in _ONLY or recipe in _ONLY[name][0]}


def _check_together(config: TrainingConfig) -> None:
    assert config.max_steps is not None
    usual = type(config)(recipe=config.recipe).resolved(embedded=False)
    for name, (recipes, why) in _ONLY.items():
        if config.recipe not in recipes and getattr(config, name) not in (getattr(usual, name), None):
            told = " or ".join(recipes)
            raise InvalidConfig(f"{name} only works with the recipe {told}, not {config.recipe}", why)
    if config.gradient_accumulation > config.max_steps:
        raise InvalidConfig(
            f"gradient_accumulation {config.gradient_accumulation} is more than max_steps {config.max_steps}",
            "accumulate less, or take more steps",
        )
    if config.warmup_steps >= config.max_steps:
        raise InvalidConfig(
            f"warmup_steps {config.warmup_steps} leaves no step of max_steps {config.max_steps}", "use fewer"
        )
    if config.max_timestep is not None and config.min_timestep >= config.max_timestep:
        equal = config.min_timestep == config.max_timestep
        raise InvalidConfig(
            f"min_timestep {config.min_timestep} is not below max_timestep {config.max_timestep}",
            "they leave no timestep to train: move one of them" if equal else "swap them",
        )
    if config.progressive_steps:
        if config.num_vectors == 1 or (config.num_vectors is None and not config.initializer):
            raise InvalidConfig("progressive_steps needs more than one vector", "add --num-vectors 2 or more")
        vectors = config.num_vectors or 2
        if config.progressive_steps * (vectors - 1) >= config.max_steps:
            last = config.progressive_steps * (vectors - 1)
            raise InvalidConfig(
                f"progressive_steps {config.progressive_steps}: the last of {vectors} vectors would never join, "
                f"as it does after {last} of {config.max_steps} steps",
                "use fewer",
            )
    if config.stopping == "dvar" and config.stop_window < config.stop_every:
        raise InvalidConfig(
            f"stop_window {config.stop_window} is shorter than stop_every {config.stop_every}: it never sees a change",
            "use a longer window, three times as long is usual",
        )
    if config.compile and config.spare_memory:
        raise InvalidConfig("compile and spare_memory do not go together", "a compiled denoiser keeps little by itself")
    check_masks(config.use_alpha, config.masks)


def check_masks(use_alpha: bool, masks: Sequence[object]) -> None:
    """Refuse masks of two sources.

    Raises:
        InvalidConfig: they come from the pictures' transparency and from files.
    """
    if use_alpha and masks:
        raise InvalidConfig("masks come from the pictures' transparency or from files, not from both", "choose one")


def _check_type(name: str, value: object, hint: Any) -> None:
    text, wanted = str(hint), "text"
    if value is None:
        allowed = type(None) in get_args(hint)
    elif "tuple" in text:
        allowed, wanted = (
            isinstance(value, tuple) and all(isinstance(item, str) for item in value),
            'a list: ["…", "…"]',
        )
    elif bool in (hint, *get_args(hint)):
        allowed, wanted = isinstance(value, bool), "true or false"
    elif float in (hint, *get_args(hint)):
        allowed, wanted = isinstance(value, (int, float)) and not isinstance(value, bool), "a number"
    elif int in (hint, *get_args(hint)):
        allowed, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    else:
        allowed = isinstance(value, str)
    if not allowed:
        raise InvalidConfig(f"{name} cannot be {value!r}", f"it is {wanted}; docs/training.md explains it")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # nor is NaN
        shown = safe(value, limit=40)
        raise InvalidConfig(f"{name} {shown} is out of range", f"from {_number(low)} to {_number(high)}")


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e5 or not float(value).is_integer() else f"{int(value):,}"
