"""What a user should know before a training begins, though nothing is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiregistry.bases.locating import EMBEDDED
from tiregistry.errors import ConceptNotFound
from tiregistry.opening import identify_base
from tiregistry.references import name_key
from tiregistry.training.request import TrainingRequest, namesake

if TYPE_CHECKING:
    from tiregistry.concepts import Version
    from tiregistry.registry.registry import Registry

_WHOLE = ("finished", "converged")
"""How trainings end that would end so again."""
_PHOTO = 256
"""Pixels of the shorter side from which a picture is taken for a photo."""


def notes_before(registry: Registry, requests: Sequence[TrainingRequest]) -> list[str]:
    """One line each, of requests as `check_request` returns them."""
    notes = []
    if any(_is_photos_by_default(request) for request in requests):
        notes.append(
            "learned at 64 px on the small built-in model; for real photos name a Stable Diffusion model with --base"
        )
    for request in requests:
        if name := _may_mean_to_go_on(registry, request):
            notes.append(f"starting from the vocabulary's word {name}; --init {name}@latest goes on from your own")
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


def _is_photos_by_default(request: TrainingRequest) -> bool:
    """Whether pictures of which the embedded base model can show little go to it, and nobody asked for it."""
    return (
        request.takes_default_base
        and request.base == EMBEDDED
        and all(min(picture.size) >= _PHOTO for picture in request.pictures)
    )


def _may_mean_to_go_on(registry: Registry, request: TrainingRequest) -> str:
    """The concept's name where it is the initializer too and its newest version could be gone on from; else nothing.

    With pictures that a version was learned from it is that training once more, as is usual while trying settings. An
    initializer that happens to be another concept's name is a word of the vocabulary.
    """
    name = namesake(registry, request.config)
    if not name or name_key(name) != name_key(request.concept):
        return ""
    versions = registry.versions(name)
    base, _, _ = identify_base(registry, request.base, request.revision)
    given = {picture.digest for picture in request.pictures}
    known = any(given == {image.digest for image in version.images} for version in versions)
    return "" if known or not versions or versions[-1].base_name != base else name


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
