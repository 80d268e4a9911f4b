"""Puts finished files and folders where the user wants them: whole or not at all, nothing overwritten unasked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tiregistry.errors import AlreadyExists, FileMissing
from tiregistry.text import safe
from tiregistry.whole_files import name_beside, write_whole


def write_bytes(content: bytes, path: Path, *, force: bool = False) -> Path:
    """Write one file atomically.

    Raises:
        AlreadyExists: something is there and `force` is not given.
        FileMissing: the folder does not exist.
    """
    if not path.parent.is_dir():
        raise FileMissing(f"the folder {safe(path.parent)} does not exist", "create it first")
    if path.exists() and not force:
        raise AlreadyExists(f"{safe(path)} exists", "choose another path, or add --force to replace it")
    write_whole(path, content)
    return path


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; when what is done with it fails, those that were made go again.

    Raises:
        OSError: it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for place in missing:
            with suppress(OSError):  # somebody else uses it by now
                place.rmdir()
        raise


def place_folder(files: Mapping[str, bytes], target: Path, force: bool) -> Path:
    """Write a folder beside `target` and move it into place; what was there stays until the new one is whole.

    Args:
        files: path inside the folder to content.

    Raises:
        AlreadyExists: something is there and `force` is not given, or it is a file.
    """
    if target.exists() and not force:
        raise AlreadyExists(f"{safe(target)} exists", "choose another path, or add --force to replace it")
    temporary = name_beside(target)
    temporary.mkdir()
    try:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        if target.exists():
            if not target.is_dir():
                raise AlreadyExists(f"{safe(target)} is a file", "choose another path")
            old = target.with_name(f"{target.name}.replaced-{os.getpid()}")
            target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
