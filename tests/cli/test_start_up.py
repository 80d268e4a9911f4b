"""Looking at the registry starts without the heavy libraries; proven in a clean process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.registry.making import add_version
from tiregistry.registry.registry import Registry

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "diffusers", "transformers", "textual", "huggingface_hub", "numpy", "PIL", "rich", "sqlite_utils",
         "safetensors", "accelerate", "platformdirs")  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["--help", "--version", "list", "list gnome tag:x", "show gnome", "show gnome --json", "list --help", "tag gnome x",
     "alias gnome best", "history gnome", "note gnome hello", "rename gnome dwarf", "remove gnome", "base list", "gc"],
)  # fmt: skip
def test_no_heavy_library_is_imported(tmp_path: Path, line: str) -> None:
    """Each heavy library is replaced by one that fails on import: what needs it would end with an error."""
    with Registry.open() as registry:
        add_version(registry, record={"loss": [2.0, 1.0]})
    for name in HEAVY:
        (tmp_path / "heavy" / name).mkdir(parents=True)
        (tmp_path / "heavy" / name / "__init__.py").write_text(f"raise ImportError('{name} was imported')\n")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (tmp_path / "heavy", ROOT / "cli", ROOT))),
    }
    run = subprocess.run(
        [sys.executable, "-m", "tireg_cli", *line.split()], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert "was imported" not in run.stderr


def test_a_wish_for_pictures_that_is_none_is_refused_before_textual() -> None:
    code = (
        "import sys; from tireg_tui.launch import run\n"
        "try: run('nonsense')\n"
        "except Exception as error: print(error, {'textual', 'PIL'} & set(sys.modules))"
    )
    path = os.pathsep.join(map(str, (ROOT / "tui", ROOT)))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert "--images: 'nonsense' is no way to show pictures" in run.stdout, run.stderr
    assert "set()" in run.stdout
