"""Finding again what a recorded picture started from: its digest is known, its bytes may lie in several places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.errors import Damaged, FileMissing
from tiregistry.generation.start import StartPicture, read_source
from tiregistry.registry.blobs import hash_file
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.generation.recipe import RecordedStart
    from tiregistry.images import SourcePicture
    from tiregistry.registry.registry import Registry


@dataclass(frozen=True, kw_only=True)
class GivenStart:
    """What a user gives in place of what is recorded; None for as it was."""

    picture: Path | None = None
    mask: Path | None = None
    strength: float | None = None


def find_start(registry: Registry, made: Path, recorded: RecordedStart, given: GivenStart) -> tuple[StartPicture, str]:
    """The start picture of a recorded picture, and a line about what is not as it was (empty when all is).

    The picture and its mask are looked for by digest: among the registry's files, where the gallery knows a picture
    of these bytes (made by tireg, or started from before), beside the picture that was made, and in the current
    folder, by name. A file of other bytes is never taken for it.

    Args:
        made: the picture that is made again.

    Raises:
        FileMissing: it is nowhere, or only with other bytes; or a given file does not exist.
        InvalidImage: a given file is no picture.
    """
    if given.picture is None:
        picture, picture_path = _find(registry, made, "--init", recorded.picture, recorded.picture_name)
    else:
        picture, picture_path = read_source(given.picture), given.picture.absolute()
    mask: SourcePicture | None = None
    mask_path: Path | None = None
    if given.mask is not None:
        mask, mask_path = read_source(given.mask, "the mask", is_mask=True), given.mask.absolute()
    elif recorded.mask:
        mask, mask_path = _find(registry, made, "--mask", recorded.mask, recorded.mask_name)
    strength = recorded.strength if given.strength is None else given.strength
    start = StartPicture(picture, strength, mask, picture_path, mask_path)
    others = []
    if picture.digest != recorded.picture:
        others.append(f"{picture.filename} is not the picture that {safe(made)} started from")
    if mask is not None and mask.digest != recorded.mask:
        others.append(f"{mask.filename} is not the mask that {safe(made)} was made with")
    return start, "; ".join(others)


def _find(registry: Registry, made: Path, option: str, digest: str, name: str) -> tuple[SourcePicture, Path | None]:
    from tiregistry.images import MAX_BYTES, decode_picture

    is_mask = option == "--mask"
    try:
        return decode_picture(registry.blobs.read(digest), name, is_mask=is_mask), None
    except Damaged:
        pass
    others: list[Path] = []
    places = _places(registry, made, digest, name)
    for path in places:
        try:
            if not path.is_file() or path.stat().st_size > MAX_BYTES:
                continue
            if hash_file(path) == digest:
                # By the name it had then, so that the recipe stays the same.
                return decode_picture(path.read_bytes(), name, is_mask=is_mask), path
            others.append(path)
        except (OSError, ValueError):
            continue
    what = "mask" if is_mask else "picture"
    called, shown = safe(made), safe(name, limit=100)
    keeps = f"give it with {option}; tireg gen --keep keeps it next time"
    if others:
        raise FileMissing(
            f"{called} was made from the {what} {shown}, but {safe(others[0])} has other bytes now", keeps
        )
    gone = f"nor at {safe(places[0])} " if places else ""
    raise FileMissing(f"the {what} {shown} that {called} was made from is neither kept {gone}nor beside it", keeps)


def _places(registry: Registry, made: Path, digest: str, name: str) -> Sequence[Path]:
    """Where to look, most likely first."""
    places = [Path(path) for path in registry.paths_of_picture(digest)]
    # The name comes from a file that may be anybody's: it must not lead out of the folder.
    if name and name == Path(name).name and name not in (".", ".."):
        places += [made.absolute().parent / name, Path(name).absolute()]
    return list(dict.fromkeys(places))
