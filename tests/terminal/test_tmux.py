"""The UI in a real tmux that nobody is attached to: text, half blocks, resizing, and an end with its window."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal.running import LAUNCH, PATIENCE, one_word

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


class Tmux:
    """A tmux server of its own with one window."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self._base = ["tmux", "-S", str(folder / "socket"), "-f", os.devnull]
        self._environment = environment
        self("new-session", "-d", "-x", "100", "-y", "30", f"exec {shlex.join(command)}")

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._base, *arguments], env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        return done.stdout

    @property
    def text(self) -> str:
        return self("capture-pane", "-p")

    def until(self, condition: Callable[[str], bool]) -> str:
        """Wait until the window shows something."""
        end = time.monotonic() + PATIENCE
        while not condition(text := self.text):
            assert time.monotonic() < end, text
            time.sleep(0.2)
        return text


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    unwanted = ("TMUX", "NO_COLOR", "TIREG_IMAGES")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= {"TIREG_HOME": str(one_word(tmp_path / "home")), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    environment |= {"COLUMNS": "80", "LINES": "24"}  # some shells export them; they do not follow the window
    path = json.dumps([entry for entry in sys.path if entry])
    with tempfile.TemporaryDirectory() as folder:  # a socket's path may not be long
        server = Tmux(Path(folder), [sys.executable, "-c", LAUNCH, path], environment)
        yield server
        server("kill-server")


def test_a_window_of_tmux(tmux: Tmux) -> None:
    text = tmux.until(lambda text: "<gnome>" in text and "▀" in text)
    assert "type to filter" in text  # no answer of the terminal was typed into it
    tmux("send-keys", "3")
    tmux.until(lambda text: "Ctrl+G" in text)
    for width, height in ((1, 1), (200, 50), (30, 8)):
        tmux("resize-window", "-x", str(width), "-y", str(height))
    # So little room is left to the prompt itself, without its label.
    tmux.until(lambda text: "a photo of" in text and len(text.splitlines()) == 8)
    pid = int(tmux("list-panes", "-F", "#{pane_pid}"))
    tmux("kill-window")
    end = time.monotonic() + PATIENCE
    while is_alive(pid):
        assert time.monotonic() < end
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
