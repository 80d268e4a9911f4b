"""Files that are there whole or not at all: written under another name beside their place, then renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, data: bytes, *, overwrite: bool = True, durable: bool = True) -> None:
    """Write a file; a crash, a full disk or another process leaves the old one, the new one or none, never a part.

    Args:
        overwrite: False leaves a file that is there alone, also one that another process puts there meanwhile. On a
            file system without links, a process that is killed in that moment can leave an empty file.
        durable: whether it must outlive a power failure; costs a few milliseconds.

    Raises:
        FileExistsError: there is one, and `overwrite` is False.
        OSError: it cannot be written; names `path`.
    """
    temporary = write_beside(path, data, durable=durable)
    try:
        if overwrite:
            os.replace(temporary, path)
        else:
            _put_new(temporary, path)
    except OSError as error:
        raise _about(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_all_whole(contents: Mapping[Path, bytes]) -> None:
    """Write several files, over those that are there; all are ready before the first shows.

    Raises:
        OSError: one cannot be written; names it.
    """
    waiting: list[tuple[Path, Path]] = []
    try:
        for path, data in contents.items():
            waiting.append((write_beside(path, data), path))
        while waiting:
            temporary, path = waiting[0]
            try:
                os.replace(temporary, path)
            except OSError as error:
                raise _about(path, error) from None
            waiting.pop(0)
    finally:
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)


def write_beside(path: Path, data: bytes, *, durable: bool = True) -> Path:
    """Write a file under a name of its own in the folder of `path`; returns where.

    Raises:
        OSError: it cannot be written, and nothing of it stays; names `path`, because nobody asked for the other name.
    """
    temporary = name_beside(path)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _about(path, error) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def name_beside(path: Path) -> Path:
    """A hidden name that nobody else has, in the folder of `path`."""
    return path.with_name(f".tireg-{os.urandom(6).hex()}.part")


def _put_new(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # which unlike a rename never replaces anything
    except FileExistsError:
        raise
    except (OSError, NotImplementedError, AttributeError):  # a file system without links
        with open(path, "xb"):
            pass
        try:
            os.replace(temporary, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _about(path: Path, error: OSError) -> OSError:
    """The same error of `path`; its class follows from its number."""
    return OSError(error.errno, error.strerror, str(path)) if error.errno is not None else error
