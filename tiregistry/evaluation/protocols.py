"""What is generated to measure a word: prompts, numbers of pictures, settings. Only equal protocols compare."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Literal

from tiregistry.bases.locating import EMBEDDED
from tiregistry.concepts import ConceptType
from tiregistry.errors import InvalidConfig
from tiregistry.generation.settings import GenerationSettings
from tiregistry.text import safe

ProtocolName = Literal["quick", "paper"]
PROTOCOLS: tuple[ProtocolName, ...] = ("quick", "paper")
CUSTOM = "custom"
"""What the name of a protocol begins with whose prompts or numbers a user has changed; what it is follows as digits, so
that only equal ones have one name."""

_ARTICLE = re.compile(r"\b(?:an?|the|my|one)\s+(?=\{\})", re.IGNORECASE)
_STYLE_OF = re.compile(r",?\s*\b(?:in|with) the style of\s*(?=\{\})", re.IGNORECASE)

# Each is sensible for real models, and within what the embedded base model can draw.
_QUICK: dict[ConceptType, tuple[str, tuple[str, ...]]] = {
    "object": (
        "a photo of a {}",
        (
            "a photo of a {} on the beach",
            "a photo of a {} in the snow",
            "a photo of a {} in the forest",
            "a photo of a {} at night",
            "a photo of a {} in front of a brick wall",
            "an oil painting of a {}",
            "a watercolor of a {}",
            "a pencil drawing of a {}",
        ),
    ),
    "style": (
        "a painting in the style of {}",
        tuple(
            f"a {thing} in the style of {{}}"
            for thing in ("cat", "house", "tree", "boat", "car", "mug", "teapot", "bird")
        ),
    ),
}
_PAPER: dict[ConceptType, tuple[str, tuple[str, ...]]] = {
    # The prompts that the paper names: a background, a style, a composition with something else.
    "object": ("a photo of {}", ("a photo of {} on the moon", "an oil painting of {}", "Elmo holding a {}")),
    # The paper's prompts are for things; these are as many for styles.
    "style": (
        "a painting in the style of {}",
        ("a cat in the style of {}", "a house in the style of {}", "a boat in the style of {}"),
    ),
}
_PAPER_EMBEDDED: tuple[str, tuple[str, ...]] = (
    # The embedded world has no moon and no Elmo, and one thing per picture.
    "a photo of a {}",
    ("a photo of a {} on the beach", "an oil painting of a {}", "a {} on a wooden table"),
)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture to make. `edit` is the number of its edit prompt, or None for the plain prompt."""

    template: str
    seed: int
    edit: int | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a word is measured.

    Attributes:
        prompt: what image alignment is measured on, with `{}` for the word.
        edits: what text alignment is measured on, each with `{}`.
        pictures: of `prompt`.
        edit_pictures: of each edit.
        seed: of the first picture; every picture has its own, the same for every word.
    """

    name: str
    prompt: str
    edits: tuple[str, ...]
    pictures: int
    edit_pictures: int
    settings: GenerationSettings
    seed: int = 0

    @property
    def total(self) -> int:
        """Pictures in all."""
        return self.pictures + len(self.edits) * self.edit_pictures

    def shots(self) -> list[Shot]:
        """Every picture, in the order of its seed."""
        shots = [Shot(self.prompt, self.seed + n, None) for n in range(self.pictures)]
        for number, edit in enumerate(self.edits):
            shots += [Shot(edit, self.seed + len(shots) + n, number) for n in range(self.edit_pictures)]
        return shots

    def changed(
        self,
        *,
        prompt: str | None = None,
        edits: tuple[str, ...] = (),
        pictures: int | None = None,
        edit_pictures: int | None = None,
        seed: int | None = None,
    ) -> Protocol:
        """With what a user says in place of the protocol's own; see `custom` for its name when anything differs.

        Raises:
            InvalidConfig: a template without `{}`, or a number out of range.
        """
        new = replace(
            self,
            prompt=self.prompt if prompt is None else prompt,
            edits=edits or self.edits,
            pictures=self.pictures if pictures is None else pictures,
            edit_pictures=self.edit_pictures if edit_pictures is None else edit_pictures,
            seed=self.seed if seed is None else seed,
        )
        new.check()
        return new if new == self else new.custom()

    def custom(self, *more: str) -> Protocol:
        """The same, named after what it is: `custom-3f2a91`.

        Args:
            more: what else decides a value, such as the pictures it is compared with.
        """
        told = [self.prompt, self.edits, self.pictures, self.edit_pictures, self.seed, self.settings.as_dict(), more]
        return replace(self, name=f"{CUSTOM}-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:6]}")

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            InvalidConfig: says what.
        """
        for template in (self.prompt, *self.edits):
            if template.count("{}") != 1:
                raise InvalidConfig(f"the prompt {safe(template)!r} has not one place for the word", "write {} there")
        for what, number in (("pictures", self.pictures), ("pictures per edit", self.edit_pictures)):
            if not 2 <= number <= 1000:
                raise InvalidConfig(f"{number} {what} are out of range", "from 2 (to tell a spread) to 1000")
        if not 0 <= self.seed <= 2**62:
            raise InvalidConfig(f"seed {self.seed} is out of range", "from 0 to 2**62")


def protocol(name: str, concept_type: ConceptType, base: str) -> Protocol:
    """The protocol of a name, for a kind of concept.

    `quick`: 8 pictures, and 2 of each of 8 edits. `paper`: 64 pictures of each prompt, 50 DDIM steps, guidance 5, as in
    the paper and its evaluation script (which alone tells the guidance).

    Args:
        base: what the base model is loaded from; the embedded one has paper prompts of its own.

    Raises:
        InvalidConfig: there is no such protocol.
    """
    if name == "quick":
        prompt, edits = _QUICK[concept_type]
        return Protocol(name, prompt, edits, 8, 2, GenerationSettings(num_inference_steps=30, guidance_scale=5.0))
    if name == "paper":
        is_small_world = base == EMBEDDED and concept_type == "object"
        prompt, edits = _PAPER_EMBEDDED if is_small_world else _PAPER[concept_type]
        settings = GenerationSettings(num_inference_steps=50, guidance_scale=5.0, scheduler="ddim")
        return Protocol(name, prompt, edits, 64, 64, settings)
    raise InvalidConfig(f"there is no protocol {safe(name)!r}", f"one of: {', '.join(PROTOCOLS)}")


def without_word(template: str) -> str:
    """What a prompt says beside the word: the placeholder is left out, as in the paper.

    With it goes its article, and "in the style of", which would dangle.
    """
    text = _STYLE_OF.sub("", _ARTICLE.sub("", template))
    return " ".join(text.replace("{}", " ").split())
