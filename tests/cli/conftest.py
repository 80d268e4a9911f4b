from __future__ import annotations

import pytest

from tests.cli.running import Tireg


@pytest.fixture
def tireg(capsys: pytest.CaptureFixture[str]) -> Tireg:
    """`tireg`, called in this process with its output caught."""
    return Tireg(capsys)
