"""Rules for placeholder tokens: what may be one, how one is made from a name, and what it collides with."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from tiregistry.errors import InvalidPlaceholder, PlaceholderTaken

MAX_LENGTH = 64
_PLACEHOLDER = re.compile(r"<[^\W_][\w.\-]*>", re.UNICODE)


def placeholders_in(text: str) -> list[str]:
    """What is written like a word's token in a text, in order: `<gnome>`."""
    return _PLACEHOLDER.findall(text)


def placeholder_for(name: str) -> str:
    """The default placeholder token of a concept: its name in angle brackets."""
    return f"<{name}>"


def check_placeholder(token: str) -> str:
    """Return `token` when it may be a placeholder token.

    A placeholder is `<` + a letter or digit + letters, digits, `_`, `-`, `.` + `>`, at most 64 characters. The
    brackets keep it apart from ordinary words, so that a prompt says what it means; `@` is reserved for versions.

    Raises:
        InvalidPlaceholder: the rule is broken; the message proposes a token that works.
    """
    if _PLACEHOLDER.fullmatch(token) and len(token) <= MAX_LENGTH:
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
    owner = next((name for known, name in taken.items() if known.casefold() == token.casefold()), None)
    if owner is not None and owner.casefold() != concept.casefold():
        raise PlaceholderTaken(f"{token} is already the placeholder token of {owner}", "choose another with --token")
    if token in vocabulary or f"{token.lower()}</w>" in vocabulary:
        raise PlaceholderTaken(
            f"{token} is already a word of the base model's vocabulary", "choose another with --token"
        )
