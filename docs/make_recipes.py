"""Runs every command of docs/recipes.md in order and puts the pictures they make into the page.

python docs/make_recipes.py                 # all of it; pictures go to docs/recipes/
python docs/make_recipes.py --keep FOLDER   # work in FOLDER, and go on there with words that were learned before
python docs/make_recipes.py --mask FILE     # only write the mask that one recipe uses

The commands work in a scratch folder with a registry of its own; a command that fails ends the run with its message.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "recipes.md"
PICTURES = ROOT / "docs" / "recipes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--mask", type=Path, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, help=argparse.SUPPRESS)
    parser.add_argument("--pictures", type=Path, default=PICTURES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.mask:
        write_mask(arguments.mask)
    elif arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        make(arguments.page, arguments.pictures, arguments.keep.resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            make(arguments.page, arguments.pictures, Path(folder))


def make(page: Path, pictures: Path, folder: Path) -> None:
    """Run the page's commands in `folder`, copy the pictures to `pictures` and show them in the page."""
    text = page.read_text(encoding="utf-8")
    environment = {
        **os.environ,
        "TIREG_HOME": str(folder / "home"),
        "PATH": f"{_commands(folder)}:{os.environ['PATH']}",
    }
    for name in ("tests", "docs"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    for command in commands_of(text):
        if _is_learned(command, environment, folder):
            continue
        print(f"$ {command}", flush=True)
        subprocess.run(command, shell=True, cwd=folder, env=environment, check=True)
    pictures.mkdir(exist_ok=True)
    for name in pictures_of(text):
        shutil.copyfile(folder / name, pictures / name)
    page.write_text(shown(text, pictures.name), encoding="utf-8")


def commands_of(text: str) -> list[str]:
    """Every command line of the page's `sh` blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def pictures_of(text: str) -> list[str]:
    """The pictures that the page shows."""
    return re.findall(r"<!-- picture: (\S+) -->", text)


def shown(text: str, folder: str) -> str:
    """The page with each picture below its mark."""
    return re.sub(
        r"<!-- picture: (\S+) -->(?:\n!\[[^\n]*)?",
        lambda mark: f"{mark.group(0).splitlines()[0]}\n![{Path(mark[1]).stem}]({folder}/{mark[1]})",
        text,
    )


def write_mask(path: Path) -> None:
    """A mask of 64 x 64 pixels whose middle may change."""
    from PIL import Image

    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (12, 8, 52, 60))
    mask.save(path)


def _commands(folder: Path) -> Path:
    """A folder with `tireg` and `python` that run this interpreter on this checkout."""
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    paths = f"{ROOT}:{ROOT / 'cli'}:{ROOT / 'tui'}"
    for name, module in (("tireg", "-m tireg_cli"), ("python", "")):
        script = binaries / name
        script.write_text(f'#!/bin/sh\nPYTHONPATH="{paths}" exec "{sys.executable}" {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return binaries


def _is_learned(command: str, environment: dict[str, str], folder: Path) -> bool:
    """Whether a training command has been done in an earlier run."""
    done = folder / "trained.txt"
    known = done.read_text(encoding="utf-8").splitlines() if done.exists() else []
    if not command.startswith("tireg train "):
        return False
    if command in known:
        return True
    print(f"$ {command}", flush=True)
    subprocess.run(command, shell=True, cwd=folder, env=environment, check=True)
    done.write_text("\n".join([*known, command]) + "\n", encoding="utf-8")
    return True


if __name__ == "__main__":
    main()
