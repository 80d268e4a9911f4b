"""Real terminals on a virtual screen: what they show is the picture. Skipped where the programs are not installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageColor

from tests.terminal.running import LAUNCH, a_picture_for_every_screen, expected, one_word
from tests.terminal.test_encoders import difference

pytestmark = pytest.mark.slow
_PATIENCE = 200.0


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


def square(shot: Image.Image, color: str) -> tuple[int, int, int, int] | None:
    """Where the picture's square of a pure colour is on a screenshot: left, top, right, bottom."""
    mask = Image.new("L", shot.size, 255)
    for band, value in zip(shot.split(), ImageColor.getrgb(color)[:3], strict=True):
        mask = ImageChops.darker(mask, band.point(lambda v, high=value > 128: 255 * (v > 230 if high else v < 60)))
    return mask.getbbox()


def newer_kitty() -> list[str]:
    """A kitty that knows placeholders: `$TIREG_TEST_KITTY`, or the one that is installed."""
    program = os.environ.get("TIREG_TEST_KITTY", "kitty")
    needs(program)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"kitty (\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < (0, 28):
        pytest.skip(
            f"{said.partition(' created')[0].strip() or program} is older than 0.28; TIREG_TEST_KITTY names another"
        )
    return [program, *OLD_KITTY[1:]]


# What is found out about the terminal is kept in a file; it has all the time that a busy machine needs to answer.
TOLD = """
import sys, tiregistry.graphics.detection as detection
found = detection.detect
def detect(*arguments, **options):
    terminal = found(*arguments, **options, seconds=30.0)
    open(sys.argv[2], "w").write(f"{terminal.protocol} {terminal.in_tmux}")
    return terminal
detection.detect = detect
"""
CODE = LAUNCH.replace("from tireg_tui", TOLD.strip() + "\nfrom tireg_tui", 1)
PLACES = [("library", "red"), ("compose", "lime")]


@pytest.mark.parametrize(("terminal", "protocol"), [(XTERM, "sixel"), (OLD_KITTY, "kitty")], ids=["xterm", "kitty"])
def test_the_screen_shows_the_picture(terminal: list[str], protocol: str, display: str, tmp_path: Path) -> None:
    needs(terminal[0])
    assert shown_on(terminal, display, tmp_path).startswith(protocol)


@pytest.mark.parametrize(("place", "color"), PLACES)
def test_placeholders_in_a_newer_kitty(place: str, color: str, display: str, tmp_path: Path) -> None:
    assert shown_on(newer_kitty(), display, tmp_path, place, color) == "kitty False"


@pytest.mark.parametrize(("place", "color"), PLACES)
def test_placeholders_through_tmux(place: str, color: str, display: str, tmp_path: Path) -> None:
    needs("tmux")
    terminal = newer_kitty()
    conf = tmp_path / "tmux.conf"
    conf.write_text("set -g allow-passthrough on\n")
    with tempfile.TemporaryDirectory() as folder:  # a socket's path may not be long
        tmux = [str(shutil.which("tmux")), "-S", f"{folder}/socket", "-f", str(conf)]
        try:
            found = shown_on([*terminal, *tmux, "new-session"], display, tmp_path, place, color)
            text = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
        finally:
            subprocess.run([*tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)
    assert found == "kitty True"
    # No answer of the terminal was typed into the field that has the focus, or is next to it.
    assert ("type to filter" if place == "library" else "a photo of <word>") in text


def shown_on(terminal: list[str], display: str, folder: Path, place: str = "library", color: str = "red") -> str:
    """Open the UI on a real terminal and wait until its picture is the source picture; what detection has found."""
    home = (one_word if place == "library" else a_picture_for_every_screen)(folder / "home")
    (home / "tui.json").write_text(json.dumps({"place": place}))
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR", "TIREG_IMAGES")
    }
    environment |= {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    environment |= {"TIREG_HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "SSH_TTY": "/dev/pts/9"}
    path, told = json.dumps([entry for entry in sys.path if entry]), folder / "told"
    window = subprocess.Popen(
        [*terminal, sys.executable, "-c", CODE, path, str(told)], env=environment, stderr=subprocess.DEVNULL
    )
    name = f"{Path(terminal[0]).name}-{place}.png"
    shot_file = Path(os.environ.get("TIREG_TEST_SHOTS", folder)) / name
    best = 255.0
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and best > 12:
            time.sleep(1.0)
            if window.poll() is not None:
                pytest.skip(f"{terminal[0]} does not run here (no OpenGL?)")
            taken = subprocess.run(
                ["import", "-silent", "-window", "root", str(shot_file)], env=environment, check=False, timeout=120
            )
            if taken.returncode:
                continue
            shot = Image.open(shot_file).convert("RGB")
            box = square(shot, color)
            if box is None or box[2] - box[0] < 40:
                continue
            half = (box[2] - box[0]) // 2, (box[3] - box[1]) // 2
            whole = shot.crop((box[0] - half[0], box[1] - half[1], box[2] + half[0], box[3] + half[1]))
            best = min(best, difference(whole, expected(color, whole.size), blur=1.0))
    finally:
        window.terminate()
        window.wait()
    assert best <= 12, f"mean difference {best:.1f} of 255"
    return told.read_text()
