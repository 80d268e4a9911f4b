"""A registry for what is imported and exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tiregistry.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "home") as opened:
        yield opened
