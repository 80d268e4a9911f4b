"""How many colours a kind of terminal has by the terminfo database; read here, since `curses` answers once a process.

Source: term(5), "legacy storage format" and "extended number format".
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

_FOLDERS = ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo", "/usr/local/share/terminfo")
_HEADER = struct.Struct("<6h")
_LEGACY, _EXTENDED = 0o432, 0o1036
_MAX_COLORS = 13
"""The place of `colors` among the numbers of an entry."""
_LONGEST = 32768


def colors_in_terminfo(environment: Mapping[str, str]) -> int | None:
    """The number of colours of the terminal that `TERM` names.

    Returns:
        Their number, 0 for a terminal without colour; None where the database has no entry of it, or cannot be read.
    """
    name = environment.get("TERM", "")
    if not re.fullmatch(r"[\w+.-]+", name):
        return None
    for folder in _folders(environment):
        for entry in (folder / name[0] / name, folder / f"{ord(name[0]):x}" / name):  # the second on macOS
            with contextlib.suppress(OSError, ValueError), entry.open("rb") as file:
                return _colors(file.read(_LONGEST))
    return None


def _folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where entries may be, in the order in which ncurses looks."""
    if named := environment.get("TERMINFO"):
        yield Path(named)
    if home := environment.get("HOME"):
        yield Path(home) / ".terminfo"
    for folder in environment.get("TERMINFO_DIRS", "").split(os.pathsep):
        if folder:
            yield Path(folder)
    yield from map(Path, _FOLDERS)


def _colors(data: bytes) -> int:
    """`colors` of a compiled entry, 0 where it has none.

    Raises:
        ValueError: it is no entry.
    """
    if len(data) < _HEADER.size:
        raise ValueError("too short")
    magic, names, booleans, numbers, _, _ = _HEADER.unpack_from(data)
    if magic not in (_LEGACY, _EXTENDED) or min(names, booleans, numbers) < 0:
        raise ValueError("no terminfo entry")
    if numbers <= _MAX_COLORS:
        return 0
    kind, size = ("<h", 2) if magic == _LEGACY else ("<i", 4)
    start = _HEADER.size + names + booleans
    at = start + start % 2 + size * _MAX_COLORS
    if at + size > len(data):
        raise ValueError("cut off")
    return max(0, int(struct.unpack_from(kind, data, at)[0]))
