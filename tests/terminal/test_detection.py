"""Detection on a pty: every brand, silence, late answers; nothing is left to be read as keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import pytest

from tests.terminal import double
from tests.terminal.double import Brand, TerminalDouble
from tiregistry.errors import InvalidConfig
from tiregistry.graphics.asking import patience
from tiregistry.graphics.detection import choose, detect
from tiregistry.graphics.queries import Answers

# Detects, then listens for a moment to what would have become keys.
PROBE = """
import json, os, select, sys, termios, time, tty
sys.path[:0] = json.loads(sys.argv[1])
from tiregistry.graphics.detection import detect
before = time.monotonic()
found = detect(seconds=float(sys.argv[3]) if len(sys.argv) > 3 else None)
seconds = time.monotonic() - before
print("ready", flush=True)
tty.setraw(0, termios.TCSANOW)
keys = b""
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    if select.select([0], [], [], 0.05)[0]:
        keys += os.read(0, 4096)
result = [found.protocol, found.name, list(found.cell), found.answered, seconds, keys.decode()]
print("RESULT" + json.dumps(result) + "END")
"""


def probe(
    brand: Brand, environment: Mapping[str, str] | None = None, delay: float = 0.0, listen: float = 0.3
) -> tuple[str, str, list[int], bool, float, str]:
    """Run detection under a brand; protocol, name, cell, whether it was answered, seconds, keys left over."""
    command = [sys.executable, "-c", PROBE, json.dumps([p for p in sys.path if p]), str(listen)]
    if brand.attributes:
        command.append("60")  # a terminal that answers may take its time on a busy machine
    with TerminalDouble(command, brand, environment=environment or {}, delay=delay) as terminal:
        terminal.pump(120, until=b"END")
        text = terminal.text().decode()
    result = json.loads(text[text.index("RESULT") + 6 : text.index("END")])
    return tuple(result)


TYPED_AHEAD = PROBE.replace("before = ", "os.read(0, 3)\nbefore = ", 1)


@pytest.mark.parametrize(
    ("name", "wish", "protocol"),
    [
        ("xterm-kitty", "", "kitty"),
        ("xterm-256color", "", "halfblocks"),
        ("xterm-256color", "sixel", "sixel"),
    ],
)
def test_what_was_typed_for_the_next_program_stays(name: str, wish: str, protocol: str) -> None:
    command = [sys.executable, "-c", TYPED_AHEAD, json.dumps([p for p in sys.path if p]), "0.3"]
    environment = {"TERM": name} | ({"TIREG_IMAGES": wish} if wish else {})
    with TerminalDouble(command, double.KITTY, environment=environment) as terminal:
        terminal.type("go\necho SAFE rm")  # the line is not whole yet
        terminal.pump(120, until=b"END")
        text = terminal.text().decode()
        assert b"\x1b[c" not in terminal.received
    result = json.loads(text[text.index("RESULT") + 6 : text.index("END")])
    assert (result[0], result[-1]) == (protocol, "echo SAFE rm")


@pytest.mark.parametrize(
    ("brand", "protocol"),
    [
        (double.KITTY, "kitty"),
        (double.OLD_KITTY, "kitty-direct"),
        (double.XTERM_SIXEL, "sixel"),
        (double.KONSOLE, "sixel"),
        (double.PLAIN, "halfblocks"),
        (double.MUTE, "halfblocks"),
    ],
)
def test_each_brand(brand: Brand, protocol: str) -> None:
    chosen, name, cell, answered, seconds, keys = probe(brand)
    assert chosen == protocol
    assert name.encode() == brand.name
    assert cell == [9, 18]
    assert answered is (brand is not double.MUTE)
    assert seconds < 30  # a busy machine may take its time, but silence is not waited out
    assert keys == ""


def test_answers_over_a_slow_line_are_awaited() -> None:
    assert patience({"SSH_TTY": "/dev/pts/9"}) > patience({})
    chosen, _, _, answered, _, keys = probe(double.KITTY, delay=0.5)
    assert (chosen, answered, keys) == ("kitty", True, "")


def test_a_wish_without_pixels_asks_nothing() -> None:
    command = [sys.executable, "-c", PROBE, json.dumps([p for p in sys.path if p]), "0.1"]
    with TerminalDouble(command, double.KITTY, environment={"TIREG_IMAGES": "halfblocks"}) as terminal:
        terminal.pump(120, until=b"END")
        assert b"\x1b[>0q" not in terminal.received
        assert b'"halfblocks"' in terminal.text()


def test_no_color_means_characters() -> None:
    assert probe(double.KITTY, {"NO_COLOR": "1"})[0] == "ascii"


def test_a_wish_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIREG_IMAGES", "sixel")
    assert detect("off").protocol == "off"
    assert detect("half-blocks").protocol == "halfblocks"
    with pytest.raises(InvalidConfig, match="--images"):
        detect("jpeg")


def test_settings_are_the_last_wish(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    (tmp_path / "settings.toml").write_text('images = "ascii"\n')
    monkeypatch.setenv("TIREG_HOME", str(tmp_path))
    monkeypatch.delenv("TIREG_IMAGES", raising=False)
    assert detect().protocol == "ascii"
    monkeypatch.setenv("TIREG_IMAGES", "off")
    assert detect().protocol == "off"


def answers(
    name: str, *, sixel: bool = False, kitty: bool = False, placeholders: bool = False, seen: int = 1
) -> Answers:
    return Answers(name, sixel, kitty, placeholders, None, seen)


@pytest.mark.parametrize(
    ("here", "outer", "protocol"),
    [
        # tmux announces sixel although kitty outside cannot draw it.
        (answers("tmux 3.5a", sixel=True), answers("kitty(0.41.1)", kitty=True, placeholders=True), "kitty"),
        (answers("tmux 3.5a", sixel=True), answers("kitty(0.41.1)", seen=0), "halfblocks"),
        (answers("tmux 3.5a", sixel=True), answers("XTerm(398)", sixel=True), "sixel"),
        (answers("tmux 3.5a", sixel=True), answers("XTerm(398)", seen=0), "sixel"),
        (answers("tmux 3.3a"), answers("kitty(0.26.5)", kitty=True), "halfblocks"),
        (answers("tmux 3.3a"), answers("", seen=0), "halfblocks"),
        (answers("ghostty 1.1.0", kitty=True), None, "kitty"),
        (answers("WezTerm 2024", kitty=True, placeholders=True, sixel=True), None, "sixel"),
        (answers("foot(1.13.1)", sixel=True), None, "sixel"),
    ],
)
def test_choice(here: Answers, outer: Answers | None, protocol: str) -> None:
    assert choose(here, outer, True)[0] == protocol


def test_answers_may_come_in_pieces() -> None:
    found = Answers()
    stream = b"\x1bP>|kitty(0.41.1)\x1b\\\x1b_Gi=32;OK\x1b\\\x1b_Gi=31;OK\x1b\\\x1b[6;18;9t\x1b[?62;4c"
    for index in range(len(stream)):
        found.read(stream[index : index + 1])
    assert found == Answers("kitty(0.41.1)", True, True, True, (9, 18), 1)
    assert (found.brand, found.version) == ("kitty", (0, 41, 1))
