"""How the library looked around its words when it was last opened on such a terminal, for `first_paint`.

Kept in `tui-look.json` beside the registry, as text with SGR sequences; a convenience, never needed. Whatever makes the
library look different is part of the key, so that what does not fit is not found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from tiregistry import __version__
from tiregistry.settings import FILE as SETTINGS_FILE
from tiregistry.whole_files import write_whole

_FILE = "tui-look.json"
_MOST = 6
"""Sizes and kinds of terminals that are kept, the newest."""
_LONGEST = 200_000
_WIDEST = 10_000
_ENVIRONMENT = ("TERM", "COLORTERM", "TERM_PROGRAM", "NO_COLOR", "TIREG_IMAGES", "TMUX", "TEXTUAL_COLOR_SYSTEM")
# Nothing but text and colours goes to the terminal, whoever wrote the file.
_PAINT = re.compile(r"(?:[^\x00-\x1f\x7f-\x9f]|\x1b\[[\d;]*m)*")
_SGR = re.compile(r"(?:\x1b\[[\d;]*m)*")


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the screen, in cells."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one line of the screen: text with SGR sequences that begins at a cell."""

    x: int
    y: int
    paint: str


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The library's first frame, but for its words.

    Attributes:
        pieces: what stands around rows and status line.
        rows: where the rows are.
        status: where the status line is.
        scrolls: there were more rows than there is room for.
        styles: SGR sequences of a row, of its dim cells, of both in the row under the cursor, and of the status line.
    """

    pieces: tuple[Piece, ...]
    rows: Box
    status: Box
    scrolls: bool
    styles: tuple[str, ...]

    @property
    def is_harmless(self) -> bool:
        """Nothing in it but text and colours, of the size of a screen."""
        sizes = [value for box in (self.rows, self.status) for value in astuple(box)]
        if not all(0 <= value <= _WIDEST for value in sizes):
            return False
        paints = all(_PAINT.fullmatch(piece.paint) for piece in self.pieces)
        return paints and len(self.styles) == 5 and all(_SGR.fullmatch(style) for style in self.styles)


def key_of(home: Path, columns: int, rows: int, query: str) -> str:
    """What the look depends on, in short: size and kind of the terminal, settings, filter, and this program."""
    settings = b""
    with contextlib.suppress(OSError):
        settings = (home / SETTINGS_FILE).read_bytes()
    environment = [os.environ.get(name) for name in _ENVIRONMENT]
    told = json.dumps([__version__, str(home), columns, rows, query, environment, settings.hex()])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def read_look(home: Path, key: str) -> FirstLook | None:
    """The look that is kept under a key; None where there is none, or none that can be believed."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
        found = _read(home)[key]
        look = FirstLook(
            tuple(Piece(int(x), int(y), str(paint)) for x, y, paint in found["pieces"]),
            Box(*map(int, found["rows"])),
            Box(*map(int, found["status"])),
            bool(found["scrolls"]),
            tuple(str(style) for style in found["styles"]),
        )
        return look if look.is_harmless else None
    return None


def keep_look(home: Path, key: str, look: FirstLook) -> None:
    """Keep a look for the next start; a folder that cannot be written to does without."""
    if not look.is_harmless:
        return
    looks = {}
    with contextlib.suppress(OSError, ValueError):
        looks = _read(home)
    looks.pop(key, None)
    record = asdict(look)
    record["pieces"] = [[piece.x, piece.y, piece.paint] for piece in look.pieces]
    record["rows"], record["status"] = list(asdict(look.rows).values()), list(asdict(look.status).values())
    looks[key] = record
    kept = dict(list(looks.items())[-_MOST:])
    with contextlib.suppress(OSError):
        write_whole(home / _FILE, json.dumps(kept).encode(), durable=False)


def _read(home: Path) -> dict[str, Any]:
    path = home / _FILE
    if path.stat().st_size > _LONGEST:
        return {}
    looks = json.loads(path.read_text(encoding="utf-8"))
    return looks if isinstance(looks, dict) else {}
