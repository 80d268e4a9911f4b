"""Stopped and continued, by a shell or by anybody: the terminal is given back, then drawn whole again."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.terminal import double
from tests.terminal.double import TerminalDouble
from tests.terminal.running import LAUNCH, await_that, launched, one_word

CTRL_Z = "\x1a"


def shows_all(terminal: TerminalDouble) -> bool:
    return "<gnome>" in terminal.screen.text() and "q Quit" in terminal.screen.text() and bool(terminal.screen.shown())


def shell(folder: Path, brand: double.Brand) -> TerminalDouble:
    """An interactive shell whose registry is the folder's `home`, at its prompt."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    environment = {"TIREG_HOME": str(folder / "home"), "PS1": "shell> "}
    terminal = TerminalDouble([bash, "--norc", "--noprofile", "-i"], brand, environment=environment)
    assert terminal.pump(60, until=b"shell> ")
    return terminal


def is_at_prompt(terminal: TerminalDouble) -> bool:
    """Whether the shell has the terminal again: until then what is typed may still be the program's."""
    return not terminal.screen.in_alternate and terminal.screen.text().rstrip().endswith("shell>")


def start_of(folder: Path) -> str:
    """The line that starts the UI in a shell."""
    script = folder / "start.py"
    script.write_text(LAUNCH, encoding="utf-8")
    return shlex.join([sys.executable, str(script), json.dumps([path for path in sys.path if path])])


def test_a_job_of_a_shell(tmp_path: Path) -> None:
    one_word(tmp_path / "home")
    with shell(tmp_path, double.KITTY) as terminal:
        terminal.type(f"{start_of(tmp_path)}\r")
        assert await_that(terminal, lambda: shows_all(terminal))
        terminal.type(CTRL_Z)
        assert await_that(terminal, lambda: "Stopped" in terminal.screen.text())
        assert not terminal.screen.in_alternate
        assert not terminal.screen.shown()
        terminal.type("bg; echo typed\r")
        assert await_that(terminal, lambda: terminal.screen.text().count("typed") > 1)  # echoed, and done
        terminal.pump(1.5)
        assert not terminal.screen.in_alternate, "it took the terminal from the shell"
        terminal.type("fg\r")
        assert await_that(terminal, lambda: terminal.screen.in_alternate and shows_all(terminal))
        terminal.type("q")
        assert await_that(terminal, lambda: is_at_prompt(terminal)), terminal.screen.text()
        terminal.type("exit\r")
        assert terminal.wait(60) is not None, terminal.screen.text()


def test_begun_in_the_background_it_draws_once_it_is_in_front(tmp_path: Path) -> None:
    home = one_word(tmp_path / "home")
    with launched(home, double.PLAIN) as terminal:  # from now on its look is known, and painted early
        assert await_that(terminal, (home / "tui-look.json").is_file)
        terminal.type("q")
        assert terminal.wait(60) == 0
    with shell(tmp_path, double.PLAIN) as terminal:
        terminal.type(f"{start_of(tmp_path)} &\r")
        while "Stopped" not in terminal.screen.text():
            terminal.type("jobs\r")
            terminal.pump(0.5)
        assert b"\x1b[?1049h" not in terminal.received
        terminal.type("fg\r")
        assert await_that(terminal, lambda: "<gnome>" in terminal.screen.text() and "q Quit" in terminal.screen.text())
        terminal.type("q")
        assert await_that(terminal, lambda: is_at_prompt(terminal)), terminal.screen.text()
        terminal.type("exit\r")
        assert terminal.wait(60) is not None, terminal.screen.text()


@pytest.mark.parametrize("brand", [double.KITTY, double.XTERM_SIXEL, double.PLAIN], ids=["kitty", "sixel", "plain"])
def test_stopped_without_a_word_it_draws_everything_again(tmp_path: Path, brand: double.Brand) -> None:
    with launched(one_word(tmp_path / "home"), brand) as terminal:
        assert await_that(terminal, lambda: "q Quit" in terminal.screen.text())
        if brand is not double.PLAIN:
            assert await_that(terminal, terminal.screen.shown)
        seen = -1
        while seen != len(terminal.received):  # stopped amid a sequence, its rest would come later
            seen = len(terminal.received)
            terminal.pump(0.5)
        os.kill(terminal.pid, signal.SIGSTOP)
        terminal.receive(b"\x1b[2J\x1b[?1049l\x1b[?7h$ fg\r\n")  # what a shell does in between
        before = len(terminal.received)
        os.kill(terminal.pid, signal.SIGCONT)
        assert await_that(terminal, lambda: terminal.screen.in_alternate and "<gnome>" in terminal.screen.text())
        if brand is not double.PLAIN:
            assert await_that(terminal, terminal.screen.shown)
        assert b"\x1b[?7l" in terminal.received[before:]
        terminal.type("q")
        assert terminal.wait(60) == 0


def test_where_no_shell_could_continue_it_it_is_not_stopped(tmp_path: Path) -> None:
    with launched(one_word(tmp_path / "home"), double.KITTY) as terminal:
        assert await_that(terminal, lambda: shows_all(terminal))
        before = len(terminal.received)
        terminal.type(CTRL_Z)
        assert await_that(terminal, lambda: b"\x1b[?1049h" in terminal.received[before:])
        assert await_that(terminal, lambda: shows_all(terminal))
        terminal.type("q")
        assert terminal.wait(60) == 0


def test_stopped_and_continued_all_the_time(tmp_path: Path) -> None:
    # Python's own stream would lose the rest of a write that a stop has interrupted.
    unbuffered = {"PYTHONUNBUFFERED": "1"}
    with launched(one_word(tmp_path / "home"), double.PLAIN, environment=unbuffered) as terminal:
        while "q Quit" not in terminal.screen.text():
            terminal.pump(0.1)
            os.kill(terminal.pid, signal.SIGSTOP)
            terminal.pump(0.02)
            os.kill(terminal.pid, signal.SIGCONT)
        terminal.type("q")
        assert terminal.wait(60) == 0
        assert not terminal.screen.in_alternate
