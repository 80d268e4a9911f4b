"""Description, licence and tags: they travel with a word, but its digest does not cover them, so both sides may change.

What was seen last in a repository tells which side did: that side's wording is the newer one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tiregistry.concepts import Concept
from tiregistry.errors import Damaged, TiregError
from tiregistry.hub.card import licence_of
from tiregistry.hub.card_text import split
from tiregistry.hub.client import Hub
from tiregistry.hub.heads import Head, head_at
from tiregistry.hub.layout import CARD, MAX_TEXT
from tiregistry.hub.shared_word import SharedWord
from tiregistry.hub.trouble import RepositoryNotFound
from tiregistry.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said about a word, here or there."""

    description: str = ""
    licence: str = ""
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, source: Concept | SharedWord) -> Labels:
        """The labels of a concept here, or of a word in a repository."""
        return cls(source.description, source.licence, frozenset(tag.lower() for tag in source.tags))


def with_card(word: SharedWord, fields: Mapping[str, Any]) -> SharedWord:
    """The word with the licence of its card, where somebody changed it there.

    Args:
        word: the word at a commit.
        fields: front matter of the card at that commit.
    """
    return replace(word, licence=licence_of(word, fields))


def merged(base: Labels | None, ours: Labels, theirs: Labels) -> Labels:
    """Each label as whoever changed it since `base` says; ours where both did.

    Without a base nothing is known to have been taken away.
    """
    if base is None:
        return Labels(ours.description or theirs.description, ours.licence or theirs.licence, ours.tags | theirs.tags)

    def newer(before: str, here: str, there: str) -> str:
        return there if here == before else here

    return Labels(
        newer(base.description, ours.description, theirs.description),
        newer(base.licence, ours.licence, theirs.licence),
        (ours.tags | (theirs.tags - base.tags)) - (base.tags - theirs.tags),
    )


def take_labels(registry: Registry, hub: Hub, repo_id: str, concept: Concept, word: SharedWord, commit: str) -> str:
    """Take over what was changed there since it was seen last; return what was, in words.

    Args:
        registry: where the concept is.
        hub: where the repository is.
        repo_id: the repository.
        concept: the word here.
        word: the word there, at `commit`.
        commit: which is not yet remembered here.
    """
    ours, theirs = Labels.of(concept), Labels.of(word)
    if ours == theirs:
        return ""
    wanted = merged(_seen_last(registry, hub, repo_id, concept, commit), ours, theirs)
    taken = []
    for what in ("description", "licence"):
        if getattr(wanted, what) != getattr(ours, what):
            registry.describe(concept.name, **{what: getattr(wanted, what)})
            taken.append(what)
    before = registry.concept(concept.name).tags
    for tag in wanted.tags - ours.tags:
        with contextlib.suppress(TiregError):  # what is a tag elsewhere may be none here
            registry.tag(concept.name, add=[tag])
    registry.tag(concept.name, remove=ours.tags - wanted.tags)
    if registry.concept(concept.name).tags != before:
        taken.append("tags")
    return f"its {' and '.join(taken)} changed there, and here now too" if taken else ""


def _seen_last(registry: Registry, hub: Hub, repo_id: str, concept: Concept, commit: str) -> Labels | None:
    """The labels at the commit of this repository that was pulled or pushed last, before `commit`."""
    for remote in registry.remotes(repo_id=repo_id):
        is_this_word = remote.version.rpartition("@")[0] == concept.name and remote.endpoint == hub.endpoint.url
        if not is_this_word or remote.revision.startswith("refs/pr/") or remote.commit_sha == commit:
            continue
        try:
            head = head_at(hub, hub.info(repo_id, remote.commit_sha))
            return Labels.of(with_card(head.word, _card_of(hub, head))) if head.word is not None else None
        except (RepositoryNotFound, Damaged):  # the repository was made anew
            return None
    return None


def _card_of(hub: Hub, head: Head) -> Mapping[str, Any]:
    """Front matter at a commit."""
    file = head.files.get(CARD)
    if file is None or file.size > MAX_TEXT:
        return {}
    return split(hub.read(head.info.repo_id, head.info.sha, file, MAX_TEXT).decode("utf-8", "replace"))[0]
