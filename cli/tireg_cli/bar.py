"""A progress bar on stderr for work that counts things; silent, or told in lines, where stderr is no terminal."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self

from tireg_cli.messages import Talk, color_allowed


class CountingBar:
    """Shows `label ████░░ 1,200/5,000 · 3 s left`; call it with done, total and what is counted.

    A total of 0 is work that cannot be counted. On a narrow terminal the bar gives way to the numbers.

    Args:
        lines_every: seconds between plain lines where stderr is no terminal; 0: none.
    """

    def __init__(self, label: str, lines_every: float = 0) -> None:
        self._label = label
        self._lines_every = lines_every
        self._next = 0.0
        self._began: dict[str, float] = {}
        self._shown = False
        self._widest = 0
        self._live = sys.stderr.isatty()
        self._talk = Talk()

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        began = self._began.setdefault(what, now)
        if now < self._next or not (self._live or self._lines_every):
            return
        if not self._live:
            # Work that ends soon needs no line.
            if self._next:
                self._talk.write(f"{self._label} {what} {done:,}/{total:,}\n")
                self._talk.flush()
            self._next = now + self._lines_every
            return
        self._next = now + 0.1
        room = shutil.get_terminal_size((80, 24)).columns - 1  # a line that wraps could not be drawn over
        share = done / total if total else 0.0
        left = (now - began) * (1 - share) / share if share else 0.0
        bar = "█" * int(share * 24) + "░" * (24 - int(share * 24))
        line = f"{self._label} {what} {bar} {done:,}/{total:,}" + (f" · {left:.0f} s left" if left >= 1 else "")
        if not total:
            line = f"{self._label} {what} …"
        elif len(line) > room:
            line = f"{what} {done:,}/{total:,}"
        line = line[:room]
        self._widest = max(self._widest, len(line))
        dim, plain = ("\x1b[2m", "\x1b[0m") if color_allowed(sys.stderr) else ("", "")
        self._talk.write(f"\r{dim}{line}{plain}\x1b[K" if dim else f"\r{line:<{self._widest}}")
        self._talk.flush()
        self._shown = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the bar off the terminal, so that something else can be printed; the next call shows it again."""
        if self._shown:
            self._shown = False
            self._talk.write("\r\x1b[K" if color_allowed(sys.stderr) else "\r" + " " * self._widest + "\r")
            self._talk.flush()
