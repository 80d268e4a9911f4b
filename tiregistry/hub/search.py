"""Finds words on the Hub: by the tag that cards carry, and in the concept library, whose cards carry none."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Literal

from tiregistry.bases.locating import EMBEDDED, looks_like_hub_id
from tiregistry.errors import BaseModelNotFound, InvalidInput
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import slug
from tiregistry.hub.trouble import as_mapping
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

LIBRARY = "sd-concepts-library"
TAG = "textual_inversion"
MAX_RESULTS = 500
Sort = Literal["downloads", "likes", "last_modified"]
_EXPAND = ["cardData", "tags", "downloads", "likes", "lastModified", "gated", "private", "sha"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWord:
    """A repository that a search found; every text is safe to show."""

    repo_id: str
    base_models: tuple[str, ...]
    token: str
    """Placeholder token, where the card names it."""
    likes: int
    downloads: int
    updated: str
    """Day of the last change."""
    gated: bool
    here: tuple[str, ...]
    """Versions in this registry that were pulled from it or pushed to it."""

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "repo_id": self.repo_id,
            "base_models": list(self.base_models),
            "token": self.token,
            "likes": self.likes,
            "downloads": self.downloads,
            "updated": self.updated,
            "gated": self.gated,
            "here": list(self.here),
        }


def search_hub(
    registry: Registry,
    hub: Hub,
    text: str = "",
    *,
    base: str = "",
    author: str = "",
    sort: Sort = "downloads",
    limit: int = 20,
) -> list[FoundWord]:
    """Repositories with learned words.

    Args:
        registry: tells which are here already.
        hub: where to search.
        text: part of the repository's name; the Hub looks at nothing else.
        base: only words for this base model: a Hub id, or a name of one here. Of a base model that is not on the Hub
            (the embedded one, a folder) those that tireg pushed under the same name are found.
        author: only of this user or organization.
        sort: `downloads`, `likes` or `last_modified`, highest first.
        limit: most results, 1 to 500.

    Raises:
        InvalidInput: `base` is neither, or `limit` is out of range.
        HubError: the Hub does not answer.
    """
    if not 1 <= limit <= MAX_RESULTS:
        raise InvalidInput(f"--limit {limit} is out of range", f"from 1 to {MAX_RESULTS}")
    hub.watch.begin()
    base_model, base_name = _asked_base(registry, base) if base else ("", "")
    # What is only in the card cannot be filtered by the Hub, so all that tireg pushed is looked through.
    most = MAX_RESULTS if base_name else limit
    common: dict[str, Any] = {"search": text or None, "sort": sort, "limit": most, "expand": _EXPAND}
    filters = [TAG, *([f"base_model:{base_model}"] if base_model else []), *(["tireg"] if base_name else [])]
    found: dict[str, Any] = {}
    if author != LIBRARY:
        for model in hub.models(filter=filters, author=author or None, **common):
            found[str(model.id)] = model
    if author in ("", LIBRARY) and not base_name:
        library = [f"base_model:{base_model}"] if base_model else None
        for model in hub.models(filter=library, author=LIBRARY, **common):
            found.setdefault(str(model.id), model)
    here: dict[str, list[str]] = {}
    for remote in registry.remotes():
        if remote.endpoint == hub.endpoint.url and remote.version not in here.setdefault(remote.repo_id, []):
            here[remote.repo_id].append(remote.version)
    words = [_word(model, here) for model in found.values()]
    if base_name:
        words = [word for word in words if word.base_models == (base_name,)]
    keys = {"downloads": lambda w: w.downloads, "likes": lambda w: w.likes, "last_modified": lambda w: w.updated}
    return sorted(words, key=keys[sort], reverse=True)[:limit]


def _asked_base(registry: Registry, base: str) -> tuple[str, str]:
    """The Hub id of a base model, or where it has none the name that a push gives it; the other is empty.

    Raises:
        InvalidInput: it is neither a name here nor a Hub id.
    """
    name, source = "", base
    with contextlib.suppress(BaseModelNotFound):  # it may be no registered name
        known = registry.base(base)
        name, source = known.name, known.source
    if EMBEDDED in (base, source):
        return "", EMBEDDED
    if looks_like_hub_id(source):
        return source, ""
    if name:
        return "", slug(name)
    raise InvalidInput(
        f"{safe(base, limit=100)!r} is no base model of the Hub and none of yours",
        "tireg base list names yours; one of the Hub is called like stable-diffusion-v1-5/stable-diffusion-v1-5",
    )


def _word(model: Any, here: dict[str, list[str]]) -> FoundWord:
    """What a listing says, nothing of it believed to have the right type."""
    card = as_mapping(model.card_data.to_dict() if model.card_data is not None else {})
    bases = card.get("base_model")
    if not bases:
        tags = [tag for tag in model.tags or () if isinstance(tag, str) and tag.startswith("base_model:")]
        bases = list(dict.fromkeys(tag.split(":")[-1] for tag in tags)) or as_mapping(card.get("tireg")).get("base")
    token = as_mapping(card.get("tireg")).get("token", "")
    modified = model.last_modified
    return FoundWord(
        repo_id=safe(model.id, limit=200),
        base_models=tuple(
            safe(b, limit=200) for b in (bases if isinstance(bases, list) else [bases])[:5] if b and isinstance(b, str)
        ),
        token=safe(token, limit=100) if isinstance(token, str) else "",
        likes=_count(model.likes),
        downloads=_count(model.downloads),
        updated=modified.date().isoformat() if modified is not None else "",
        gated=bool(model.gated),
        here=tuple(sorted(here.get(str(model.id), ()), key=_by_number, reverse=True)),
    )


def _by_number(reference: str) -> tuple[str, int]:
    name, _, number = reference.rpartition("@")
    return name, int(number)


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 10**12 else 0
