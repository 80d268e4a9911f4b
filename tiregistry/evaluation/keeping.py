"""Results of an evaluation as measurements of a version, kept in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tiregistry import __version__
from tiregistry.concepts import Measurement, Version
from tiregistry.evaluation.evaluating import Evaluation
from tiregistry.evaluation.intervals import RESAMPLES
from tiregistry.evaluation.measures import DINO

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def keep_measurements(registry: Registry, version: Version, measured: Sequence[Measurement]) -> None:
    """Add to a version's record what does not merely repeat the newest measurement of its label."""
    newest = {one.label: one for one in registry.measurements(version)}
    registry.add_measurements(version, [one for one in measured if not _repeats(one, newest.get(one.label))])


def _repeats(new: Measurement, known: Measurement | None) -> bool:
    return known is not None and replace(known, measured_at=new.measured_at) == new


def measurements(evaluation: Evaluation, base_name: str) -> list[Measurement]:
    """What `Registry.add_measurements` keeps: every measure with its interval and what is needed to understand it."""
    protocol = evaluation.protocol
    details = {
        "base": base_name,
        "prompt": protocol.prompt,
        "edits": dict(zip(protocol.edits, (round(v, 6) for v in evaluation.per_edit()), strict=True)),
        "pictures": protocol.pictures,
        "edit_pictures": protocol.edit_pictures,
        "seed": protocol.seed,
        "settings": protocol.settings.as_dict(),
        "sources": evaluation.sources,
        "judge_digest": evaluation.judge_digest,
        "resamples": RESAMPLES,
        "tiregistry": __version__,
    }
    return [
        Measurement(
            measure,
            interval.value,
            interval.low,
            interval.high,
            protocol.name,
            evaluation.dino_judge if measure == DINO else evaluation.judge,
            details,
        )
        for measure, interval in evaluation.intervals().items()
    ]
