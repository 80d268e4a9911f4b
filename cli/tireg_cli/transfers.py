"""What a push or pull shows on stderr while it works: a bar on a terminal, and how long a rate limit still lasts."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

import click

from tireg_cli.messages import say
from tiregistry.text import safe

_WIDTH = 20


class TransferProgress:
    """A line that is written over: bar, step, what is being done. Nothing is shown where stderr is no terminal."""

    def __init__(self) -> None:
        self._shown = False
        self._said_waiting = False
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def __call__(self, what: str, done: int, total: int) -> None:
        """One step; fits the callbacks of `tiregistry.hub`."""
        if not self._live:
            return
        filled = _WIDTH * done // max(1, total)
        self._write(f"{'█' * filled}{'░' * (_WIDTH - filled)} {safe(what, limit=60)}")

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
        click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        self._shown = True
