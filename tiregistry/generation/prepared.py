"""`Prepared`: a prompt that was checked and tokenised, from which pictures are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiregistry.concepts import Version
from tiregistry.generation.grammar import WordName
from tiregistry.generation.prompts import PromptPart
from tiregistry.generation.settings import GenerationSettings
from tiregistry.generation.start import StartPicture

if TYPE_CHECKING:
    from tiregistry.generation.conditioning import TokenisedPrompt


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt that was parsed and whose words were found and fit the base model.

    Attributes:
        settings: with everything filled in that was left to the base model, and the picture's size.
        tokens, negative_tokens: as token ids, in chunks that fit the window.
        notes: what the user should know, e.g. that the prompt is longer than the window.
        warnings: what is to be said of its words, the same for every prompt with them: a base model that is not
            recorded, or is only compatible.
    """

    prompt: str
    parts: tuple[PromptPart, ...]
    negative_parts: tuple[PromptPart, ...]
    versions: dict[WordName, Version]
    settings: GenerationSettings
    tokens: TokenisedPrompt
    negative_tokens: TokenisedPrompt
    start: StartPicture | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
