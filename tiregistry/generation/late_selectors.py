"""A version that stands behind its word, `<gnome>@best`, and so is text, where `<gnome@best>` was meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiregistry.errors import TiregError
from tiregistry.generation.grammar import WordName
from tiregistry.generation.words import resolve_words

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry

# A word, perhaps with a version of its own, and what could be another one behind it; `\<` and `\@` are plain text.
_LATE = re.compile(r"(?<!\\)<([^<>\s@~]+)(?:@[^<>\s~]*)?>@([^\W_](?:[\w.-]*\w)?)")


def written_late(prompt: str) -> list[str]:
    """Every word of a prompt with an `@name` directly behind it, as it stands there, whatever the registry knows."""
    return [match.group() for match in _LATE.finditer(prompt)]


def late_selectors(registry: Registry, prompt: str) -> list[str]:
    """What is to be said of a prompt in which a version or alias of a word stands behind the word; a line for each.

    Args:
        prompt: with alternatives and wildcards, or without.
    """
    said = []
    for match in _LATE.finditer(prompt):
        meant = WordName(*match.groups())
        try:
            resolve_words(registry, [(meant, match.start())])
        except TiregError:  # no such word or version: it is text, or is refused elsewhere
            continue
        text = f"@{meant.selector}"
        said.append(f"{match.group()} holds the text {text}; the version is written {meant.text}, plain text \\{text}")
    return list(dict.fromkeys(said))
