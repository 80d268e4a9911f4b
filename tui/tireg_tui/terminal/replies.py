"""What a terminal says on its own or too late: taken out of what is typed, so that it never becomes key presses."""

from __future__ import annotations

import re
from collections.abc import Callable

# Control strings (answers about the name, kitty's pictures, colours, the clipboard …), and reports of attributes and
# sizes. No key sends any of them. Textual itself needs the reports that begin with `CSI 48` and end in `$y`.
_REPLY = re.compile(
    r"\x1b[P_\]X^][^\x1b\x07]*(?:\x1b\\|\x07)"
    r"|\x1b\[[?>=][\d;]*c"
    r"|\x1b\[[4689];[\d;]*t"
)
# The beginning of one at the end of what was read: certainly one, or perhaps only a key (Escape, or Alt with a letter).
_BEGUN = re.compile(r"\x1b(?:_G|P[>!01]|\]\d)[^\x1b\x07]*\x1b?\Z|\x1b\[(?:[?>=][\d;]*|[4689];[\d;]*)\Z")
_PERHAPS = re.compile(r"\x1b(?:[P_\]X^]|\[[4689]?)?\Z")
_LONGEST = 4096


class ReplyFilter:
    """Removes the terminal's own words from a stream of text that comes in pieces of any length.

    Args:
        listener: is told each whole answer that is removed.
    """

    def __init__(self, listener: Callable[[str], object] = lambda _: None) -> None:
        self._listener = listener
        self._held = ""

    @property
    def holds(self) -> bool:
        """Whether something that may be a key waits for what comes next; then ask `flush` after a short silence."""
        return bool(self._held) and _BEGUN.search(self._held) is None

    def feed(self, data: str) -> str:
        """The part of what was read so far that was typed."""
        text = _REPLY.sub(self._taken, self._held + data)
        begun = _BEGUN.search(text) or _PERHAPS.search(text)
        self._held = begun.group() if begun and len(begun.group()) <= _LONGEST else ""
        return text[: len(text) - len(self._held)] if self._held else text

    def _taken(self, reply: re.Match[str]) -> str:
        self._listener(reply.group())
        return ""

    def flush(self) -> str:
        """What was held back and is no answer after all, since nothing followed it."""
        if not self.holds:
            return ""
        held, self._held = self._held, ""
        return held
