"""Completes the path at the end of a line of paths, as a shell does."""

from __future__ import annotations

import os
import re
import shlex

from textual.suggester import Suggester

_LAST_WORD = re.compile(r"(?:'[^']*|\"[^\"]*|(?:\\.|[^\s'\"\\])+)\Z")
_LOOKED_AT = 5000


class PathSuggester(Suggester):
    """Suggests the rest of the last path; folders end with a slash."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return completed(value)


def completed(line: str) -> str | None:
    """The line with its last path completed to the first that fits; None where nothing does."""
    typed, plain = last_path(line)
    if not plain:
        return None
    folder, name = os.path.split(plain)
    try:
        with os.scandir(folder or ".") as entries:
            found = sorted(
                entry.name + ("/" if entry.is_dir() else "")
                for entry, _ in zip(entries, range(_LOOKED_AT), strict=False)
                if entry.name.startswith(name) and (name or not entry.name.startswith("."))
            )
    except OSError:
        return None
    rest = found[0][len(name) :] if found else ""
    if not rest or not rest.isprintable():
        return None
    if typed[0] in "'\"":
        return line + rest if typed[0] not in rest else None
    return line + re.sub(r"([\s'\"\\$&;()<>|*?\[\]#~`!{}])", r"\\\1", rest)


def is_there(line: str) -> bool:
    """Whether the last path of a line is one already."""
    _, plain = last_path(line)
    return bool(plain) and os.path.exists(plain)


def last_path(line: str) -> tuple[str, str]:
    """The last path as it was typed and as it is meant; both empty where there is none."""
    match = _LAST_WORD.search(line)
    if match is None:
        return "", ""
    typed = match.group()
    try:
        plain = shlex.split(typed)[0] if typed[0] not in "'\"" else typed[1:]
    except (ValueError, IndexError):
        return "", ""
    return typed, os.path.expanduser(plain)
