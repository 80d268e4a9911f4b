"""Pasted text for a field of one line: Textual's keeps the first line and drops the rest without a word."""

from __future__ import annotations

import os
import shlex

from tireg_tui.input.path_line import addressed


def in_one_line(text: str, *, as_paths: bool = False) -> str:
    """The text with blanks in the place of its line breaks.

    Args:
        as_paths: each line may be a path, or its address, as file managers copy them: one with blanks in it that
            is there is quoted.
    """
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(_as_argument(line) if as_paths else line for line in lines if line)


def _as_argument(line: str) -> str:
    path = addressed(line)
    if path is not None:
        return shlex.quote(path)
    return shlex.quote(line) if " " in line and os.path.exists(os.path.expanduser(line)) else line
