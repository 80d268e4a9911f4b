"""The words of a prompt while it is typed: which are known, and how one that has been begun can go on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

_WORD = re.compile(r"(?<!\\)<([^<>\s]*)>")
_BEGUN = re.compile(r"(?<!\\)<([^<>\s]*)$")
_REST = re.compile(r"([^<>\s]*)>")
_SELECTED_LATE = re.compile(r"(?<!\\)<([^<>\s@]+)(?:@[^<>\s]*)?>@([^<>\s@]*)$")
_OFFERED = 8
"""Completions that there are at most."""


@dataclass(frozen=True)
class Known:
    """What a registry can be asked for in a prompt.

    Attributes:
        tokens: the inside of placeholder tokens, and names, to the concept.
        selectors: of each concept its numbers and aliases.
    """

    tokens: dict[str, str]
    selectors: dict[str, tuple[str, ...]]

    @classmethod
    def read(cls, registry: Registry) -> Known:
        """All words of a registry."""
        owners = registry.placeholders()
        tokens = {token[1:-1]: name for token, name in owners.items()}
        tokens |= {name: name for name in owners.values()} | tokens
        return cls(tokens, {})

    def with_selectors(self, name: str, registry: Registry) -> Known:
        """The same, with the versions of one more concept."""
        concept = registry.concept(name)
        numbers = [str(version.number) for version in registry.versions(name)][::-1]
        return Known(self.tokens, self.selectors | {name: (*concept.aliases, *numbers)})

    def knows(self, word: str) -> bool:
        """Whether `<word>` means something; a selector is believed until the concept's versions are read."""
        name, _, selector = word.partition("@")
        concept = self.tokens.get(name)
        if concept is None:
            return False
        return not selector or concept not in self.selectors or selector in self.selectors[concept] or ":" in selector


def words_of(prompt: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and inside of every word that is closed."""
    for match in _WORD.finditer(prompt):
        yield match.start(), match.end(), match.group(1)


@dataclass(frozen=True)
class Typed:
    """A word that is being typed.

    Attributes:
        part: its inside up to the cursor.
        start, end: what of the prompt the whole word takes the place of.
    """

    part: str
    start: int
    end: int


def begun(prompt: str, cursor: int, known: Known) -> Typed | None:
    """The word that is being typed where the cursor stands; None outside of words, and in one that is known and whole.

    An `@` behind a whole word begins its version, too.
    """
    if match := _BEGUN.search(prompt[:cursor]):
        part, rest = match.group(1), _REST.match(prompt, cursor)
        whole = part + rest.group(1) if rest else ""
        if rest and not whole.endswith("@") and known.knows(whole):
            return None
        return Typed(part, match.start(), rest.end() if rest else cursor)
    if (match := _SELECTED_LATE.search(prompt[:cursor])) and match.group(1) in known.tokens:
        return Typed(f"{match.group(1)}@{match.group(2)}", match.start(), cursor)
    return None


def completions(known: Known, part: str) -> list[str]:
    """Whole words that begin with `part`, then those that contain it, then those that are close."""
    name, at, selector = part.partition("@")
    if at and name in known.tokens:
        numbers = known.selectors.get(known.tokens[name], ())
        return [f"{name}@{number}" for number in numbers if number.startswith(selector)][:_OFFERED]
    lower = part.lower()
    starts = sorted(token for token in known.tokens if token.lower().startswith(lower))
    inside = sorted(token for token in known.tokens if lower in token.lower() and token not in starts)
    return _first([*starts, *inside, *get_close_matches(part, list(known.tokens), n=3)])


def nearest(known: Known, word: str) -> str:
    """The known word that is most like one that is not known; empty where none is."""
    name, at, selector = word.partition("@")
    if name in known.tokens:  # it is the selector that is not known
        return next(iter(get_close_matches(word, completions(known, f"{name}@"), n=1)), name)
    close = next(iter(get_close_matches(name, list(known.tokens), n=1)), "")
    return close + at + selector if close and known.knows(close + at + selector) else close


def _first(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))[:_OFFERED]
