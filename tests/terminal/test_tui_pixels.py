"""The TUI on a terminal double: the pixels that arrive are the picture's, and late answers are no keys."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.terminal import double
from tests.terminal.double import Brand, TerminalDouble
from tests.terminal.test_encoders import difference
from tests.tui.conftest import add_version, picture
from tiregistry.graphics.fitting import Box, scaled
from tiregistry.registry.registry import Registry

LAUNCH = "import json, sys\nsys.path[:0] = json.loads(sys.argv[1])\nfrom tireg_tui.launch import run\nsys.exit(run())\n"
PATIENCE = 60.0


def launched(home: Path, brand: Brand, *, delay: float = 0.0, remote: bool = True) -> TerminalDouble:
    command = [sys.executable, "-c", LAUNCH, json.dumps([entry for entry in sys.path if entry])]
    # As over ssh, detection is more patient: the machine that runs the tests may be busy.
    environment = {"TIREG_HOME": str(home)} | ({"SSH_TTY": "/dev/pts/9"} if remote else {})
    return TerminalDouble(command, brand, environment=environment, delay=delay)


def await_that(terminal: TerminalDouble, condition: object) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not condition():  # type: ignore[operator]
        terminal.pump(0.2)
    return bool(condition())  # type: ignore[operator]


@pytest.fixture
def gnome(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    with Registry.open(folder) as registry:
        add_version(registry, "gnome", 1, color="red")
    return folder


def expected(size: tuple[int, int]) -> Image.Image:
    return scaled(Image.open(io.BytesIO(picture("red"))), Box(1, 1, *size))


@pytest.mark.parametrize("brand", [double.KITTY, double.OLD_KITTY], ids=["placeholders", "direct"])
def test_kitty_gets_the_very_pixels_and_is_left_clean(gnome: Path, brand: Brand) -> None:
    with launched(gnome, brand) as terminal:
        assert await_that(terminal, lambda: any(c.get("a") == "p" for c in terminal.kitty_commands()))
        [(number, image)] = terminal.kitty_pictures().items()
        assert image.tobytes() == expected(image.size).tobytes()
        if brand.placeholders:
            assert await_that(terminal, lambda: "\U0010eeee".encode() in terminal.received)
        terminal.type("q")
        await_that(terminal, lambda: terminal.ended)
        last = [command for command in terminal.kitty_commands() if command.get("a") == "d"][-1]
        assert (last["d"], last["i"]) == ("I", str(number))
        assert terminal.close() == 0


def test_sixel_is_close_and_comes_back_after_a_dialog(gnome: Path) -> None:
    with launched(gnome, double.XTERM_SIXEL) as terminal:
        assert await_that(terminal, terminal.sixels)
        image = terminal.sixels()[0]
        assert difference(image, expected(image.size), blur=2.0) < 4.0
        count = len(terminal.sixels())
        terminal.type("D")  # a dialog lies over it
        assert await_that(terminal, lambda: b"Move to trash" in terminal.text())
        terminal.type("\x1b")
        assert await_that(terminal, lambda: len(terminal.sixels()) > count)
        terminal.resize(100, 30)
        changed = await_that(terminal, lambda: terminal.sixels()[-1].size != image.size)
        assert changed, [shown.size for shown in terminal.sixels()]
        terminal.type("q")
        await_that(terminal, lambda: terminal.ended)
        assert terminal.close() == 0


def test_late_answers_are_swallowed(gnome: Path) -> None:
    # The answers hold an i, which would hide the picture, and a D, which would ask to remove the word.
    brand = Brand(name=b"kitty(0.41.1) iDiDi", kitty=True, placeholders=True)
    with launched(gnome, brand, delay=4.0, remote=False) as terminal:
        assert await_that(terminal, lambda: b"1 word" in terminal.text())
        terminal.pump(5.0)
        start = len(terminal.received)
        terminal.resize(121, 41)
        assert await_that(terminal, lambda: b"base model" in terminal.text(start))
        assert b"Move to trash" not in terminal.text()
        terminal.type("q")
        await_that(terminal, lambda: terminal.ended)
        assert terminal.close() == 0
