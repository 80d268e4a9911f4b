"""Asking the terminal on `/dev/tty`: in raw mode, within a bounded time, leaving nothing behind to be read as keys."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from tiregistry.graphics import queries, tmux
from tiregistry.graphics.foreground import is_in_front
from tiregistry.graphics.queries import Answers

LOCAL_SECONDS = 0.5
REMOTE_SECONDS = 1.0
"""Longest wait for the answers, on this machine and over ssh."""
_QUIET_SECONDS = 0.05


def patience(environment: Mapping[str, str]) -> float:
    """How long to wait for answers."""
    remote = environment.get("SSH_TTY") or environment.get("SSH_CONNECTION")
    return REMOTE_SECONDS if remote else LOCAL_SECONDS


def ask(environment: Mapping[str, str], seconds: float) -> tuple[Answers, Answers | None, bool]:
    """Put all questions at once and collect the answers.

    Returns:
        The answers, those of the terminal outside tmux (None when there is no tmux), and whether the terminal (or
        tmux) has said all. Where the process has no terminal, or is in its background, nothing is asked.
    """
    here, outer = Answers(), Answers() if tmux.inside(environment) else None
    with _raw_terminal() as terminal:
        if terminal is None:
            return here, outer, True
        deadline = time.monotonic() + seconds
        kitty = queries.KITTY_PLACEHOLDERS + queries.KITTY
        if outer is None:
            _dialogue(terminal, queries.WHO_ARE_YOU + kitty + queries.CELL_SIZE + queries.ATTRIBUTES, here, deadline)
        else:
            _dialogue(terminal, queries.WHO_ARE_YOU + queries.CELL_SIZE + queries.ATTRIBUTES, here, deadline)
            if here.attributes_seen:  # or what tmux says would be taken for what the outer one says
                wrapped = tmux.passthrough(queries.WHO_ARE_YOU + kitty + queries.ATTRIBUTES)
                # Where tmux does not pass it on nobody answers, which is an answer too.
                _dialogue(terminal, wrapped, outer, deadline)
        _drain(terminal, outer if outer is not None and here.attributes_seen else here)
        return here, outer, here.attributes_seen > 0


def keys_wait() -> bool:
    """Whether something was typed that nobody has read yet; it stays where it is."""
    with _raw_terminal() as terminal:  # else only whole lines could be seen
        return terminal is not None and bool(select.select([terminal], [], [], 0)[0])


@contextmanager
def _raw_terminal() -> Iterator[int | None]:
    """The controlling terminal in raw mode, or None where there is none to talk to."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield None
        return
    try:
        handle = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        before = None
        with suppress(OSError, termios.error):
            # Changing the terminal's mode from the background would stop the process.
            if is_in_front(handle):
                before = termios.tcgetattr(handle)
                tty.setraw(handle, termios.TCSANOW)
        if before is None:
            yield None
            return
        try:
            yield handle
        finally:
            with suppress(termios.error):  # its window may have been closed
                termios.tcsetattr(handle, termios.TCSANOW, before)
    finally:
        os.close(handle)


def _dialogue(terminal: int, question: str, answers: Answers, deadline: float) -> None:
    """Send a question that ends in DA1 and read until its answer, or until the time is over or the terminal gone."""
    with suppress(OSError):
        os.write(terminal, question.encode())
        while not answers.attributes_seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                return
            data = os.read(terminal, 65536)
            if not data:
                return
            answers.read(data)


def _drain(terminal: int, answers: Answers) -> None:
    """Take what else arrives, until the line is quiet for a moment."""
    until = time.monotonic() + 5 * _QUIET_SECONDS
    with suppress(OSError):
        while time.monotonic() < until and select.select([terminal], [], [], _QUIET_SECONDS)[0]:
            data = os.read(terminal, 65536)
            if not data:
                return
            answers.read(data)


def cell_size() -> tuple[int, int] | None:
    """Width and height of a cell in pixels, from the kernel (no question, so safe at any time); None when unknown."""
    try:
        import fcntl
        import struct
        import termios
    except ImportError:
        return None
    for stream in (sys.__stderr__, sys.__stdout__, sys.__stdin__):
        try:
            if stream is None:
                continue
            packed = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        except (OSError, ValueError):
            continue
        rows, columns, width, height = struct.unpack("HHHH", packed)
        if rows and columns and width >= columns and height >= rows:
            return width // columns, height // rows
    return None
