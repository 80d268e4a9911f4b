"""Who watches a transfer, and what bounds it: requests, waiting, and the wish to stop.

A front end passes callbacks; nothing here prints. All of them are called in the thread that does the work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tiregistry.errors import HubError, Interrupted

Announce = Callable[[tuple[str, ...], bool], None]
"""Called before anything is sent, with what a reader will learn and whether the repository is private."""
Waiting = Callable[[float], None]
"""Called with the seconds that are left to wait for a rate limit, about once a second."""
Stopped = Callable[[], bool]
"""Asked before every request and while waiting; True ends the transfer with `Interrupted`."""

LONGEST_WAIT = 330.0
"""Seconds that rate limits are waited out in one transfer: a little more than the Hub's window of five minutes."""
_MOST_REQUESTS = 5000
"""Requests of one transfer: lists are read page by page, and a hostile server never ends them."""


def ignore(*_: object) -> None:
    """A callback for those who do not want to know."""


class RateLimited(HubError):
    """A thread that nobody watches was asked to wait; whoever is watched waits and does it again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the Hub's rate limit asks to wait {seconds:.0f} seconds", "try again after that")
        self.seconds = seconds


class Watch:
    """The bounds of one transfer after another, and who is told.

    Args:
        waiting: told while a rate limit is waited out.
        stopped: asked whether to stop.
    """

    def __init__(self, waiting: Waiting | None = None, stopped: Stopped | None = None) -> None:
        self._waiting, self._stopped = waiting or ignore, stopped
        self.begin()

    def begin(self) -> None:
        """A new transfer: count anew."""
        self._waited, self._requests = 0.0, 0
        self.latest = ""
        """Path of the latest request."""

    def check(self) -> None:
        """Stop here when the user wants to.

        Raises:
            Interrupted: they do.
        """
        if self._stopped is not None and self._stopped():
            raise Interrupted("the transfer was stopped", "do it again to complete it")

    def count(self, host: str, path: str) -> None:
        """One more request goes out.

        Raises:
            Interrupted: the user wants to stop.
            HubError: these are more than any transfer needs.
        """
        self.check()
        self._requests += 1
        self.latest = path
        if self._requests > _MOST_REQUESTS:
            raise HubError(f"{host} has answered {_MOST_REQUESTS} requests and still wants more", "give up")

    def sit_out(self, seconds: float) -> None:
        """Wait, and tell how long it still takes.

        Raises:
            Interrupted: the user wants to stop.
            HubError: it would be longer than anyone would sit through.
        """
        if self._waited + seconds > LONGEST_WAIT:
            raise RateLimited(seconds)
        self._waited += seconds
        self._wait(seconds, self._waiting)

    def pause(self, seconds: float) -> None:
        """Wait a moment without a word.

        Raises:
            Interrupted: the user wants to stop.
        """
        self._wait(seconds, ignore)

    def _wait(self, seconds: float, tell: Waiting) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            tell(left)
            time.sleep(min(1.0, left))


class _Local(threading.local):
    watch: Watch | None = None


_local = _Local()
_uploads = 0
_counting = threading.Lock()


def current() -> Watch | None:
    """Who watches what this thread does."""
    return _local.watch


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Within the block, requests of this thread are watched."""
    before, _local.watch = _local.watch, watch
    try:
        yield
    finally:
        _local.watch = before


@contextmanager
def uploading() -> Iterator[None]:
    """Within the block, threads that nobody watches may be huggingface_hub's own, uploading for one who is watched."""
    global _uploads
    with _counting:
        _uploads += 1
    try:
        yield
    finally:
        with _counting:
            _uploads -= 1


def wait_for(seconds: float) -> None:
    """Wait out a rate limit on behalf of this thread.

    Raises:
        Interrupted: the user wants to stop.
        RateLimited: the wait is too long, or this thread uploads for another, which will wait instead.
    """
    if _local.watch is not None:
        _local.watch.sit_out(seconds)
    elif _uploads:
        raise RateLimited(seconds)
    else:
        Watch().sit_out(seconds)
