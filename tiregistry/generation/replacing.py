"""What may be written over: a picture by a picture, a grid by a grid, both made by tireg; nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tiregistry.errors import AlreadyExists, InvalidInput, TiregError
from tiregistry.generation.metadata import is_marked, read_recipe
from tiregistry.text import safe

Kind = Literal["picture", "grid"]


def check_replaceable(path: Path, kind: Kind) -> None:
    """Refuse to write over anything but what was made by the same command in the same way.

    Raises:
        AlreadyExists: there is another file at `path`, or a folder.
    """
    if not path.exists() and not path.is_symlink():
        return
    if path.is_file() and (_has_recipe(path) if kind == "picture" else is_marked(path)):
        return
    made = "a picture that tireg gen made" if kind == "picture" else "a grid that tireg made"
    raise AlreadyExists(f"{safe(path)} exists and is not {made}, so it stays", "name another file, or move it away")


def check_apart(path: Path, option: str, sources: Iterable[tuple[str, Path | None]]) -> None:
    """Refuse a result's path that is also the path of something that is needed or made beside it.

    Args:
        option: that gave `path`.
        sources: options and their paths.

    Raises:
        InvalidInput: names both options.
    """
    for other, source in sources:
        if source is not None and _same(path, source):
            raise InvalidInput(f"{option} and {other} are the same file, {safe(path)}", f"name another with {option}")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _has_recipe(path: Path) -> bool:
    try:
        read_recipe(path)
    except TiregError:
        return False
    return True
