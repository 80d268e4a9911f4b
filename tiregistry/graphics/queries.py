"""What a terminal is asked about pictures, and the reading of its answers; pure text in, facts out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WHO_ARE_YOU = "\x1b[>0q"
"""XTVERSION: name and version."""
CELL_SIZE = "\x1b[16t"
"""Cell size in pixels."""
ATTRIBUTES = "\x1b[c"
"""DA1. Every terminal answers it, so its answer also marks the end of the others'."""
# A one-pixel picture that is only checked, never kept. 31: can you do it at all; 32: and with unicode placeholders.
KITTY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
KITTY_PLACEHOLDERS = "\x1b_Gi=32,s=1,v=1,a=q,t=d,f=24,U=1;AAAA\x1b\\"

REPLY = re.compile(
    rb"\x1b\[\?(?P<attributes>[\d;]*)c"
    rb"|\x1bP>\|(?P<name>[^\x1b\x07]*)(?:\x1b\\|\x07)"
    rb"|\x1b_Gi=(?P<kitty>\d+)[^;\x1b]*;(?P<status>[^\x1b]*)\x1b\\"
    rb"|\x1b\[6;(?P<height>\d+);(?P<width>\d+)t"
)
"""Any one answer to the questions above."""
# Answers are short; a terminal that sends something else for ever is not collected.
_LONGEST_ANSWER = 1024
_MOST_TYPED = 4096


@dataclass(slots=True)
class Answers:
    """What a terminal has answered so far."""

    name: str = ""
    sixel: bool = False
    kitty: bool = False
    kitty_placeholders: bool = False
    cell: tuple[int, int] | None = None
    attributes_seen: int = 0
    """How many answers to DA1 have come."""
    _other: bytes = field(default=b"", init=False, repr=False, compare=False)
    _rest: bytes = field(default=b"", init=False, repr=False, compare=False)

    def read(self, data: bytes) -> None:
        """Take in what the terminal sent, in pieces of any length; what has only begun waits for its rest."""
        data, end = self._rest + data, 0
        for match in REPLY.finditer(data):
            self._other += data[end : match.start()]
            end = match.end()
            if match["attributes"] is not None:
                self.attributes_seen += 1
                self.sixel = b"4" in match["attributes"].split(b";")[1:]
            elif match["name"] is not None:
                self.name = match["name"].decode("utf-8", "replace").strip()[:100]
            elif match["kitty"] is not None:
                accepted = match["status"].startswith(b"OK")
                if match["kitty"] == b"31":
                    self.kitty = accepted
                elif match["kitty"] == b"32":
                    self.kitty_placeholders = accepted
            elif 0 < int(match["width"]) < 200 and 0 < int(match["height"]) < 400:
                self.cell = (int(match["width"]), int(match["height"]))
        self._other = self._other[-_MOST_TYPED:]
        self._rest = data[end:][-_LONGEST_ANSWER:]

    @property
    def typed(self) -> bytes:
        """What came and is no answer, or not a whole one: keys that were pressed meanwhile."""
        return self._other + self._rest

    @property
    def brand(self) -> str:
        """The terminal's name without its version, in lower case."""
        return re.split(r"[\s(/]", self.name.lower(), maxsplit=1)[0]

    @property
    def version(self) -> tuple[int, ...]:
        """The numbers of its version."""
        found = re.search(r"(\d+(?:\.\d+)*)", self.name)
        return tuple(int(part) for part in found.group(1).split(".")) if found else ()
