"""Pictures from disk with their captions and masks, as a training request wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tiregistry.captions import read_captions
from tiregistry.errors import InvalidImage
from tiregistry.images import SourcePicture, find_images, find_masks, passed_over, read_each, read_picture, repeated


@dataclass(frozen=True)
class Gathered:
    """What `gather` found.

    Attributes:
        pictures: each content once.
        captions: one per picture, empty where there is none; nothing when no picture has one.
        masks: one per picture or None; nothing without a folder of masks.
        notes: what the user should know.
        used: what was found beside the pictures and is as it should be, for the user to read.
    """

    pictures: list[SourcePicture]
    captions: list[str]
    masks: list[SourcePicture | None]
    notes: list[str]
    used: list[str] = field(default_factory=list)


class _Example(NamedTuple):
    """One picture with what belongs to it."""

    picture: SourcePicture
    text: str
    mask: SourcePicture | None


def gather(
    paths: Sequence[Path], *, captions: Path | None = None, use_captions: bool = True, masks: Path | None = None
) -> Gathered:
    """Read the pictures that `paths` name, with the text files and masks that belong to them.

    Args:
        paths: picture files and folders.
        captions: folder of text files; None looks beside each picture.
        use_captions: False takes no notice of text files.
        masks: folder of masks, files of the pictures' names.

    Raises:
        FileMissing, InvalidInput: the first path that leads to nothing of use.
        InvalidImage: names every picture that cannot be used, or the first mask.
    """
    files = find_images(paths)
    texts = read_captions(files, captions) if use_captions else [""] * len(files)
    mask_files = find_masks(files, masks) if masks is not None else [None] * len(files)
    examples, odd = _read(files, texts, mask_files)
    taken = [example.text for example in examples]
    used, incomplete = _on_captions(taken)
    notes = [*passed_over(paths, beside=() if masks is None else [masks]), *odd, *incomplete]
    if masks is not None:
        notes += _on_masks(examples)
    return Gathered(
        [example.picture for example in examples],
        taken if any(taken) else [],
        [example.mask for example in examples] if masks is not None else [],
        notes,
        used,
    )


def _read(
    files: Sequence[Path], texts: Sequence[str], mask_files: Sequence[Path | None]
) -> tuple[list[_Example], list[str]]:
    """Each content once, with its caption and mask; and what is odd about the pictures.

    Raises:
        InvalidImage: as `gather`.
    """
    examples: dict[str, _Example] = {}
    first: dict[str, Path] = {}
    notes: list[str] = []
    for (file, picture), text, mask_file in zip(read_each(files), texts, mask_files, strict=True):
        mask = None if mask_file is None else _mask_of(picture, mask_file)
        known = examples.get(picture.digest)
        if known is None:
            first[picture.digest] = file
            examples[picture.digest] = _Example(picture, text, mask)
            notes.extend(f"{picture.filename}: {note}" for note in picture.notes)
        else:  # a copy often has no caption and no mask of its own, and often comes first by its name
            examples[picture.digest] = _Example(known.picture, known.text or text, known.mask or mask)
            notes.append(repeated(file, first[picture.digest]))
    return list(examples.values()), notes


def _mask_of(picture: SourcePicture, file: Path) -> SourcePicture:
    mask = read_picture(file, is_mask=True)
    if abs(_shape(mask) - _shape(picture)) > 0.02:
        raise InvalidImage(
            f"the mask {mask.filename} is {mask.size[0]}x{mask.size[1]}, "
            f"its picture {picture.size[0]}x{picture.size[1]}",
            "a mask has its picture's proportions",
        )
    return mask


def _on_captions(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """What to say of the captions: where every picture has one, and where some have."""
    if all(texts):
        which = f"all {len(texts)} pictures" if len(texts) > 1 else "the picture"
        return [f"captions from text files for {which}"], []
    if any(texts):
        count = sum(bool(text) for text in texts)
        return [], [f"captions from text files for {count} of {len(texts)} pictures"]
    return [], []


def _on_masks(examples: Sequence[_Example]) -> list[str]:
    """What the user should know of the masks."""
    notes = []
    coloured = [e.picture.filename for e in examples if e.mask is not None and _is_coloured(e.mask)]
    if coloured:
        what = f"the mask of {coloured[0]} is" if len(coloured) == 1 else f"{len(coloured)} masks are"
        notes.append(f"{what} in colour, most likely the wrong folder: where they are bright is learned")
    count = sum(example.mask is not None for example in examples)
    if count < len(examples):
        notes.append(f"masks for {count} of {len(examples)} pictures; the others are learned whole")
    return notes


def _is_coloured(mask: SourcePicture) -> bool:
    """Whether more than a few pixels are neither black, grey nor white: most likely the wrong folder."""
    import numpy as np

    pixels = np.asarray(mask.image.resize((64, 64)), dtype=np.int16)
    return bool((np.ptp(pixels, axis=-1) > 48).mean() > 0.05)


def _shape(picture: SourcePicture) -> float:
    width, height = picture.size
    return width / height
