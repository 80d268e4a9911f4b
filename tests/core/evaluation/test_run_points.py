"""A run's checkpoints as subjects, and the version that the best of them becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core.evaluation.conftest import picture
from tiregistry.errors import NotFound
from tiregistry.evaluation.run_points import register_point, subjects_of_run
from tiregistry.images import read_pictures
from tiregistry.registry.registry import Registry
from tiregistry.training.config import TrainingConfig
from tiregistry.training.run import TrainingRequest, train


@pytest.fixture
def run(registry: Registry, base_folder: Path, tmp_path: Path) -> Any:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        picture(number).save(folder / f"{number}.png")
    config = TrainingConfig(max_steps=5, batch_size=1, initializer="teapot", stopping="none", checkpoint_every=1)
    list(train(registry, TrainingRequest("pot", read_pictures([folder])[0], config, base=str(base_folder))))
    return registry.last_run()


def test_each_checkpoint_is_a_subject(registry: Registry, run: Any) -> None:
    subjects = subjects_of_run(registry, run)
    assert [subject.label for subject in subjects] == ["step 1", "step 2", "step 3", "step 4", "step 5"]
    assert len({subject.identity for subject in subjects}) == 5
    assert [s.step for s in subjects_of_run(registry, run, most=2)] == [2, 5]
    assert [s.step for s in subjects_of_run(registry, run, most=1)] == [5]


def test_the_best_checkpoint_becomes_a_version_once(registry: Registry, run: Any) -> None:
    subjects = subjects_of_run(registry, run)
    final = registry.version("pot")
    assert register_point(registry, run, subjects[-1]).reference == final.reference
    made = register_point(registry, run, subjects[1])
    assert made.reference == "pot@2"
    assert registry.embedding(made).digest == subjects[1].identity
    assert made.images == final.images
    assert made.manifest["training"] == final.manifest["training"]
    assert registry.record(made)["steps"] == 2
    assert made.run_id == run.id
    assert register_point(registry, run, subjects[1]).reference == "pot@2"


def test_a_run_that_kept_nothing(registry: Registry, run: Any) -> None:
    import shutil

    shutil.rmtree(registry.home / "runs" / run.id / "vectors")
    with pytest.raises(NotFound, match="has kept no checkpoints"):
        subjects_of_run(registry, run)
