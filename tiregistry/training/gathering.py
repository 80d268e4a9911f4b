"""Pictures from disk with their captions and masks, as a training request wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
    found: dict[str, tuple[SourcePicture, str, SourcePicture | None]] = {}
    first: dict[str, Path] = {}
    notes = passed_over(paths)
    for (file, picture), text, mask_file in zip(read_each(files), texts, mask_files, strict=True):
        if picture.digest in found:
            notes.append(repeated(file, first[picture.digest]))
            continue
        mask = None if mask_file is None else read_picture(mask_file, is_mask=True)
        if mask is not None and abs(_shape(mask) - _shape(picture)) > 0.02:
            raise InvalidImage(
                f"the mask {mask.filename} is {mask.size[0]}x{mask.size[1]}, "
                f"its picture {picture.size[0]}x{picture.size[1]}",
                "a mask has its picture's proportions",
            )
        found[picture.digest] = (picture, text, mask)
        first[picture.digest] = file
        notes.extend(f"{picture.filename}: {note}" for note in picture.notes)
    all_texts = [text for _, text, _ in found.values()]
    used = []
    if all(all_texts):
        which = f"all {len(all_texts)} pictures" if len(all_texts) > 1 else "the picture"
        used.append(f"captions from text files for {which}")
    elif any(all_texts):
        count = sum(bool(text) for text in all_texts)
        notes.append(f"captions from text files for {count} of {len(all_texts)} pictures")
    all_masks = [mask for _, _, mask in found.values()] if masks is not None else []
    coloured = [pic.filename for pic, _, mask in found.values() if mask is not None and _is_coloured(mask)]
    if coloured:
        what = f"the mask of {coloured[0]} is" if len(coloured) == 1 else f"{len(coloured)} masks are"
        notes.append(f"{what} in colour, most likely the wrong folder: where they are bright is learned")
    if any(mask is None for mask in all_masks):
        count = sum(mask is not None for mask in all_masks)
        notes.append(f"masks for {count} of {len(all_masks)} pictures; the others are learned whole")
    return Gathered(
        [picture for picture, _, _ in found.values()],
        all_texts if any(all_texts) else [],
        all_masks,
        notes,
        used,
    )


def _is_coloured(mask: SourcePicture) -> bool:
    """Whether more than a few pixels are neither black, grey nor white: most likely the wrong folder."""
    import numpy as np

    pixels = np.asarray(mask.image.resize((64, 64)), dtype=np.int16)
    return bool((np.ptp(pixels, axis=-1) > 48).mean() > 0.05)


def _shape(picture: SourcePicture) -> float:
    width, height = picture.size
    return width / height
