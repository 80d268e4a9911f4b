"""Tiny base models, built once for the session, and a registry with words of known vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.flow_models import tiny_flow
from tests.learned import register_word
from tests.models import tiny_sd
from tiregistry.generation.generator import Generator
from tiregistry.generation.settings import GenerationSettings
from tiregistry.registry.registry import Registry

FLOW: dict[str, dict[str, bool]] = {
    "sd3": {},
    "sd3-without-t5": {"t5": False},
    "flux": {},
    "flux-distilled": {"guidance": False},
}
"""Kinds of flow models, with what `tiny_flow` takes."""
QUICK = GenerationSettings(num_inference_steps=2)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A tiny model in memory, of a family (or a kind of `FLOW`); tests may not change it."""
    import torch

    from tiregistry.bases.loading import load_base

    torch.set_num_threads(1)
    bases: dict[Any, Any] = {}

    def load(family: str = "sd1", seed: int = 0) -> Any:
        if (family, seed) not in bases:
            folder = tmp_path_factory.mktemp("base") / f"{family}-{seed}"
            if family in FLOW:
                tiny_flow(folder, family.partition("-")[0], seed=seed, **FLOW[family])
            else:
                tiny_sd(folder, family, seed=seed)
            bases[family, seed] = load_base(str(folder), device="cpu")
        return bases[family, seed]

    return load


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.open() as opened:
        yield opened


@pytest.fixture
def generator(registry: Registry, loaded: Callable[..., Any]) -> Generator:
    """On the tiny sd1 model, with the words gnome (two versions; two vectors each) and imp (one vector)."""
    base = loaded()
    registry.add_base(base.identity)
    register_word(registry, base, "gnome", num_vectors=2, seed=1)
    register_word(registry, base, "gnome", num_vectors=2, seed=2)
    register_word(registry, base, "imp", seed=3)
    return Generator(base, registry)


def bytes_of(pictures: Any) -> list[bytes]:
    """The files of pictures."""
    from tiregistry.generation.metadata import picture_bytes

    return [picture_bytes(picture) for picture in pictures]
