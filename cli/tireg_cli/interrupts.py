"""Ctrl-C with manners: the first one asks long work to stop and keep what it has, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tireg_cli.messages import say


class StopRequest:
    """Callable that answers whether the user asked to stop; `armed` says whether asking politely is possible."""

    def __init__(self, notice: str) -> None:
        self.armed = False
        self.asked = False
        self._notice = notice

    def __call__(self) -> bool:
        return self.asked

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Signal handler: note the wish when armed, else interrupt."""
        if self.armed and not self.asked:
            self.asked = True
            say(self._notice)
            return
        raise KeyboardInterrupt


@contextmanager
def polite_stop(notice: str) -> Iterator[StopRequest]:
    """Within the block SIGINT and SIGTERM go to the yielded `StopRequest`."""
    request = StopRequest(notice)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
