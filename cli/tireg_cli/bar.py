"""A progress bar on stderr for work that counts things; silent, or told in lines, where nothing can be drawn over."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from tireg_cli.messages import Talk, color_allowed, say
from tireg_cli.output import fit
from tireg_cli.terminal import columns_of, is_live
from tiregistry.quantities import duration
from tiregistry.text import safe

_WIDTH = 24
_EVERY = 0.1
"""Seconds between two drawings of the same work."""


class CountingBar:
    """Shows `label ████░░ 1,200/5,000 · 3 s left`; call it with done, total and what is counted.

    It is a `tiregistry.progress.Progress`. A total of 0 is work that cannot be counted. On a narrow terminal the bar
    gives way to the numbers.

    Args:
        lines_every: seconds between plain lines where nothing can be drawn over; 0: none.
    """

    def __init__(self, label: str = "", lines_every: float = 0) -> None:
        self._label = label
        self._lines_every = lines_every
        self.is_live = is_live(sys.stderr)
        # Work that ends soon needs no line.
        self._next = 0.0 if self.is_live else time.monotonic() + lines_every
        self._began: dict[str, tuple[float, int]] = {}
        self._what = ""
        self._shown = False
        self._talk = Talk()

    def __enter__(self) -> Self:
        return self

    @property
    def is_due(self) -> bool:
        """Whether the next call would show something."""
        return bool(self.is_live or self._lines_every) and time.monotonic() >= self._next

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        began, first = self._began.setdefault(what, (now, done))
        if not self.is_live:
            if self.is_due:
                say(f"{self._named(what)} {done:,}/{total:,}")
                self._next = now + self._lines_every
            return
        # What has just begun is shown at once: it may be the last that is heard for long.
        if now < self._next and what == self._what:
            return
        self._next, self._what = now + _EVERY, what
        if not total:
            self.draw(f"{self._named(what)} …")
            return
        filled = _WIDTH * min(done, total) // total
        left = (now - began) * (total - done) / (done - first) if done > first else 0.0
        counted = f"{done:,}/{total:,}"
        line = f"{self._named(what)} {'█' * filled}{'░' * (_WIDTH - filled)} {counted}"
        line += f" · {duration(left)} left" if left >= 1 else ""
        self.draw(line if fit(line, self._room) == line else f"{safe(what, limit=60)} {counted}")

    def draw(self, line: str) -> None:
        """Show `line` in the bar's place until the next call; only where the bar is live."""
        dim, plain = ("\x1b[2m", "\x1b[0m") if color_allowed(sys.stderr) else ("", "")
        self._talk.write(f"\r{dim}{fit(line, self._room)}{plain}\x1b[K")
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
            self._talk.write("\r\x1b[K")
            self._talk.flush()

    @property
    def _room(self) -> int:
        return columns_of(sys.stderr) - 1  # a line that wraps could not be drawn over

    def _named(self, what: str) -> str:
        return " ".join(filter(None, (self._label, safe(what, limit=60))))
