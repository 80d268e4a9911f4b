"""Rules for placeholder tokens: what may be one, how one is made from a name, and what it collides with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Mapping

from tiregistry.errors import InvalidPlaceholder, PlaceholderTaken
from tiregistry.references import MAX_NAME, name_key

MAX_LENGTH = MAX_NAME + 2
_CANDIDATE = re.compile(r"<[^\W_][^<>\s]*>")
_INNER = re.compile(r"[\w.\-]")


def placeholders_in(text: str) -> list[str]:
    """What is written like a word's token in a text, in order: `<gnome>`."""
    return [found for found in _CANDIDATE.findall(text) if _is_placeholder(found)]


def _is_placeholder(text: str) -> bool:
    # Marks (category M) belong to letters in many scripts, and are no part of `\w`.
    return bool(_CANDIDATE.fullmatch(text)) and all(
        _INNER.match(character) or unicodedata.category(character)[0] == "M" for character in text[1:-1]
    )


def placeholder_for(name: str) -> str:
    """The default placeholder token of a concept: its name in angle brackets."""
    return f"<{name}>"


def check_placeholder(token: str) -> str:
    """Return `token` in NFC when it may be a placeholder token.

    A placeholder is `<` + a letter or digit + letters, digits, `_`, `-`, `.` + `>`, at most 66 characters. The
    brackets keep it apart from ordinary words, so that a prompt says what it means; `@` is reserved for versions.

    Raises:
        InvalidPlaceholder: the rule is broken; the message proposes a token that works.
    """
    token = unicodedata.normalize("NFC", token)
    if _is_placeholder(token) and len(token) <= MAX_LENGTH:
        return token
    inner = re.sub(r"[^\w.\-]+", "-", token.strip("<> ").strip()).strip("-_.")[: MAX_LENGTH - 2]
    advice = f'try "<{inner}>"' if inner else 'for example "<gnome>"'
    if len(token) > MAX_LENGTH:
        raise InvalidPlaceholder(f"the placeholder token is longer than {MAX_LENGTH} characters", advice)
    raise InvalidPlaceholder(
        f"{token!r} cannot be a placeholder token: it is written in angle brackets, without spaces", advice
    )


def check_free(token: str, concept: str, taken: Mapping[str, str], vocabulary: Container[str]) -> None:
    """Refuse a placeholder that already means something else.

    Args:
        token: a valid placeholder token.
        concept: the concept that wants it.
        taken: placeholder token to concept name, from the registry.
        vocabulary: the tokenizer's whole vocabulary (`in` is enough), with CLIP's `</w>` endings.

    Raises:
        PlaceholderTaken: it is a single word of the vocabulary, or another concept's placeholder.
    """
    # CLIP's tokenizers know no case, so neither do names and tokens.
    owner = next((name for known, name in taken.items() if name_key(known) == name_key(token)), None)
    if owner is not None and name_key(owner) != name_key(concept):
        raise PlaceholderTaken(f"{token} is already the placeholder token of {owner}", "choose another with --token")
    if token in vocabulary or f"{token.lower()}</w>" in vocabulary:
        raise PlaceholderTaken(
            f"{token} is already a word of the base model's vocabulary", "choose another with --token"
        )
