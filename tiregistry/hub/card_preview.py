"""The card that a version would have in a repository of its own, before there is one; the network is not asked."""

from __future__ import annotations

from tiregistry.concepts import Version
from tiregistry.hub import card, card_text
from tiregistry.hub.endpoints import slug
from tiregistry.hub.layout import repository_files
from tiregistry.registry.registry import Registry

_OWNER = "you"
"""Whose repository it would be: nobody has said yet."""


def card_of(registry: Registry, version: Version) -> str:
    """The README of the first push of a version.

    Raises:
        InvalidInput: no prompt could use this word.
        Damaged: a file of the version cannot be read.
    """
    word = repository_files(registry, version, version.number).word
    return card_text.compose(card.front_matter(word), card.body(word, f"{_OWNER}/{slug(version.concept).lower()}"))
