from __future__ import annotations

from collections.abc import Iterator

import pytest

from tiregistry.registry.registry import Registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty registry in the test's own folder."""
    with Registry.open() as opened:
        yield opened
