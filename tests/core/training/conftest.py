"""Tiny base models, built once for the whole session, and a few pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.flow_models import tiny_flow
from tests.models import tiny_sd
from tiregistry.training.events import Finished
from tiregistry.training.request import TrainingRequest

Build = Callable[..., TrainingRequest]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a tiny model, built on first use."""
    folders: dict[Any, Path] = {}

    def build(family: str = "sd1", prediction_type: str = "epsilon", *, vision: bool = False) -> Path:
        key = (family, prediction_type, vision)
        if key not in folders:
            folder = tmp_path_factory.mktemp("base") / f"{family}-{prediction_type}{'-vision' if vision else ''}"
            if family in ("sd3", "flux"):
                folders[key] = tiny_flow(folder, family)
            else:
                folders[key] = tiny_sd(folder, family, prediction_type, vision=vision)
        return folders[key]

    return build


@pytest.fixture(scope="session")
def loaded(tiny: Callable[..., Path]) -> Callable[..., Any]:
    """A tiny model in memory; tests may not change it for good."""
    from tiregistry.bases.loading import load_base

    bases: dict[Any, Any] = {}

    def load(family: str = "sd1", prediction_type: str = "epsilon") -> Any:
        key = (family, prediction_type)
        if key not in bases:
            bases[key] = load_base(str(tiny(family, prediction_type)), device="cpu")
        return bases[key]

    return load


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three small pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, colour in enumerate(("red", "green", "blue")):
        image = Image.new("RGB", (80, 64), "white")
        ImageDraw.Draw(image).ellipse((10 + 8 * number, 8, 60, 50), fill=colour)
        image.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def registry() -> Iterator[Any]:
    from tiregistry.registry.registry import Registry

    with Registry.open() as opened:
        yield opened


@pytest.fixture
def make_word(loaded: Callable[..., Any], pictures: Path) -> Callable[..., Any]:
    """A `Word` on a tiny model, without a registry."""
    from tiregistry.images import read_pictures
    from tiregistry.training.config import TrainingConfig
    from tiregistry.training.dataset import encode_pictures
    from tiregistry.training.starting import start_vectors
    from tiregistry.training.stopping import StopRule
    from tiregistry.training.word import Word
    from tiregistry.training.wording import Wording

    images = [picture.image for picture in read_pictures([pictures])[0]]

    def build(name: str = "word", *, family: str = "sd1", prediction_type: str = "epsilon", **settings: Any) -> Word:
        base = loaded(family, prediction_type)
        usual: dict[str, Any] = {"max_steps": 3, "batch_size": 2, "stopping": "none", "initializer": "teapot"}
        config = TrainingConfig(**(usual | settings)).resolved()
        config.check()
        own = len(images) if config.per_image_tokens else 0
        vectors, count = start_vectors(base, config, None, own)
        latents = encode_pictures(base, images, 64, flip=config.flip)
        wording = Wording.build(config, [""] * len(images), f"<{name}>")
        rule = StopRule(config) if config.stopping == "dvar" else None
        return Word(name, vectors, latents, wording, config, count, rule=rule)

    return build


@pytest.fixture
def request_for(tiny: Callable[..., Path], pictures: Path) -> Build:
    """A `TrainingRequest` of few steps on a tiny model."""
    from tiregistry.images import read_pictures
    from tiregistry.training.config import TrainingConfig

    def build(name: str = "pot", *, base: Path | None = None, **settings: Any) -> TrainingRequest:
        usual = {"max_steps": 4, "batch_size": 2, "initializer": "teapot", "stopping": "none", "checkpoint_every": 2}
        config = TrainingConfig(**(usual | settings))
        return TrainingRequest(name, read_pictures([pictures])[0], config, base=str(base or tiny()))

    return build


def finished(events: Any) -> Finished:
    """Carry a training out; what it says last."""
    last = list(events)[-1]
    assert isinstance(last, Finished)
    return last
