"""The prompt grammar: plain text with learned words in angle brackets, `<gnome>`, `<gnome@3>`, `<gnome@best>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tiregistry.errors import InvalidPrompt
from tiregistry.text import safe

MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class WordUse:
    """A learned word named in a prompt.

    Attributes:
        name: what stands before `@`: a concept's name, or the inside of its placeholder token.
        selector: what stands after `@` (number, alias or `sha256:…`), empty for the latest version.
        position: index of `<` in the prompt.
    """

    name: str
    selector: str
    position: int

    @property
    def text(self) -> str:
        """As it was typed."""
        return f"<{self.name}@{self.selector}>" if self.selector else f"<{self.name}>"


PromptPart = str | WordUse

# `\<` is a literal bracket; `<…>` without blanks is a word; anything else is text.
_TOKEN = re.compile(r"\\[<>\\]|<([^<>\s]*)>|<(?=[\w])|[^\\<]+|.", re.DOTALL)


def parse_prompt(prompt: str) -> tuple[PromptPart, ...]:
    """Split a prompt into text and words.

    `\\<`, `\\>` and `\\\\` stand for the character itself; a `<` followed by anything but a letter, a digit or a
    closing bracket is ordinary text, as in `a < b` or `<3`-like faces written with a blank.

    Raises:
        InvalidPrompt: a word is empty or not closed, or the prompt is longer than 20,000 characters.
    """
    if len(prompt) > MAX_CHARACTERS:
        raise InvalidPrompt(f"the prompt has {len(prompt)} characters, more than {MAX_CHARACTERS}", "shorten it")
    parts: list[PromptPart] = []
    text = ""
    for match in _TOKEN.finditer(prompt):
        piece, inner, at = match.group(), match.group(1), match.start()
        if piece[0] == "\\" and len(piece) == 2:
            text += piece[1]
        elif inner is not None:
            name, _, selector = inner.partition("@")
            if not name or (not selector and "@" in inner):
                raise InvalidPrompt(
                    f"{safe(piece)!r} at character {at + 1} names no word", "write <name>, <name@3> or <name@alias>"
                )
            if text:
                parts.append(text)
                text = ""
            parts.append(WordUse(name, selector, at))
        elif piece == "<":
            raise InvalidPrompt(
                f"the word that opens at character {at + 1} is not closed", "write <name>, or \\< for the character"
            )
        else:
            text += piece
    if text:
        parts.append(text)
    return tuple(parts)


def words_in(parts: tuple[PromptPart, ...]) -> list[WordUse]:
    """The learned words of a parsed prompt, in order."""
    return [part for part in parts if isinstance(part, WordUse)]
