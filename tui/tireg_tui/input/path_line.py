"""A line of paths: as typed in a shell, as a file manager has them (`file:///…`), or as picked here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes

from tireg_tui.input.path_suggester import last_path


def paths_in(line: str) -> list[Path]:
    """The paths of a line; quotes, `~` and file managers' addresses are understood.

    Raises:
        ValueError: a quote is not closed.
    """
    return [_path(part) for part in shlex.split(line)]


def path_in(line: str) -> Path:
    """The one path that a line holds; blanks that nothing quotes belong to it."""
    try:
        [path] = paths_in(line)
    except ValueError:  # a quote that is not closed, or none or several of them
        path = _path(line)
    return path


def as_line(paths: Iterable[Path]) -> str:
    """Paths as they are typed."""
    return " ".join(shlex.quote(str(path)) for path in paths)


def with_added(line: str, paths: Iterable[Path]) -> str:
    """A line with these paths behind those that it holds.

    Of one that was half typed the beginning gives way, and so does a whole folder to what was picked out of it.
    """
    paths = list(paths)
    typed, plain = last_path(line)
    if plain and not os.path.exists(plain) and any(str(path).startswith(plain) for path in paths):
        line = line[: -len(typed)]
    line = _closed(line.rstrip())
    there, folders = paths_in(line), {path.parent for path in paths}
    if folders.intersection(there):
        there = [path for path in there if path not in folders]
        line = as_line(there)
    return " ".join(filter(None, (line, as_line(path for path in paths if path not in there))))


def addressed(text: str) -> str | None:
    """The path of a `file:///…` address; None for anything else, also for the address of a file on another machine."""
    path = text.removeprefix("file://").removeprefix("localhost")
    return os.fsdecode(unquote_to_bytes(path)) if text.startswith("file://") and path.startswith("/") else None


def _path(text: str) -> Path:
    return Path(addressed(text) or text).expanduser()


def _closed(line: str) -> str:
    """The line with its last quote closed, where it is open."""
    for end in ("", "'", '"', "\\"):
        try:
            shlex.split(line + end)
        except ValueError:
            continue
        return line + end
    return ""
