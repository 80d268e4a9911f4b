"""What a user should know before a training begins, though nothing is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiregistry.errors import ConceptNotFound
from tiregistry.opening import identify_base
from tiregistry.training.request import TrainingRequest, namesake

if TYPE_CHECKING:
    from tiregistry.concepts import Version
    from tiregistry.registry.registry import Registry

_WHOLE = ("finished", "converged")
"""How trainings end that would end so again."""


def notes_before(registry: Registry, requests: Sequence[TrainingRequest]) -> list[str]:
    """One line each, of requests as `check_request` returns them."""
    names = dict.fromkeys(namesake(registry, request.config) for request in requests)
    notes = [
        f"starting from the vocabulary's word {name}; --init {name}@latest goes on from your own"
        for name in names
        if name
    ]
    for request in requests:
        words, room = request.config.initializer.split(), request.config.num_vectors
        if room is not None and len(words) > room and not request.config.continues_version:
            many = "1 vector has" if room == 1 else f"{room} vectors have"
            start = " ".join(words[-room:])
            notes.append(f"{request.concept}: {many} no room for all of {' '.join(words)!r}: starting from {start!r}")
        version = learned_like_this(registry, request)
        if version is not None:
            notes.append(
                f"{version.reference} was learned from the same pictures with the same settings; "
                "on the same device it comes out the same · another --seed makes another"
            )
    return notes


def learned_like_this(registry: Registry, request: TrainingRequest) -> Version | None:
    """The concept's newest version that a checked request would make once more, as far as settings decide it."""
    settings = json.loads(json.dumps(request.config.as_dict()))
    base, _, _ = identify_base(registry, request.base, request.revision)
    pictures = [
        (picture.digest, caption) for picture, caption in zip(request.pictures, request.all_captions, strict=True)
    ]
    try:
        versions = registry.versions(request.concept)
    except ConceptNotFound:
        return None
    for version in reversed(versions):
        if (
            version.manifest["training"] == settings
            and version.base_name == base
            and version.placeholder_token == request.placeholder_token
            and [(image.digest, image.caption) for image in version.images] == pictures
            and registry.record(version).get("stop_reason") in _WHOLE
        ):
            return version
    return None
