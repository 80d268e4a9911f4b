"""Terminals of 256, of 16 and of no colours: what the TUI sends them, and what can be told apart there."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.color import EIGHT_BIT_PALETTE
from rich.color_triplet import ColorTriplet

from tests.terminal import double
from tests.terminal.double import TerminalDouble
from tests.terminal.running import await_that, launched, one_word
from tireg_tui.terminal.fewer_colors import nearest_256
from tiregistry.graphics.terminal import colors_of
from tiregistry.graphics.terminfo import colors_in_terminfo

_SGR = re.compile(rb"\x1b\[([\d;]*)m")
_COLOR = re.compile(r"(?:^|;)(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?=;|$)")


def opened(home: Path, environment: Mapping[str, str], mark: str) -> TerminalDouble:
    """The library, once the facts of its word are there, too."""
    terminal = launched(home, double.PLAIN, environment={"COLORTERM": ""} | dict(environment))
    assert await_that(terminal, lambda: mark in terminal.screen.text() and "origin" in terminal.screen.text())
    return terminal


def colors_sent(terminal: TerminalDouble) -> set[str]:
    """The parameters of every SGR sequence that sets a colour."""
    sent = {match.decode() for match in _SGR.findall(terminal.received)}
    return {parameters for parameters in sent if _COLOR.search(parameters)}


def background_of(terminal: TerminalDouble, word: str) -> ColorTriplet:
    """The colour behind a word in the table, of 256."""
    y = next(y for y, line in enumerate(terminal.screen.text().splitlines()) if word in line)
    kind, number = terminal.screen.looks()[y][4][2].split(";")
    assert kind == "5"
    return ColorTriplet(*EIGHT_BIT_PALETTE[int(number)])


def apart(one: ColorTriplet, other: ColorTriplet) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_of_256_colours_the_focused_row_is_the_strong_one(theme: str, tmp_path: Path) -> None:
    home = one_word(tmp_path / "home")
    (home / "settings.toml").write_text(f'theme = "{theme}"\nimages = "off"\n')
    with opened(home, {"TERM": "xterm-256color"}, "<gnome>") as terminal:
        focused = background_of(terminal, "<gnome>")
        plain = background_of(terminal, "1 word")
        terminal.type("/")
        assert await_that(terminal, lambda: background_of(terminal, "<gnome>") != focused)
        unfocused = background_of(terminal, "<gnome>")
        colors = terminal.screen.colors()
    assert apart(focused, plain) > 1.5 * apart(unfocused, plain)
    assert max(focused) > min(focused), "the focus is in colour"
    assert max(unfocused) == min(unfocused), "nothing else is"
    assert all(color.startswith("5;") and int(color[2:]) >= 16 for color in colors)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["dark", "light", "nord"])
def test_of_16_colours_the_terminal_s_own_are_taken(theme: str, tmp_path: Path) -> None:
    home = one_word(tmp_path / "home")
    (home / "settings.toml").write_text(f'theme = "{theme}"\nimages = "off"\n')
    with opened(home, {"TERM": "xterm"}, "<gnome>") as terminal:
        sent = colors_sent(terminal)
    backgrounds = {code for parameters in sent for code in re.findall(r"(?<!\d)(?:4\d|10[0-7])(?!\d)", parameters)}
    assert backgrounds == {"44", "49"}, "the cursor's, and the terminal's own"
    assert not any("38;" in parameters or "48;" in parameters for parameters in sent)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vt220", "xterm-mono"])
def test_a_terminal_without_colour_is_sent_none(name: str, tmp_path: Path) -> None:
    if colors_in_terminfo({"TERM": name}) is None:
        pytest.skip(f"terminfo here does not know {name}")
    with opened(one_word(tmp_path / "home"), {"TERM": name}, "<gnome>") as terminal:
        assert await_that(terminal, lambda: ":::" in terminal.screen.text()), "the picture is drawn in characters"
        assert colors_sent(terminal) == set()
        assert "▀" not in terminal.screen.text()


def entry(colors: int | None, *, extended: bool) -> bytes:
    """A compiled terminfo entry, as term(5) has it, with `colors` as its last number."""
    names, booleans = b"odd|a terminal\0", b"\0\1\0\1"
    numbers = [80] * 13 + ([colors] if colors is not None else [])
    magic, kind = (0o1036, "i") if extended else (0o432, "h")
    header = struct.pack("<6h", magic, len(names), len(booleans), len(numbers), 0, 0)
    filler = b"\0" * ((len(header) + len(names) + len(booleans)) % 2)
    return header + names + booleans + filler + struct.pack(f"<{len(numbers)}{kind}", *numbers)


@pytest.mark.parametrize(
    ("colors", "extended", "expected"),
    [(8, False, "256"), (256, False, "256"), (None, False, "none"), (-1, False, "none"), (1 << 24, True, "256")],
)
def test_terminfo_says_whether_there_is_colour(
    colors: int | None, extended: bool, expected: str, tmp_path: Path
) -> None:
    environment = {"TERM": "odd", "TERMINFO": str(tmp_path)}
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "odd").write_bytes(entry(colors, extended=extended))
    assert colors_in_terminfo(environment) == max(0, colors or 0)
    assert colors_of(environment) == expected
    assert colors_of(environment | {"COLORTERM": "truecolor"}) == "truecolor"


@pytest.mark.parametrize("data", [b"", b"\x1a\x01", entry(8, extended=False)[:-1], b"\x1f\x8b" + b"x" * 60])
def test_what_is_no_entry_says_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "6f").mkdir()  # as macOS names the folder of o
    (tmp_path / "6f" / "odd").write_bytes(data)
    environment = {"TERM": "odd", "TERMINFO": str(tmp_path)}
    assert colors_in_terminfo(environment) is None
    assert colors_of(environment) == "256"
    assert colors_in_terminfo({"TERM": "../6f/odd", "TERMINFO": str(tmp_path)}) is None


def test_the_nearest_of_256_is_grey_for_what_is_nearly_grey() -> None:
    for quiet in ("#222831", "#1a1e25", "#31465c", "#d5d2cb"):
        triplet = ColorTriplet(*bytes.fromhex(quiet[1:]))
        number = nearest_256(triplet).number or 0
        assert number >= 232, f"{quiet} became {number}"
    for number in range(16, 256):
        found = nearest_256(ColorTriplet(*EIGHT_BIT_PALETTE[number])).number or 0
        assert EIGHT_BIT_PALETTE[found] == EIGHT_BIT_PALETTE[number]
