"""A tiny base model, pictures and a registry for runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.models import tiny_sd
from tiregistry.registry.registry import Registry
from tiregistry.training.config import TrainingConfig
from tiregistry.training.request import TrainingRequest


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.open() as opened:
        yield opened


@pytest.fixture
def request_for(base: Path, tmp_path: Path) -> Callable[..., TrainingRequest]:
    from tiregistry.images import read_pictures

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, colour in enumerate(("red", "green")):
        Image.new("RGB", (64, 64), colour).save(folder / f"{number}.png")

    def build(name: str = "pot", **settings: Any) -> TrainingRequest:
        usual = {"max_steps": 12, "batch_size": 1, "initializer": "teapot", "stopping": "none", "checkpoint_every": 3}
        config = TrainingConfig(**(usual | settings))
        return TrainingRequest(name, read_pictures([folder])[0], config, base=str(base), device="cpu")

    return build


def until(what: Callable[[], bool], seconds: float = 400.0) -> None:
    """Wait until something is so; fail when it does not come to be."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
