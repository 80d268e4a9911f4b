"""Words of a CLIP tokenizer's vocabulary: whether a phrase is made of them, and what was meant where it is not."""

from __future__ import annotations

from collections.abc import Iterable

from tiregistry.errors import InvalidConfig
from tiregistry.text import safe

_END = "</w>"
"""Marks the last piece of a word in CLIP's vocabulary."""


def check_initializer(phrase: str, vocabulary: Iterable[str], namesake: str = "") -> None:
    """Refuse a phrase with a word that is not one token.

    A misspelt word would otherwise be spelled in pieces, and give a learned word of several meaningless vectors.

    Args:
        vocabulary: every token string of the tokenizer.
        namesake: the concept of that name, when there is one: it may be what was meant.

    Raises:
        InvalidConfig: names the word, and those that are written nearly so.
    """
    whole = {token.removesuffix(_END) for token in vocabulary if token.endswith(_END)}
    for word in phrase.split() or [phrase]:
        if word.lower() not in whole:
            raise InvalidConfig(
                f"the initializer {safe(word)!r} is not a word of the base model's vocabulary",
                f"--init {namesake}@latest goes on from your word {namesake}" if namesake else _advice(word, whole),
            )


def _advice(word: str, whole: Iterable[str]) -> str:
    from difflib import get_close_matches

    if "." in word or "/" in word:
        return "tireg import FILE reads a word from a file; --init NAME@1 then goes on from it"
    close = get_close_matches(word.lower(), whole, n=3, cutoff=0.7)
    return f"did you mean {' or '.join(close)}?" if close else "use an ordinary word, such as toy or object"
