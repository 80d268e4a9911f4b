"""What can go wrong with one request: nothing comes, something else comes, or the answer is lost on the way."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass
class Response:
    """An answer as it goes out; `cut` bytes of the body are promised but not sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0

    @classmethod
    def of(cls, data: Any, status: int = 200, **headers: str) -> Response:
        return cls(status, json.dumps(data).encode(), {"Content-Type": "application/json", **headers})

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Dropped(Exception):
    """Close the connection without (further) answer."""


class Fault:
    """Something that happens to the requests whose `METHOD /path` a pattern is found in.

    Args:
        pattern: regular expression.
        before: sees the request first; a response that it returns is sent instead of the real one.
        after: sees request and response once the server has done its work; returns what is sent.
        times: how many requests it happens to; None is always.
        skip: how many matching requests pass unharmed first.
    """

    def __init__(
        self,
        pattern: str,
        *,
        before: Callable[[Request], Response | None] | None = None,
        after: Callable[[Request, Response], Response] | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> None:
        self.pattern = re.compile(pattern)
        self.before, self.after = before, after
        self.times, self.skip = times, skip
        self.hits = 0
        self._lock = threading.Lock()

    def applies(self, request: Request) -> bool:
        """Whether this request is hit; counts it."""
        if not self.pattern.search(request.line):
            return False
        with self._lock:
            if self.skip:
                self.skip -= 1
                return False
            if self.times is not None and self.hits >= self.times:
                return False
            self.hits += 1
            return True

    # -- the usual ones ------------------------------------------------------------------------------------------

    @classmethod
    def status(cls, pattern: str, code: int, *, error: str = "", times: int | None = 1, **headers: str) -> Fault:
        """Answer with a status and do nothing."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(
            pattern, before=lambda _: Response.of({"error": error or f"status {code}"}, code, **named), times=times
        )

    @classmethod
    def drop(cls, pattern: str, times: int | None = 1) -> Fault:
        """Close the connection; nothing is done."""
        return cls(pattern, before=_drop, times=times)

    @classmethod
    def lose_answer(cls, pattern: str, times: int | None = 1) -> Fault:
        """Do what is asked, then close the connection."""
        return cls(pattern, after=_drop, times=times)

    @classmethod
    def fail_after(cls, pattern: str, code: int = 500, times: int | None = 1) -> Fault:
        """Do what is asked, then answer that it failed."""
        return cls(pattern, after=lambda *_: Response.of({"error": "internal error"}, code), times=times)

    @classmethod
    def stall(cls, pattern: str, seconds: float, times: int | None = 1) -> Fault:
        """Say nothing for a while, then nothing more."""
        return cls(pattern, before=lambda _: _stall(seconds), times=times)

    @classmethod
    def cut(cls, pattern: str, times: int | None = 1) -> Fault:
        """Send half of the body."""

        def half(_: Request, response: Response) -> Response:
            response.cut = (len(response.body) + 1) // 2
            return response

        return cls(pattern, after=half, times=times)

    @classmethod
    def flip(cls, pattern: str, times: int | None = 1) -> Fault:
        """Flip one bit in the middle of the body."""

        def flipped(_: Request, response: Response) -> Response:
            body = bytearray(response.body)
            if body:
                body[len(body) // 2] ^= 1
            response.body = bytes(body)
            return response

        return cls(pattern, after=flipped, times=times)

    @classmethod
    def edit(cls, pattern: str, change: Callable[[Any], Any], times: int | None = None) -> Fault:
        """Change the JSON that is answered."""

        def edited(_: Request, response: Response) -> Response:
            response.body = json.dumps(change(response.json)).encode()
            return response

        return cls(pattern, after=edited, times=times)


def _drop(*_: object) -> Response:
    raise Dropped


def _stall(seconds: float) -> Response:
    time.sleep(seconds)
    raise Dropped
