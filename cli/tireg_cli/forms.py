"""How the registry's things look as text and as JSON; shared by the commands that show them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import BaseModel, Concept, Fit, Measurement, SourceImage, Version
from tiregistry.quantities import count

if TYPE_CHECKING:
    from tiregistry.registry.lineage import Ancestor
    from tiregistry.registry.registry import Registry

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def day(seconds: float | None) -> str:
    """A moment as people write it, in local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""


def moment(seconds: float | None) -> str | None:
    """A moment for programs: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds is not None else None


def seconds_of(text: str) -> float:
    """Seconds of `30d`, `12h`, `15m`, `90s`, `2w`; a bare number means seconds.

    Raises:
        InvalidInput: it is no duration.
    """
    from tiregistry.errors import InvalidInput

    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "s")
    try:
        value = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 <= value < 1e11:
        raise InvalidInput(f"{text!r} is no duration", "write e.g. 30d, 12h or 15m")
    return value


def short(digest: str) -> str:
    """The beginning of a digest, long enough to name it."""
    return digest[:19]


def shapes(version: Version) -> str:
    """`2 vectors of 768 (clip_l)`; of words with a part per attention layer only how many there are."""
    if len(version.encoders) > 4:
        return (
            f"{len(version.encoders)} layers, each {count(version.num_vectors, 'vector')} of {version.encoders[0].dim}"
        )
    return ", ".join(f"{count(s.num_vectors, 'vector')} of {s.dim} ({s.encoder})" for s in version.encoders)


def value_text(measured: Measurement) -> str:
    """`0.712 [0.68, 0.74]`: the value and its 95 % interval."""
    interval = "" if measured.low is None or measured.high is None else f" [{measured.low:.3g}, {measured.high:.3g}]"
    return f"{measured.value:.4g}{interval}"


def measurement_data(measured: Measurement) -> dict[str, Any]:
    """A measurement as JSON data."""
    data = asdict(measured) | {"label": measured.label, "measured_at": moment(measured.measured_at)}
    return data if measured.details else {key: value for key, value in data.items() if key != "details"}


def fit_of(concept: Concept, fit: tuple[Fit, int | None]) -> str:
    """`exact`, or `exact (gnome@1)` where the latest version is not the one that fits."""
    kind, number = fit
    return kind if number in (None, concept.latest_number) or kind == "other" else f"{kind} ({concept.name}@{number})"


def concept_data(concept: Concept, fit: tuple[Fit, int | None] | None = None) -> dict[str, Any]:
    """A concept as JSON data."""
    data: dict[str, Any] = {
        "name": concept.name,
        "placeholder_token": concept.placeholder_token,
        "type": concept.concept_type,
        "versions": concept.num_versions,
        "latest": concept.latest_number,
        "aliases": dict(concept.aliases),
        "tags": list(concept.tags),
        "origin": concept.origin,
        "base": concept.base_name,
        "family": concept.family or None,
        "num_vectors": concept.num_vectors,
        "score": concept.score,
        "description": concept.description,
        "notes": concept.notes,
        "licence": concept.licence,
        "created_at": moment(concept.created_at),
        "updated_at": moment(concept.updated_at),
    }
    if concept.deleted_at is not None:
        data["deleted_at"] = moment(concept.deleted_at)
    if fit is not None:
        kind, number = fit
        data |= {"fit": kind, "fitting_version": None if number is None else f"{concept.name}@{number}"}
    return data


def version_data(version: Version) -> dict[str, Any]:
    """A version as JSON data, with its whole manifest."""
    return {
        "reference": version.reference,
        "concept": version.concept,
        "number": version.number,
        "digest": version.digest,
        "placeholder_token": version.placeholder_token,
        "type": version.concept_type,
        "origin": version.origin,
        "embedding_digest": version.embedding_digest,
        "encoders": [asdict(shape) for shape in version.encoders],
        "base": version.base_name,
        "fingerprint": version.fingerprint.as_dict() if version.fingerprint else None,
        "images": [asdict(image) for image in version.images],
        "parents": [asdict(parent) for parent in version.parents],
        "scores": dict(version.scores),
        "measurements": [measurement_data(measured) for measured in version.measurements],
        "notes": version.notes,
        "run": version.run_id,
        "created_at": moment(version.created_at),
        "training": version.manifest.get("training"),
        "manifest": dict(version.manifest),
    }


def base_data(base: BaseModel, *, is_default: bool = False) -> dict[str, Any]:
    """A base model as JSON data."""
    return {
        "name": base.name,
        "source": base.source,
        "revision": base.revision,
        "family": base.family,
        "resolution": base.resolution,
        "default": is_default,
        "fingerprint": base.fingerprint.as_dict(),
        "added_at": moment(base.added_at) if base.added_at else None,
    }


def ancestor(parent: Ancestor) -> str:
    """`continued gnome@1`."""
    where = parent.reference or f"{short(parent.digest)} (not here)"
    return f"{parent.relation} {where}{' (in the trash)' if parent.is_trashed else ''}"


def image_line(image: SourceImage) -> str:
    """`cat.png 640x480 “a photo of <cat>”`; of a picture that stayed elsewhere the size is not known."""
    caption = f" “{image.caption}”" if image.caption else ""
    size = f" {image.width}x{image.height}" if image.width else ""
    return f"{image.filename}{size}{caption}"


# What a reader asks first; the rest follows as it is recorded.
_TOLD_FIRST = (
    "recipe",
    "initializer",
    "max_steps",
    "learning_rate",
    "lr_scheduler",
    "batch_size",
    "seed",
    "num_vectors",
    "resolution",
    "flip",
)


def told_settings(registry: Registry, training: Mapping[str, Any] | None) -> dict[str, Any]:
    """A training configuration for people: the version that it goes on from has its name, masks are counted."""
    told = dict(training or {})
    start = told.get("initializer")
    if isinstance(start, str) and start.startswith("sha256:"):
        told["initializer"] = registry.reference_of(start)
    if isinstance(told.get("masks"), list) and told["masks"]:
        told["masks"] = count(sum(map(bool, told["masks"])), "picture")
    return told


_SETTINGS_TOLD = 12


def settings_line(training: Mapping[str, Any] | None) -> str:
    """The plain values of a training configuration in one line: `steps 500 · lr 0.005`."""
    if not training:
        return ""
    plain = [(k, v) for k, v in training.items() if isinstance(v, (str, int, float)) and v not in ("", None)]
    plain.sort(key=lambda item: _TOLD_FIRST.index(item[0]) if item[0] in _TOLD_FIRST else len(_TOLD_FIRST))
    shown = " · ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in plain[:_SETTINGS_TOLD]
    )
    return shown + (" · …" if len(plain) > _SETTINGS_TOLD else "")
