"""Commands whose streams are closed (`<&-`, `>&-`), as some schedulers start them: as if empty, or one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.embeddings.samples import a1111, torch_zip, vectors
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


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize(
    "arguments",
    [
        "list",
        "list --json",
        "show gnome",
        "history gnome",
        "diff gnome gnome",
        "settings list",
        "gallery list",
        "verify",
    ],
)
def test_closed_stdout_and_stderr(arguments: str, closed: str) -> None:
    with Registry.open() as registry:
        add_version(registry, "gnome")
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "tireg_cli", *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "unexpected" not in done.stderr


def test_an_import_with_closed_stdout(tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / f"w{seed}.pt").write_bytes(torch_zip(a1111(vectors(1, seed=seed), f"w{seed}")))
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "tireg_cli", "import", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "2 imported" in done.stderr) == (0, True), done.stderr
