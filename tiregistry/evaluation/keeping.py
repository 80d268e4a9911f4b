"""Results of an evaluation as measurements of a version, kept in the registry."""

from __future__ import annotations

from tiregistry import __version__
from tiregistry.concepts import Measurement
from tiregistry.evaluation.evaluating import Evaluation
from tiregistry.evaluation.intervals import RESAMPLES
from tiregistry.evaluation.measures import DINO


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
