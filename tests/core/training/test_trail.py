"""The vectors that a run keeps on its way: one small file per checkpoint, the last one equal to the registered word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiregistry.errors import Damaged
from tiregistry.images import read_pictures
from tiregistry.training.config import TrainingConfig
from tiregistry.training.run import TrainingRequest, train
from tiregistry.training.run_state import run_folder
from tiregistry.training.trail import trail


def test_every_checkpoint_leaves_its_vectors(registry: Any, tiny: Callable[..., Path], pictures: Path) -> None:
    config = TrainingConfig(max_steps=5, batch_size=2, initializer="teapot", stopping="none", checkpoint_every=2)
    list(train(registry, TrainingRequest("pot", read_pictures([pictures])[0], config, base=str(tiny()))))
    points = trail(run_folder(registry, registry.last_run().id))
    assert [point.step for point in points] == [2, 4, 5]
    assert points[-1].embedding() == registry.version("pot").embedding()
    assert points[0].embedding() != points[-1].embedding()
    assert sum(point.path.stat().st_size for point in points) < 3000
    points[0].path.write_bytes(b"half")
    with pytest.raises(Damaged):
        points[0].embedding()


def test_a_run_without_a_trail_has_no_points(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / ".000002.safetensors.77.part").write_bytes(b"")
    assert trail(tmp_path) == []
    assert trail(tmp_path / "nowhere") == []
