"""What a push or pull shows on stderr while it works: a bar on a terminal, and how long a rate limit still lasts."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Self

import click

from tireg_cli.messages import say, warn
from tireg_cli.output import fit
from tiregistry.hub.transport import seconds_problem
from tiregistry.text import safe

_WIDTH = 20


class TransferProgress:
    """A line that is written over: bar, step, what is being done.

    Where lines cannot be written over (a pipe, a dumb terminal) only a rate limit is told, once.
    """

    def __init__(self) -> None:
        self._shown = False
        self._said_waiting = False
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        if problem := seconds_problem():
            warn(problem)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def __call__(self, what: str, done: int, total: int) -> None:
        """One step; fits the callbacks of `tiregistry.hub`."""
        if not self._live:
            return
        width = min(_WIDTH, max(4, _columns() // 4))
        filled = width * done // max(1, total)
        self._write(f"{'█' * filled}{'░' * (width - filled)} {safe(what, limit=60)}")

    def waiting(self, seconds: float) -> None:
        """A rate limit is being waited out."""
        if self._live:
            self._write(f"the Hub's rate limit: going on in {seconds:.0f} s")
        elif not self._said_waiting:
            self._said_waiting = True
            say(f"the Hub's rate limit: going on in {seconds:.0f} s")

    def clear(self) -> None:
        """Take the line away, so that what follows stands on a line of its own."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._shown = False

    def _write(self, line: str) -> None:
        click.echo(f"\r\x1b[K{fit(line, _columns() - 1)}", err=True, nl=False)
        self._shown = True


def _columns() -> int:
    """Cells of the terminal that stderr is."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
