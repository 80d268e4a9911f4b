"""The Python in docs/registry.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.core.registry.making import add_version
from tiregistry.registry.registry import Registry

PAGE = Path(__file__).parents[3] / "docs" / "registry.md"


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
    page = PAGE.read_text(encoding="utf-8")
    tables = registry.database.rows(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'search!_%' ESCAPE '!' "
        "AND name NOT LIKE 'sqlite%' AND name NOT LIKE '!_sqlite%' ESCAPE '!'"
    )
    assert [row["name"] for row in tables if f"`{row['name']}`" not in page] == []
