"""Late answers of a slow terminal: taken out of what is typed, so that they never become key presses."""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual._xterm_parser import XTermParser
from textual.message import Message

from tiregistry.graphics.queries import REPLY

_REPLY = re.compile(REPLY.pattern.decode("ascii"))
# The beginning of an answer at the end of what was read; a lone Escape, or Alt with a letter, is not one.
_BEGINNING = re.compile(r"\x1b(?:_G[^\x1b]*|P>[^\x1b]*|\[\?[\d;]+|\[6;[\d;]*)\x1b?\Z")


class ReplyFilter:
    """Removes the answers to the questions of detection from a stream of text that comes in pieces."""

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, data: str) -> str:
        """The part of `data` that was typed."""
        text = _REPLY.sub("", self._pending + data)
        beginning = _BEGINNING.search(text)
        self._pending = beginning.group() if beginning and len(beginning.group()) < 200 else ""
        return text[: len(text) - len(self._pending)] if self._pending else text


class _QuietParser(XTermParser):
    """Textual's input parser behind a `ReplyFilter`."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._replies = ReplyFilter()

    def feed(self, data: str) -> Iterable[Message]:
        typed = self._replies.feed(data)
        # An empty text would mean the end of the input.
        return super().feed(typed) if typed or not data else ()


def swallow_replies() -> None:
    """Make Textual's driver use the quiet parser. Textual itself would hand unknown answers on as keys."""
    import sys

    if sys.platform == "win32":
        return
    from textual.drivers import linux_driver

    setattr(linux_driver, "XTermParser", _QuietParser)  # noqa: B010  (a name that the driver has not made public)
