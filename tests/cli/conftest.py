"""`tireg` in this process, a registry with words to look at, and a tiny base model with words for `tireg gen`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Tireg
from tests.core.registry.making import add_version
from tests.learned import register_word
from tests.models import tiny_sd
from tireg_cli.main import run
from tiregistry.concepts import Parent
from tiregistry.registry.registry import Registry

QUICK = ("--steps", "1")


@pytest.fixture
def tireg(capsys: pytest.CaptureFixture[str]) -> Tireg:
    """`tireg`, called in this process with its output caught."""
    return Tireg(capsys)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd(tmp_path_factory.mktemp("gen") / "tiny")


@pytest.fixture(scope="session")
def loaded(model: Path) -> Any:
    from tiregistry.bases.loading import load_base

    return load_base(str(model), device="cpu")


@pytest.fixture(scope="session")
def base(model: Path) -> str:
    """What to call the tiny model in a command."""
    return str(model)


@pytest.fixture
def words() -> Iterator[Registry]:
    """A registry with `gnome` (three versions) and `inky` (a style)."""
    with Registry.open() as registry:
        first = add_version(
            registry, "gnome", 1, caption="a photo of <gnome>", record={"loss": [2.0, 1.0, 0.5], "seconds": 9}
        )
        add_version(registry, "gnome", 2, parents=(Parent(first.digest, "continued"),))
        add_version(registry, "gnome", 3)
        add_version(registry, "inky", 4, concept_type="style")
        yield registry


@pytest.fixture
def usable_words(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry with gnome@1, gnome@2 and imp@1; the tiny model, once read, is not read again."""
    monkeypatch.setattr("tiregistry.opening.open_base", lambda *_, **__: loaded)
    with Registry.open() as registry:
        registry.add_base(loaded.identity)
        for seed in (1, 2):
            register_word(registry, loaded, "gnome", seed=seed)
        register_word(registry, loaded, "imp", seed=3)


@pytest.fixture
def gen(usable_words: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `tireg gen` in this process; returns exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["gen", *map(str, arguments), *QUICK])
        return code, *capsys.readouterr()

    return call
