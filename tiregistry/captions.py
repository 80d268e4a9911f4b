"""Caption templates of Textual Inversion (Gal et al. 2022, appendix) and the captions a concept is trained with.

The lists are the 27 object and the 19 style templates that the paper's code and the diffusers example share.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tiregistry.concepts import ConceptType
from tiregistry.errors import FileMissing, InvalidConfig, InvalidInput
from tiregistry.references import name_key
from tiregistry.text import safe

OBJECT_TEMPLATES: tuple[str, ...] = tuple(
    f"{start} {{}}"
    for start in (
        "a photo of a",
        "a rendering of a",
        "a cropped photo of the",
        "the photo of a",
        "a photo of a clean",
        "a photo of a dirty",
        "a dark photo of the",
        "a photo of my",
        "a photo of the cool",
        "a close-up photo of a",
        "a bright photo of the",
        "a cropped photo of a",
        "a photo of the",
        "a good photo of the",
        "a photo of one",
        "a close-up photo of the",
        "a rendition of the",
        "a photo of the clean",
        "a rendition of a",
        "a photo of a nice",
        "a good photo of a",
        "a photo of the nice",
        "a photo of the small",
        "a photo of the weird",
        "a photo of the large",
        "a photo of a cool",
        "a photo of a small",
    )
)

STYLE_TEMPLATES: tuple[str, ...] = tuple(
    f"{start} in the style of {{}}"
    for start in (
        "a painting",
        "a rendering",
        "a cropped painting",
        "the painting",
        "a clean painting",
        "a dirty painting",
        "a dark painting",
        "a picture",
        "a cool painting",
        "a close-up painting",
        "a bright painting",
        "a cropped painting",
        "a good painting",
        "a close-up painting",
        "a rendition",
        "a nice painting",
        "a small painting",
        "a weird painting",
        "a large painting",
    )
)

TEMPLATES: dict[ConceptType, tuple[str, ...]] = {"object": OBJECT_TEMPLATES, "style": STYLE_TEMPLATES}


def templates_for(concept_type: ConceptType, custom: Sequence[str] = ()) -> tuple[str, ...]:
    """The caption templates to train with; `{}` marks the placeholder token.

    Raises:
        InvalidConfig: a custom template has no `{}`, or more than one.
    """
    for template in custom:
        if template.count("{}") != 1:
            raise InvalidConfig(f"caption template {template!r} must contain {{}} exactly once", "it marks the word")
    return tuple(custom) or TEMPLATES[concept_type]


MAX_CAPTION = 2000
"""Longest caption in characters; a token window holds far less."""


_MENTION = re.compile(r"(<[^<>@]*)(?:@[\w.-]+)?>")
"""What may be a placeholder token, or one of its versions."""


def caption_with_word(caption: str, placeholder_token: str, concept_type: ConceptType) -> str:
    """A picture's own caption with `{}` at the word's place.

    The place is where the caption has `{}` or the placeholder token, in whichever case and of whichever version
    (`<Gnome>`, `<gnome@1>`); otherwise the word is put in front of it (`a photo of {}, on a table`), for a style behind
    it (`a table, in the style of {}`).

    Raises:
        InvalidConfig: the caption names the word more than once.
    """
    text = " ".join(caption.split())
    marked = _MENTION.sub(lambda found: "{}" if _is_same(found[1], placeholder_token) else found[0], text)
    if marked.count("{}") > 1:
        raise InvalidConfig(f"the caption {text[:80]!r} names the word more than once", "name it once")
    if "{}" in marked:
        return marked
    return f"a photo of {{}}, {text}" if concept_type == "object" else f"{text}, in the style of {{}}"


def _is_same(opened: str, placeholder_token: str) -> bool:
    """Whether `<gnome`, as it was found, is the token: compared as names are."""
    return name_key(f"{opened}>") == name_key(placeholder_token)


def example_prompt(concept_type: ConceptType, token: str) -> str:
    """A plain prompt to try a word with, in which an object is shown and a style is used."""
    return f"a photo of {token}" if concept_type == "object" else f"a house in the style of {token}"


def read_captions(pictures: Sequence[Path], folder: Path | None = None) -> list[str]:
    """The caption of each picture: the text file with the picture's name and the suffix `.txt` or `.caption`.

    Args:
        pictures: picture files.
        folder: where the text files lie; None means beside each picture.

    Returns:
        One caption per picture on one line, empty where there is no text file.

    Raises:
        FileMissing: `folder` does not exist, or has no caption for any picture.
        InvalidInput: a text file is not UTF-8 text, or too long, or something else has its name.
    """
    if folder is not None and not folder.is_dir():
        raise FileMissing(f"{safe(folder)} is not a folder", "give the folder with the .txt files")
    captions = []
    for picture in pictures:
        place = folder or picture.parent
        candidates = [place / f"{picture.stem}{suffix}" for suffix in (".txt", ".caption")]
        found = next((candidate for candidate in candidates if os.path.lexists(candidate)), None)
        if found is not None and not found.is_file():
            raise InvalidInput(f"{safe(found)} is not a text file", "remove it, or save the caption under its name")
        captions.append("" if found is None else _read_caption(found))
    if folder is not None and not any(captions):
        raise FileMissing(
            f"{safe(folder)} has no caption for any of the pictures",
            f"for {safe(pictures[0].name)} it would be {safe(pictures[0].stem)}.txt",
        )
    return captions


def _read_caption(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(4 * MAX_CAPTION + 1)
        # A character has four bytes at most; what is read of a longer file may end within one.
        text = "" if len(data) > 4 * MAX_CAPTION else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{safe(path)} is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        raise InvalidInput(f"{safe(path)} cannot be read: {error.strerror}", "check its permissions") from None
    line = " ".join(safe(text, limit=4 * MAX_CAPTION + 1, multiline=True).split())
    if len(line) > MAX_CAPTION or len(data) > 4 * MAX_CAPTION:
        raise InvalidInput(f"{safe(path)} has more than {MAX_CAPTION} characters", "shorten the caption")
    return line
