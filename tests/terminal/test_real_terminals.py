"""Real terminals on a virtual screen: what they show is the picture. Skipped where the programs are not installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.terminal.running import LAUNCH, expected
from tests.terminal.test_encoders import difference
from tests.tui.conftest import add_version
from tiregistry.registry.registry import Registry

pytestmark = pytest.mark.slow
_PATIENCE = 90.0


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """An X server without a screen, on a display number of its own choosing."""
    needs("Xvfb", "xdotool", "import")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1300x900x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        number = os.read(read, 16).decode().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        yield f":{number}"
    finally:
        os.close(read)
        server.terminate()
        server.wait()


XTERM = [
    *("xterm", "-title", "TIREG", "-xrm", "XTerm*allowTitleOps: false", "-ti", "vt340"),
    *("-geometry", "120x36+0+0", "-fa", "DejaVuSansMono", "-fs", "10"),
    *("-e", "env", "COLORTERM=truecolor", "TERM=xterm-256color"),
]
OLD_KITTY = [
    *("kitty", "--config", "NONE", "-o", "remember_window_size=no", "-o", "initial_window_width=1100"),
    *("-o", "initial_window_height=760", "-o", "update_check_interval=0", "-o", "confirm_os_window_close=0"),
    *("--title", "TIREG"),
]


def red_square(shot: Image.Image) -> tuple[int, int, int, int] | None:
    """Where the picture's red square is on a screenshot: left, top, right, bottom."""
    red, green, blue = shot.split()
    mask = Image.merge(
        "RGB", (red.point(lambda v: 255 * (v > 200)), green.point(lambda v: 255 * (v < 60)), blue)
    ).convert("RGB")
    bright, dark, low = mask.split()
    both = Image.composite(bright, Image.new("L", shot.size), dark)
    return Image.composite(both, Image.new("L", shot.size), low.point(lambda v: 255 * (v < 60))).getbbox()


@pytest.mark.parametrize("terminal", [XTERM, OLD_KITTY], ids=["xterm", "kitty"])
def test_the_screen_shows_the_picture(terminal: list[str], display: str, tmp_path: Path) -> None:
    needs(terminal[0])
    home = tmp_path / "home"
    with Registry.open(home) as registry:
        add_version(registry, "gnome", 1, color="red")
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR", "TIREG_IMAGES")
    }
    environment |= {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    environment |= {"TIREG_HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "SSH_TTY": "/dev/pts/9"}
    path = json.dumps([entry for entry in sys.path if entry])
    window = subprocess.Popen(
        [*terminal, sys.executable, "-c", LAUNCH, path], env=environment, stderr=subprocess.DEVNULL
    )
    shot_file = Path(os.environ.get("TIREG_TEST_SHOTS", tmp_path)) / f"{terminal[0]}.png"
    best = 255.0
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and best > 12:
            time.sleep(1.0)
            if window.poll() is not None:
                pytest.skip(f"{terminal[0]} does not run here (no OpenGL?)")
            taken = subprocess.run(
                ["import", "-silent", "-window", "root", str(shot_file)], env=environment, check=False, timeout=30
            )
            if taken.returncode:
                continue
            shot = Image.open(shot_file).convert("RGB")
            box = red_square(shot)
            if box is None or box[2] - box[0] < 40:
                continue
            half = (box[2] - box[0]) // 2, (box[3] - box[1]) // 2
            whole = shot.crop((box[0] - half[0], box[1] - half[1], box[2] + half[0], box[3] + half[1]))
            best = min(best, difference(whole, expected("red", whole.size), blur=1.0))
    finally:
        window.terminate()
        window.wait()
    assert best <= 12, f"mean difference {best:.1f} of 255"
