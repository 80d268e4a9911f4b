"""stderr: progress, hints and errors; the one place where an exception becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from tireg_cli.terminal import is_live
from tiregistry.errors import FULL_DISK, Conflict, ExitCode, Interrupted, TiregError, interruption_in
from tiregistry.text import safe


def color_allowed(stream: object) -> bool:
    """Whether `stream` is a terminal that may get colour (`NO_COLOR`, `TERM=dumb` and pipes say no)."""
    return is_live(stream) and not os.environ.get("NO_COLOR")


class Talk:
    """stderr, for which it is no error that nobody hears: `2>&1 | head`, a terminal that is gone, a full disk."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _to_stderr(line: str) -> None:
    with suppress(OSError):
        click.echo(line, err=True)


_write: Callable[[str], None] = _to_stderr


@contextmanager
def lines_through(write: Callable[[str], None]) -> Iterator[None]:
    """Within the block talk is written by `write`, because something live is being drawn on the terminal."""
    global _write
    before, _write = _write, write
    try:
        yield
    finally:
        _write = before


def say(text: str) -> None:
    """One line of talk on stderr; never part of the data."""
    _write(safe(text, limit=4000))


def hint(text: str) -> None:
    """A next step, dimmed where the terminal can."""
    line = safe(text, limit=4000)
    _write(click.style(line, dim=True) if color_allowed(sys.stderr) else line)


def warn(text: str) -> None:
    """Something the user should know but that does not stop the work."""
    label = click.style("warning:", fg="yellow") if color_allowed(sys.stderr) else "warning:"
    _write(f"{label} {safe(text, limit=4000)}")


def fail(error: BaseException) -> int:
    """Show `error` on stderr and return the exit code.

    One line; a conflict of which both sides are known has one more for each. `TIREG_DEBUG=1` adds the traceback.
    """
    if not isinstance(error, Interrupted):
        error = interruption_in(error) or error
    if isinstance(error, SystemExit):
        return int(error.code or 0)
    if os.environ.get("TIREG_DEBUG") == "1":
        trace = "".join(traceback.format_exception(error))
        click.echo(safe(trace, limit=100_000, multiline=True), err=True, nl=False)
    label = click.style("tireg:", fg="red", bold=True) if color_allowed(sys.stderr) else "tireg:"
    if isinstance(error, TiregError):
        sides = (error.theirs, error.ours) if isinstance(error, Conflict) else ("", "")
        message = error.summary if isinstance(error, Conflict) and all(sides) else error.message
        line = safe(message, limit=1500) + (f" · {safe(error.hint, limit=500)}" if error.hint else "")
        if all(sides):
            line += "".join(
                f"\n  {where} {safe(side, limit=700)}" for where, side in zip(("there:", "here: "), sides, strict=True)
            )
        code = int(error.exit_code)
    elif isinstance(error, KeyboardInterrupt):
        line, code = "interrupted", int(ExitCode.INTERRUPTED)
    elif isinstance(error, MemoryError):
        line, code = "there is too little memory · close other programs, or ask for less at once", int(ExitCode.FAILED)
    elif isinstance(error, OSError) and error.errno in FULL_DISK:
        where = f" at {safe(error.filename)}" if error.filename else ""
        line, code = f"no space left on the disk{where}; nothing was lost · free some space and try again", 1
    elif isinstance(error, OSError):
        where = f"{safe(error.filename)}: " if error.filename else ""
        line, code = f"{where}{safe(error.strerror or error)}", int(ExitCode.FAILED)
    else:
        line = f"unexpected {type(error).__name__}: {safe(error, limit=500)} · TIREG_DEBUG=1 shows where it happened"
        code = int(ExitCode.FAILED)
    _to_stderr(f"{label} {line}")
    return code
