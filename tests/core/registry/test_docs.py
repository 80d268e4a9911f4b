"""The Python in docs/registry.md does what it says, and docs/internals.md knows every table."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import tiregistry
from tests.core.registry.making import add_version
from tiregistry.registry.registry import Registry

PAGE = Path(__file__).parents[3] / "docs" / "registry.md"
INTERNALS = PAGE.with_name("internals.md")


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gnome.png").write_bytes(b"picture")
    with Registry.open() as registry:
        for seed in range(3):
            add_version(registry, seed=seed, record={"loss": [1.0]})
        registry.set_alias("gnome@1", "best")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names = {"vectors": np.ones((1, 8)), "Path": Path}
    for block in blocks:
        exec(block, names)
    with Registry.open() as registry:
        assert registry.version("gnome").origin == "imported"


def test_every_table_is_explained(registry: Registry) -> None:
    page = INTERNALS.read_text(encoding="utf-8")
    tables = registry.database.rows(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'search!_%' ESCAPE '!' "
        "AND name NOT LIKE 'sqlite%' AND name NOT LIKE '!_sqlite%' ESCAPE '!'"
    )
    assert [row["name"] for row in tables if f"`{row['name']}`" not in page] == []


def test_what_a_command_is_in_python_exists() -> None:
    """Every name of the table can be imported, is explained, and no command that works on the registry is left out."""
    page = PAGE.read_text(encoding="utf-8").split("| command | in Python |")[1].split("\n\nOne `Registry`")[0]
    names = set(re.findall(r"`((?:Registry|tiregistry)\.[\w.]+)`", page))
    assert len(names) > 30
    for name in names:
        module, _, attribute = name.rpartition(".")
        owner = Registry if module == "Registry" else importlib.import_module(module)
        found = getattr(owner, attribute)
        assert found.__doc__, name
    told = set(re.findall(r"`(\w+)(?: \w+)?`", page))
    assert {"list", "show", "train", "gen", "import", "export", "push", "pull", "verify", "base", "runs"} <= told


def test_python_lists_every_public_name() -> None:
    assert set(tiregistry.__all__) <= set(dir(tiregistry))
