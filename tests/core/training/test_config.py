"""A training configuration: every setting explained, every mistake named."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from itertools import pairwise
from typing import Any

import pytest

from tiregistry.errors import InvalidConfig
from tiregistry.training import config as module
from tiregistry.training.config import TrainingConfig
from tiregistry.training.config_check import without_unread
from tiregistry.training.recipes import RECIPES


def test_json_round_trip() -> None:
    config = TrainingConfig(initializer="old teapot", caption_templates=("a {}",), num_vectors=3)
    assert TrainingConfig.from_mapping(config.as_dict()) == config


def test_a_record_with_another_usual_value_of_what_its_recipe_does_not_read_can_be_taken_up() -> None:
    recorded = TrainingConfig().resolved().as_dict() | {"warm_start_steps": 77}
    with pytest.raises(InvalidConfig, match="warm_start_steps only works with the recipe quick"):
        TrainingConfig.from_mapping(recorded)
    assert TrainingConfig.from_mapping(without_unread(recorded)) == TrainingConfig().resolved()
    quick = TrainingConfig(recipe="quick", warm_start_steps=77).resolved()
    assert TrainingConfig.from_mapping(without_unread(quick.as_dict())) == quick


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_fills_in_what_was_left_open_and_nothing_else(recipe: Any) -> None:
    resolved = TrainingConfig(recipe=recipe, max_steps=7).resolved()
    assert resolved.max_steps == 7
    assert None not in (resolved.learning_rate, resolved.batch_size, resolved.lr_scheduler, resolved.stopping)
    assert None not in (resolved.magnitude, resolved.preconditioning, resolved.flip)
    resolved.check()


@pytest.mark.parametrize("recipe", ["direction", "thorough", "quick"])
def test_long_vectors_are_for_things_on_the_base_model_that_they_were_measured_on(recipe: Any) -> None:
    thing, style = (TrainingConfig(recipe=recipe, concept_type=kind) for kind in ("object", "style"))
    assert thing.resolved().magnitude > 1  # type: ignore[operator]
    assert thing.resolved().flip is False
    for elsewhere in (style.resolved(), style.resolved(embedded=False), thing.resolved(embedded=False)):
        assert (elsewhere.magnitude, elsewhere.flip) == (1.0, True)
    assert TrainingConfig(recipe=recipe, magnitude=2.0, flip=True).resolved().magnitude == 2.0
    assert TrainingConfig(recipe=recipe, magnitude=2.0, flip=True).resolved().flip is True


def test_every_setting_is_explained_under_its_name() -> None:
    tree = ast.parse(inspect.getsource(module))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "TrainingConfig").body
    explained = {
        before.target.id
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(after, ast.Expr)
    }
    assert explained == {field.name for field in fields(TrainingConfig)}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_vectors": 80}, "num_vectors 80 is out of range"),
        ({"num_vectors": 0}, "num_vectors 0 is out of range"),
        ({"num_vectors": True}, "num_vectors cannot be True"),
        ({"resolution": 100}, "resolution 100 is not a multiple of 8"),
        ({"learning_rate": float("nan")}, "learning_rate nan is out of range"),
        ({"learning_rate": 10**400}, "learning_rate 1000000000"),
        ({"seed": 1.5}, "seed cannot be 1.5"),
        ({"flip": "yes"}, "flip cannot be 'yes'"),
        ({"compile": True, "spare_memory": True}, "do not go together"),
        ({"recipe": "slow"}, "recipe 'slow' is unknown"),
        ({"gradient_accumulation": 8, "max_steps": 4}, "gradient_accumulation 8 is more than max_steps 4"),
        ({"warmup_steps": 400}, "warmup_steps 400 leaves no step"),
        ({"min_timestep": 500, "max_timestep": 500}, "min_timestep 500 is not below"),
        ({"weight_decay": 0.1}, "weight_decay only works with the recipe classic"),
        ({"regularization": 0.1}, "regularization only works with the recipe classic"),
        ({"max_grad_norm": 1.0}, "max_grad_norm only works with the recipe classic"),
        ({"cross_initialization": True}, "cross_initialization only works with the recipe classic"),
        (
            {"recipe": "classic", "prior_strength": 0.1},
            "prior_strength only works with the recipe direction or thorough or quick",
        ),
        ({"warm_start_steps": 5}, "warm_start_steps only works with the recipe quick"),
        ({"progressive_steps": 5}, "progressive_steps needs more than one vector"),
        ({"progressive_steps": 5, "num_vectors": 1}, "progressive_steps needs more than one vector"),
        ({"progressive_steps": 400, "num_vectors": 2}, "the last of 2 vectors would never join"),
        ({"progressive_steps": 50, "num_vectors": 4, "max_steps": 100}, "the last of 4 vectors would never join"),
        ({"stop_window": 5, "stop_every": 20}, "is shorter than stop_every 20"),
        ({"use_alpha": True, "masks": ("sha256:0",)}, "not from both"),
        ({"caption_templates": ("a photo",)}, "must contain {} exactly once"),
        ({"preview_prompts": ("a photo",)}, "must contain {} exactly once"),
        ({"preview_prompts": ("a {} and <gnome>",)}, "names <gnome>: previews know only the word"),
    ],
)
def test_what_cannot_work_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        TrainingConfig(**settings).check()
    assert said in str(caught.value)


def test_an_unknown_setting_gets_the_closest_name() -> None:
    with pytest.raises(InvalidConfig, match="did you mean min_snr_gamma"):
        TrainingConfig.from_mapping({"min_snr": 5})
