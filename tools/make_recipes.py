"""Runs every command of docs/recipes.md in order and puts the pictures they make into the page.

python tools/make_recipes.py                  # what is not done yet; pictures go to docs/recipes/
python tools/make_recipes.py --work FOLDER    # somewhere else than tireg-recipes in the folder for temporary files
python tools/make_recipes.py --mask FILE      # only write the mask that one recipe uses

The commands work in a folder with a registry of its own, which stays. Run it again after an interruption or a failed
command, and it goes on there; other weights of the embedded base model begin a fresh folder.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "recipes.md"
PICTURES = ROOT / "docs" / "recipes"
MAX_BYTES = 150_000
"""Of one picture in the page."""

_MARK = re.compile(r"<!-- picture: (\S+) · ([^\n]+?) -->(?:\n!\[[^\n]*)?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, metavar="FOLDER", default=Path(tempfile.gettempdir()) / "tireg-recipes")
    parser.add_argument("--mask", type=Path, metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, help=argparse.SUPPRESS)
    parser.add_argument("--pictures", type=Path, default=PICTURES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.mask:
        write_mask(arguments.mask)
        return
    folder = arguments.work.resolve() / weights_digest()
    folder.mkdir(parents=True, exist_ok=True)
    sys.exit(make(arguments.page, arguments.pictures, folder))


def make(page: Path, pictures: Path, folder: Path) -> int:
    """Run the page's commands in `folder`, show their pictures in the page; return a failed command's exit code.

    Pictures are put into the page as far as they are there, also when a command failed.
    """
    text = page.read_text(encoding="utf-8")
    code = run_commands(commands_of(text), folder)
    pictures.mkdir(exist_ok=True)
    there = [name for name, _ in pictures_of(text) if (folder / name).is_file()]
    for name in there:
        (pictures / name).write_bytes(small_png((folder / name).read_bytes()))
    page.write_text(shown(text, pictures.name, there), encoding="utf-8")
    return code


def run_commands(commands: list[str], folder: Path) -> int:
    """Run the commands that `folder` does not remember as done; stop at the first that fails, with its exit code."""
    environment = {
        **os.environ,
        "TIREG_HOME": str(folder / "home"),
        "PATH": f"{_programs(folder)}{os.pathsep}{os.environ['PATH']}",
    }
    for name in ("tests", "tools"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    journal = folder / "done.json"
    done = json.loads(journal.read_text(encoding="utf-8")) if journal.exists() else []
    for command in commands:
        if command in done:
            continue
        print(f"$ {command}", flush=True)
        code = subprocess.run(command, shell=True, cwd=folder, env=environment, check=False).returncode
        if code:
            print(f"ended with {code}; correct it and run this again, it goes on here", file=sys.stderr)
            return code
        done.append(command)
        part = journal.with_suffix(".part")
        part.write_text(json.dumps(done, indent=1), encoding="utf-8")
        os.replace(part, journal)
    return 0


def commands_of(text: str) -> list[str]:
    """Every command line of the page's `sh` blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def pictures_of(text: str) -> list[tuple[str, str]]:
    """Names of the pictures that the page shows, with what is said of each."""
    return [(mark[1], mark[2]) for mark in _MARK.finditer(text)]


def shown(text: str, folder: str, there: list[str]) -> str:
    """The page with each picture of `there` below its mark."""

    def with_picture(mark: re.Match[str]) -> str:
        line = f"<!-- picture: {mark[1]} · {mark[2]} -->"
        return f"{line}\n![{mark[2]}]({folder}/{mark[1]})" if mark[1] in there else line

    return _MARK.sub(with_picture, text)


def small_png(data: bytes) -> bytes:
    """The same picture as a PNG of at most `MAX_BYTES`: fewer colours where it must be, then fewer pixels."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    best = _png(image)
    if len(best) > MAX_BYTES:
        best = _png(image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    while len(best) > MAX_BYTES:
        image = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.LANCZOS)
        best = _png(image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    return best


def write_mask(path: Path) -> None:
    """A mask of 64 x 64 pixels whose middle may change."""
    from PIL import Image

    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (12, 8, 52, 60))
    mask.save(path)


def weights_digest() -> str:
    """A few digits that change with the embedded base model's denoiser or text encoder."""
    sys.path.insert(0, str(ROOT))
    from tiregistry.bases.fingerprints import fingerprint_folder
    from tiregistry.bases.locating import embedded_folder

    found = fingerprint_folder(embedded_folder()).as_dict()
    return "-".join(found[part].removeprefix("sha256:")[:6] for part in ("text_encoder", "denoiser"))


def _png(image: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)  # type: ignore[attr-defined]
    return out.getvalue()


def _programs(folder: Path) -> Path:
    """A folder with `tireg` and `python` that run this interpreter on this checkout."""
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "cli", "tui"))
    for name, module in (("tireg", "-m tireg_cli"), ("python", "")):
        script = binaries / name
        script.write_text(f'#!/bin/sh\nPYTHONPATH="{paths}" exec "{sys.executable}" {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return binaries


if __name__ == "__main__":
    main()
