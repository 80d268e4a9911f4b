"""The type of every option and argument that names a file or folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class PathParam(click.Path):
    """A path as the user typed it; an empty one is refused, since it would mean the current folder.

    An empty path is what a script with an unset variable gives (`tireg import "$FOLDER"`).

    Args:
        file_okay: whether it may name a file that is there.
        as_text: give it as text, for options that a word such as `alpha` may stand in.
    """

    def __init__(self, file_okay: bool = True, as_text: bool = False) -> None:
        super().__init__(path_type=str if as_text else Path, file_okay=file_okay)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            click.BadParameter: it is empty.
        """
        if value == "":
            self.fail('the path is empty; "." is the current folder', param, ctx)
        return super().convert(value, param, ctx)
