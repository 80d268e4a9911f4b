"""Puts finished files and folders where the user wants them: whole or not at all, nothing overwritten unasked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tiregistry.errors import AlreadyExists, FileMissing
from tiregistry.text import safe


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
    place_files({path: content})
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


def place_files(contents: Mapping[Path, bytes]) -> None:
    """Write files so that a reader sees the old content or the new, never half; all are ready before one shows."""
    waiting: list[tuple[str, Path]] = []
    try:
        for path, content in contents.items():
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tireg-")
            waiting.append((temporary, path))
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
        while waiting:
            os.replace(*waiting[0])
            waiting.pop(0)
    finally:
        for temporary, _ in waiting:
            Path(temporary).unlink(missing_ok=True)


def place_folder(files: Mapping[str, bytes], target: Path, force: bool) -> Path:
    """Write a folder beside `target` and move it into place; what was there stays until the new one is whole.

    Args:
        files: path inside the folder to content.

    Raises:
        AlreadyExists: something is there and `force` is not given, or it is a file.
    """
    if target.exists() and not force:
        raise AlreadyExists(f"{safe(target)} exists", "choose another path, or add --force to replace it")
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".tireg-"))
    try:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        os.chmod(temporary, 0o777 & ~_umask())
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


def _umask() -> int:
    """The process's file-mode mask; reading it means setting it for a moment."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
