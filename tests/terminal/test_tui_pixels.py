"""Every screen of the TUI on a terminal double: the pixels on the screen are the picture's, and go when they should."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.terminal import double
from tests.terminal.double import Brand, TerminalDouble
from tests.terminal.running import (
    a_picture_for_every_screen,
    await_that,
    expected,
    launched,
    one_word,
    out_of_the_field,
)
from tests.terminal.test_encoders import difference
from tireg_tui.places import PLACES
from tiregistry.graphics.fitting import Box, scaled
from tiregistry.graphics.testcard import make_testcard

BRANDS = pytest.mark.parametrize(
    "brand", [double.KITTY, double.OLD_KITTY, double.XTERM_SIXEL], ids=["placeholders", "direct", "sixel"]
)


def showing(terminal: TerminalDouble, *sources: Image.Image | str) -> bool:
    """Whether the screen shows these pictures whole, from left to right, and no other."""
    shown = terminal.screen.shown()
    if len(shown) != len(sources) or not all(picture.whole for picture in shown):
        return False
    for picture, source in zip(shown, sources, strict=True):
        size = picture.image.size
        wanted = expected(source, size) if isinstance(source, str) else scaled(source, Box(1, 1, *size))
        if terminal.brand.kitty and wanted.tobytes() != picture.image.tobytes():
            return False
        if not terminal.brand.kitty and difference(wanted, picture.image, blur=2.0) > 4.0:
            return False
    return True


def digit(place: str) -> str:
    """The key that leads to a place."""
    return next(known.digit for known in PLACES if known.id == place)


def leave(terminal: TerminalDouble) -> int:
    """Quit, and the exit status."""
    terminal.type("q")
    await_that(terminal, lambda: terminal.ended)
    return terminal.close()


@BRANDS
def test_every_screen_shows_its_pictures(tmp_path: Path, brand: Brand) -> None:
    home = a_picture_for_every_screen(tmp_path / "home")
    with launched(home, brand) as terminal:

        def expect(text: str, *sources: Image.Image | str) -> None:
            """Wait for a screen with this text and these pictures."""
            done = await_that(terminal, lambda: text in terminal.screen.text() and showing(terminal, *sources))
            where = [(p.x, p.y, p.columns, p.rows, p.whole) for p in terminal.screen.shown()]
            assert done, f"{text!r} with {sources}; there are {where} on\n{terminal.screen.text()}"

        expect("1 word", "lime")
        terminal.type("D")  # nothing lies over a dialog
        expect("Move to trash")
        terminal.type("\x1b")
        expect("1 word", "lime")
        terminal.type("\r")
        expect("Learned from", "lime")
        terminal.type("n")
        expect("mirror")
        terminal.type(f"{tmp_path / 'photos'}")
        expect("1 picture", "yellow")
        terminal.type("\x1b")
        expect("Learned from", "lime")
        terminal.type(digit("runs"))
        expect("30/60", "blue")
        terminal.type(digit("compose"))
        expect("negative", "lime")
        terminal.type("\x1b")
        assert await_that(terminal, lambda: out_of_the_field(terminal))
        terminal.type(digit("doctor"))
        expect("circle round", make_testcard(512, 320))
        terminal.type(digit("library"))
        expect("Learned from", "lime")
        terminal.type("\x1b")
        expect("1 word", "lime")
        kept = set(terminal.screen.pictures)
        assert leave(terminal) == 0
        assert kept <= terminal.screen.deleted


@pytest.fixture
def gnome(tmp_path: Path) -> Iterator[Path]:
    return one_word(tmp_path / "home")


@BRANDS
def test_toasts_storms_and_other_fonts(gnome: Path, brand: Brand) -> None:
    with launched(gnome, brand, size=(90, 20)) as terminal:
        assert await_that(terminal, lambda: showing(terminal, "red"))
        before = terminal.screen.shown()[0]
        terminal.type("u")  # a message comes up over the picture's corner, or not; it goes again
        assert await_that(terminal, lambda: "Nothing was removed" in terminal.screen.text())
        for columns, rows in [(20, 5), (1, 1), (200, 60), (80, 24), (3, 50), (150, 8), (90, 20), (130, 44)]:
            terminal.resize(columns, rows)
            terminal.pump(0.05)
        assert await_that(terminal, lambda: showing(terminal, "red") and terminal.screen.shown()[0].rows > before.rows)
        terminal.resize(130, 44, cell=(14, 28))

        def is_zoomed() -> bool:
            if not showing(terminal, "red"):
                return False
            [zoomed] = terminal.screen.shown()
            return (zoomed.columns - 1) * 14 < zoomed.image.width <= zoomed.columns * 14

        assert await_that(terminal, is_zoomed), terminal.screen.shown()
        assert leave(terminal) == 0


# An app whose key u fails in a way that nobody foresaw.
CRASHING = """
import sys
from tireg_tui.app import TiregApp
from tireg_tui.launch import run
TiregApp.action_undo = lambda self: 1 / 0
sys.exit(run())
"""


@pytest.mark.parametrize("brand", [double.KITTY, double.OLD_KITTY], ids=["placeholders", "direct"])
@pytest.mark.parametrize("how", ["crash", "TERM"])
def test_no_picture_stays_in_the_terminal(gnome: Path, brand: Brand, how: str) -> None:
    with launched(gnome, brand, code=CRASHING) as terminal:
        assert await_that(terminal, lambda: showing(terminal, "red"))
        [number] = terminal.screen.pictures
        if how == "crash":
            terminal.type("u")
            await_that(terminal, lambda: terminal.ended)
        status = terminal.close()
        assert status == (1 if how == "crash" else 128 + 15)
        assert number in terminal.screen.deleted
        assert not terminal.screen.in_alternate
        # While its screen is still there: kitty keeps the pictures of each screen apart.
        assert terminal.received.index(b"a=d,d=I") < terminal.received.rindex(b"\x1b[?1049l")


def test_pictures_come_back_after_an_editor(gnome: Path) -> None:
    with launched(gnome, double.KITTY, environment={"EDITOR": "true"}) as terminal:
        assert await_that(terminal, lambda: showing(terminal, "red"))
        terminal.type("\r")
        assert await_that(terminal, lambda: "Learned from" in terminal.screen.text() and showing(terminal, "red"))
        start = len(terminal.received)
        terminal.type("E")
        assert await_that(terminal, lambda: b"\x1b[?1049h" in terminal.received[start:])
        assert await_that(terminal, lambda: showing(terminal, "red"))
        assert leave(terminal) == 0


# An app that no hang-up reaches, as when it was ignored before the app began.
DEAF = """
import signal, sys
from tireg_tui import launch
launch._ENDINGS.remove(signal.SIGHUP)
sys.exit(launch.run())
"""


@pytest.mark.parametrize("moment", ["at the start", "while it is used"])
def test_a_window_that_is_closed_ends_the_app(gnome: Path, moment: str) -> None:
    with launched(gnome, double.KITTY, code=DEAF, ignores_hangups=True) as terminal:
        if moment == "at the start":
            assert await_that(terminal, lambda: b"\x1b[c" in terminal.received)
        else:
            assert await_that(terminal, lambda: "1 word" in terminal.screen.text())
        terminal.hang_up()
        assert terminal.wait(60) == 129


# What `tireg` without a command does.
BARE = """
import sys
from tireg_cli.main import run
sys.exit(run([]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_bare_command_ends_with_the_exit_code_of_the_app(gnome: Path, number: signal.Signals) -> None:
    with launched(gnome, double.KITTY, code=BARE) as terminal:
        assert await_that(terminal, lambda: "1 word" in terminal.screen.text())
        os.kill(terminal.pid, number)
        assert terminal.wait(60) == 128 + number


@pytest.mark.parametrize(
    ("brand", "environment", "protocol"),
    [
        (double.KITTY, {}, "kitty"),
        (double.KITTY, {"COLORTERM": ""}, "kitty-direct"),
        (double.OLD_KITTY, {}, "kitty-direct"),
        (double.XTERM_SIXEL, {}, "sixel"),
    ],
    ids=["placeholders", "too few colours for placeholders", "direct", "sixel"],
)
def test_late_answers_are_believed_and_are_no_keys(
    gnome: Path, brand: Brand, environment: dict[str, str], protocol: str
) -> None:
    # The answers hold an i, which would hide the picture, and a D, which would ask to remove the word.
    brand = replace(brand, name=brand.name + b" iDiDi")
    with launched(gnome, brand, patience=0.05, delay=1.5, environment=environment, size=(200, 40)) as terminal:
        assert await_that(terminal, lambda: f"pictures: {protocol}" in terminal.screen.text())
        assert await_that(terminal, lambda: showing(terminal, "red"))
        terminal.send(b"\x1b]11;rgb:DDDD/iiii/DDDD\x1b\\\xff\xfe\x1bP1$rD\x1b\\\x1b[>41;379;0c")
        terminal.type(digit("doctor"))
        assert await_that(terminal, lambda: "the terminal answered late" in terminal.screen.text())
        assert await_that(terminal, lambda: showing(terminal, make_testcard(512, 320)))
        terminal.type(digit("library"))
        assert await_that(terminal, lambda: showing(terminal, "red"))
        assert "Move to trash" not in terminal.screen.text()
        assert leave(terminal) == 0


@pytest.mark.parametrize(
    ("environment", "colors", "pictures"),
    [
        (
            {"TIREG_IMAGES": "kitty", "NO_COLOR": "1"},
            r"",
            1,
        ),
        ({"TIREG_IMAGES": "kitty", "COLORTERM": ""}, r"2;.*", 1),
        ({"COLORTERM": "", "TIREG_IMAGES": "halfblocks"}, r"5;\d+", 0),
        ({"NO_COLOR": "1"}, r"", 0),
    ],
    ids=["kitty without colour", "kitty in 256 colours", "half blocks in 256 colours", "characters without colour"],
)
def test_fewer_colours(gnome: Path, environment: dict[str, str], colors: str, pictures: int) -> None:
    with launched(gnome, double.KITTY, environment=environment) as terminal:
        if pictures:
            assert await_that(terminal, lambda: showing(terminal, "red"))
        else:
            mark = "▀" if "NO_COLOR" not in environment else "@"
            assert await_that(terminal, lambda: mark in terminal.screen.text())
        seen = terminal.screen.colors()
        assert all(re.fullmatch(colors, color) for color in seen), seen
