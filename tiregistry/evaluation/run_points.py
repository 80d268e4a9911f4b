"""A run's checkpoints as subjects, and making a version of the best of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tiregistry.concepts import Fingerprint, Run, Version
from tiregistry.errors import Damaged, NotFound
from tiregistry.evaluation.subjects import Subject
from tiregistry.training.registering import trained_version
from tiregistry.training.request import request_of
from tiregistry.training.run_state import run_folder
from tiregistry.training.trail import TrailPoint, trail

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def subjects_of_run(registry: Registry, run: Run, most: int = 0) -> list[Subject]:
    """The word as it was at each checkpoint, by step; then the run's version, when that has other vectors.

    Args:
        most: at most so many checkpoints, evenly spread, the last included; 0 takes all.

    Raises:
        NotFound: the run kept no vectors.
    """
    points = trail(run_folder(registry, run.id))
    if not points:
        raise NotFound(f"run {run.id} has kept no checkpoints", "measure its word: tireg eval NAME")
    if most and len(points) > most:
        spread = {round((n + 1) * len(points) / most) - 1 for n in range(most)}
        points = [point for n, point in enumerate(points) if n in spread]
    subjects = [_subject(run, point) for point in points]
    final = _version_of(registry, run)
    if final is not None and all(s.identity != final.embedding_digest for s in subjects):
        subjects.append(Subject(final.reference, final))
    return subjects


def register_point(registry: Registry, run: Run, subject: Subject) -> Version:
    """The version with a subject's vectors: the run's own, or a new one with the run's pictures and configuration.

    Raises:
        Damaged: the run's record or a picture is not what it was.
        Conflict, PlaceholderTaken: the concept has changed since.
    """
    if subject.embedding is None:
        assert subject.version is not None
        return subject.version
    final = _version_of(registry, run)
    if final is not None and final.embedding_digest == subject.identity:
        return final
    request, images = request_of(registry, run)
    request = replace(request, concept=run.concept)  # which may have another name by now
    base = str(run.config["base"]["name"]), Fingerprint.from_dict(run.config["base"]["fingerprint"])
    record = {"steps": subject.step, "stop_reason": "checkpoint", "kept_step": subject.step}
    return registry.add_version(trained_version(registry, request, images, base, run.id, record), subject.embedding)


def _subject(run: Run, point: TrailPoint) -> Subject:
    try:
        base = run.config["base"]
        version = Version(
            id=0,
            concept=run.concept,
            number=point.step,
            digest=f"run:{run.id}:{point.step}",
            placeholder_token=str(run.config["placeholder_token"]),
            concept_type=run.config["training"]["concept_type"],
            embedding_digest="",
            encoders=(),
            origin="trained",
            fingerprint=Fingerprint.from_dict(base["fingerprint"]),
            base_name=str(base["name"]),
            manifest={"training": run.config["training"]},
        )
    except (KeyError, TypeError) as error:
        raise Damaged(f"run {run.id} has no {error} in its record", "start the training again") from None
    return Subject(f"step {point.step}", version, point.embedding(), step=point.step)


def _version_of(registry: Registry, run: Run) -> Version | None:
    if run.version_id is None:
        return None
    version = registry.version_by_id(run.version_id)
    return version if version.deleted_at is None else None
