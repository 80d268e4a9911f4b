"""A finished picture on its way to the disk and into the registry's log of pictures."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import AlreadyExists, InvalidInput
from tiregistry.generation.metadata import FORMATS, picture_bytes
from tiregistry.generation.replacing import check_replaceable
from tiregistry.text import safe
from tiregistry.whole_files import write_whole

if TYPE_CHECKING:
    from tiregistry.generation.generator import Picture
    from tiregistry.generation.prepared import Prepared
    from tiregistry.registry.registry import Registry


_TRIES = 1000


class Target:
    """Where pictures go: names that say what they are and overwrite nothing; only a single picture's file, named in
    full, is replaced, and only where tireg made it.

    Args:
        out: a folder (made when missing), or a file name ending in `.png`, `.webp`, `.jpg` or `.jpeg`.
        total: how many pictures will come, None when it is not known yet.
        suffix: format of pictures in a folder.

    Raises:
        InvalidInput: `out` ends in another format's name, or cannot be a folder.
        AlreadyExists: the named file is there, and no picture that tireg made.
        OSError: the folder cannot be made.
    """

    def __init__(self, out: Path, total: int | None, suffix: str = ".png") -> None:
        is_file = out.suffix.lower() in FORMATS and not out.is_dir()
        if out.suffix and not is_file and not out.is_dir() and re.fullmatch(r"\.[A-Za-z]{3,4}", out.suffix):
            raise InvalidInput(
                f"{safe(out)}: pictures are saved as PNG, WebP or JPEG",
                f"give a folder, or a name that ends in {', '.join(FORMATS)}",
            )
        if out.exists() and not out.is_dir() and not is_file:
            raise InvalidInput(f"{safe(out)} is a file, not a folder for pictures", "name another with --out")
        self._file = out if is_file and total == 1 else None
        self._suffix = out.suffix if is_file else suffix
        self._folder, self._stem = (out.parent, out.stem) if is_file else (out, "")
        if self._file is not None:
            check_replaceable(self._file, "picture")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileExistsError):
            raise InvalidInput(
                f"{safe(out)} cannot be made: a part of it is a file", "name another with --out"
            ) from None
        if not os.access(self._folder, os.W_OK | os.X_OK):  # said before a model is loaded
            raise InvalidInput(f"{safe(self._folder)} cannot be written", "name another folder with --out")

    def save(self, picture: Picture, prompt: str) -> tuple[Path, bytes]:
        """Write a picture, named after `prompt` and its seed; returns where it is and the file's bytes.

        Raises:
            InvalidInput, AlreadyExists, OSError: it cannot be saved.
        """
        path = self.next(prompt, picture.recipe["seed"])
        data = picture_bytes(picture, path.suffix)
        for _ in range(_TRIES):
            with suppress(FileExistsError):  # another process took the name meanwhile
                write_whole(path, data, overwrite=path == self._file)
                return path, data
            path = self.next(prompt, picture.recipe["seed"])
        raise AlreadyExists(f"{safe(path)} is taken by others again and again", "name another folder with --out")

    def next(self, prompt: str, seed: int) -> Path:
        """A free path for the next picture, or a single picture's own.

        Raises:
            AlreadyExists: another file has come there since.
        """
        if self._file is not None:
            check_replaceable(self._file, "picture")
            return self._file
        words = re.sub(r"[^\w]+", "-", re.sub(r"[<>()\[\]\\]", "", prompt)).strip("-_")[:48].strip("-_")
        stem = f"{self._stem or words.lower() or 'picture'}-{seed}"
        path, extra = self._folder / f"{stem}{self._suffix}", 1
        while os.path.lexists(path):  # a link that leads nowhere is a name that is taken, too
            extra += 1
            path = self._folder / f"{stem}-{extra}{self._suffix}"
        return path

    def preview(self, prompt: str, seed: int, step: int) -> Path:
        """Where the preview of a picture at a step goes: into a folder `previews` beside it, named after it."""
        folder = self._folder / "previews"
        folder.mkdir(exist_ok=True)
        stem = (self._file or self.next(prompt, seed)).stem
        return folder / f"{stem}-step{step:03}.png"


def log_picture(
    registry: Registry, item: Prepared, picture: Picture, path: Path, data: bytes, *, keep: bool = False
) -> int | None:
    """Remember a saved picture in the registry; return its number there (None in a read-only registry).

    Args:
        path: where it was saved.
        data: the file's bytes.
        keep: also keep the file's bytes in the registry, and those of a start picture and mask, so that the picture
            can be found and made again when its file is gone.

    Raises:
        DiskFull: there is no space for it.
    """
    if registry.readonly:
        return None
    kept: list[str] = []
    if keep:
        kept.append(registry.blobs.add(data))
        if item.start is not None:
            kept += [registry.blobs.add(one.data) for one in (item.start.picture, item.start.mask) if one is not None]
    # The registry's copy of the recipe, unlike the file's, says where a start picture lies on this machine.
    local = {} if item.start is None else {"start": item.start.as_dict(with_paths=True)}
    return registry.add_picture(
        path.absolute(),
        item.prompt,
        picture.recipe | local,
        words=[version.digest for version in item.versions.values()],
        digest="sha256:" + hashlib.sha256(data).hexdigest(),
        kept=kept,
        base_name=picture.recipe["base"]["name"],
    )
