"""Commands whose stdin is closed (`<&-`), as some schedulers start them: as if it were empty, or one clear line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.core.registry.making import add_version
from tireg_cli.main import run
from tiregistry.registry.registry import Registry


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gen", "-"], "tireg: stdin holds no prompts · write one per line"),
        (["note", "gnome", "-"], "tireg: stdin is closed, so there is no note to read · tireg note gnome TEXT"),
        (["remove", "gnome", "--purge"], "cannot be asked without a terminal · add --yes to agree beforehand"),
    ],
)
def test_closed_stdin(arguments: list[str], said: str) -> None:
    with Registry.open() as registry:
        add_version(registry, "gnome")
    command = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "tireg_cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said in done.stderr
    assert done.returncode == 2
    assert run(["show", "gnome"]) == 0
