"""What a word's captions say: templates, the pictures' own captions, and where the word's vectors stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiregistry.captions import caption_with_word, templates_for
from tiregistry.errors import InvalidConfig, InvalidPrompt
from tiregistry.placeholders import placeholders_in
from tiregistry.text import safe
from tiregistry.training.config import TrainingConfig

if TYPE_CHECKING:
    from tiregistry.bases.towers import Segment, TextTower

WORD = "{}"
PICTURE = "{picture}"
"""Marks the place of a picture's own token."""
PER_IMAGE_PROBABILITY = 0.25
"""How often a caption names the picture's own token, as in the paper's code."""


@dataclass(frozen=True)
class Wording:
    """All captions of one word and which of them belong to which picture.

    Attributes:
        texts: captions with `{}` for the word and, in some, `{picture}`.
        owners: for each caption with `{picture}`, the index of its picture; -1 for the others.
        choices: for each picture, the indexes of the captions it may get.
        own: for each picture, the indexes of captions with its own token; empty lists without per-image tokens.
        files: for each caption, the file name of the picture that it was written for; empty for a template.
    """

    texts: tuple[str, ...]
    owners: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    own: tuple[tuple[int, ...], ...]
    files: tuple[str, ...]

    @classmethod
    def build(
        cls, config: TrainingConfig, captions: Sequence[str], placeholder_token: str, pictures: Sequence[str] = ()
    ) -> Wording:
        """The captions of a word.

        Args:
            captions: one per picture; empty for a picture that is described by the templates.
            placeholder_token: where a picture's caption contains it, that is the word's place.
            pictures: the pictures' file names, for messages.

        Raises:
            InvalidConfig: a template or caption has the mark more than once, or names another word.
        """
        templates = templates_for(config.concept_type, config.caption_templates)
        texts = [_own_words(template) for template in templates]
        owners = [-1] * len(texts)
        files = [""] * len(texts)
        choices: list[tuple[int, ...]] = []
        own: list[tuple[int, ...]] = []
        for picture, caption in enumerate(captions):
            file = pictures[picture] if picture < len(pictures) else ""
            if caption.strip():
                try:
                    texts.append(
                        _own_words(caption_with_word(caption, placeholder_token, config.concept_type), caption)
                    )
                except InvalidConfig as error:
                    raise InvalidConfig(
                        f"{safe(file)}: {error.message}" if file else error.message, error.hint
                    ) from None
                owners.append(-1)
                files.append(file)
                choices.append((len(texts) - 1,))
            else:
                choices.append(tuple(range(len(templates))))
            if config.per_image_tokens:
                first = len(texts)
                texts.extend(f"{texts[index]} with {PICTURE}" for index in choices[-1])
                owners.extend([picture] * (len(texts) - first))
                files.extend([files[choices[-1][0]]] * (len(texts) - first))
                own.append(tuple(range(first, len(texts))))
            else:
                own.append(())
        return cls(tuple(texts), tuple(owners), tuple(choices), tuple(own), tuple(files))

    def name(self, caption: int) -> str:
        """A caption for messages: what it says, and whose it is."""
        file = self.files[caption]
        return f"the caption {self.texts[caption][:60]!r}" + (f" of {safe(file)}" if file else "")

    def ids(self, tower: TextTower, first: int, count: int, active: int) -> list[list[int]]:
        """Token ids `[captions][window]` of every caption.

        Args:
            first: id of the word's first row; the rows of the pictures' tokens follow its vectors.
            count: vectors of the word.
            active: how many of them are in use.

        Raises:
            InvalidPrompt: a caption does not fit the token window.
        """
        vectors = tuple(range(first, first + active))
        filled = []
        for caption, (text, owner) in enumerate(zip(self.texts, self.owners, strict=True)):
            before, _, after = text.partition(WORD)
            middle, mark, end = after.partition(PICTURE) if owner >= 0 else (after, "", "")
            segments: list[Segment] = [before, vectors, middle]
            if mark:
                segments += [(first + count + owner,), end]
            try:
                filled.append(tower.ids(segments))
            except InvalidPrompt as error:
                raise InvalidPrompt(f"{self.name(caption)} is too long: {error.message}", error.hint) from None
        return filled


def _own_words(text: str, said: str = "") -> str:
    """`text`, in which nothing is written like another word: its letters would be learned from, not the word.

    Args:
        said: what the user wrote, where `text` was made of it.

    Raises:
        InvalidConfig: something is.
    """
    others = placeholders_in(text)
    if others:
        raise InvalidConfig(
            f"the caption {' '.join((said or text).split())[:80]!r} names the word {others[0]}",
            f"write what is seen in plain words; if {others[0]} is the word that is learned, add --token {others[0]!r}",
        )
    return text
