"""What a push or pull shows on stderr while it works: its steps, and how long a rate limit still lasts."""

from __future__ import annotations

from typing import Self

from tireg_cli.bar import CountingBar
from tireg_cli.messages import say, warn
from tiregistry.hub.transport import seconds_problem


class TransferProgress(CountingBar):
    """The bar of a transfer; where nothing can be drawn over, only a rate limit is told, once."""

    def __init__(self) -> None:
        super().__init__()
        self._said_waiting = False

    def __enter__(self) -> Self:
        if problem := seconds_problem():
            warn(problem)
        return self

    def waiting(self, seconds: float) -> None:
        """A rate limit is being waited out."""
        line = f"the Hub's rate limit: going on in {seconds:.0f} s"
        if self.is_live:
            self.draw(line)
        elif not self._said_waiting:
            self._said_waiting = True
            say(line)
