"""What was measured over several trainings, and how sure it is: the unit is the training, not the picture.

Every training has a seed of its own, and its pictures have noises of their own, so the spread between trainings of one
thing holds both chances. Things are chosen, not drawn: intervals speak of these things.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tiregistry.evaluation.intervals import Interval, Values, student

MEASURES = ("image_alignment", "text_alignment")

Trial = tuple[str, int]
"""A thing's name and a training's seed."""


@dataclass
class Row:
    """One line of a table: what it is, and what each trial gave.

    Attributes:
        group: `word`, `baseline`, `ours` or `reference`: decides the colour in the plot.
        trials: trial to measure to value; a reference without trainings has one trial per thing.
        pictures: trial to measure to the value of each picture, of one prompt (likeness) or of all edits.
    """

    label: str
    group: str = "word"
    trials: dict[Trial, dict[str, float]] = field(default_factory=dict)
    pictures: dict[Trial, dict[str, Values]] = field(default_factory=dict)


def mean(row: Row, measure: str) -> Interval:
    """The mean over things, with its 95 % interval over trainings."""
    return spread({trial: values[measure] for trial, values in row.trials.items()})


def difference(row: Row, other: Row, measure: str) -> Interval | None:
    """Row minus other, trial by trial of those that both have; None when there is none."""
    both = [trial for trial in row.trials if trial in other.trials]
    return spread({t: row.trials[t][measure] - other.trials[t][measure] for t in both}) if both else None


@dataclass(frozen=True)
class Spread:
    """Standard deviations, pooled over words.

    Attributes:
        alone: between pictures of one word.
        of_pairs: of the differences between two words' pictures from the same noises.
        of_trainings: between the values of two trainings of the same, of which `alone` is a part.
        words, pairs: how many they come from.
    """

    alone: float
    of_pairs: float
    of_trainings: float
    words: int
    pairs: int


def spread_of_pictures(rows: Sequence[Row], reference: Row, measure: str) -> Spread:
    """How much single pictures and trainings differ, over all trials of the rows; pairs are with a reference."""
    alone, pairs, trainings = [], [], []
    for row in rows:
        by_thing: dict[str, list[float]] = {}
        for trial, values in row.pictures.items():
            alone.append(float(np.var(values[measure], ddof=1)))
            by_thing.setdefault(trial[0], []).append(float(values[measure].mean()))
            if row is not reference and trial in reference.pictures:
                pairs.append(float(np.var(values[measure] - reference.pictures[trial][measure], ddof=1)))
        trainings += [float(np.var(found, ddof=1)) for found in by_thing.values() if len(found) > 1]

    def root(variances: list[float]) -> float:
        return math.sqrt(float(np.mean(variances))) if variances else math.nan

    return Spread(root(alone), root(pairs), root(trainings), len(alone), len(pairs))


def spread(values: Mapping[Trial, float]) -> Interval:
    """The mean over things of each thing's mean, and Student's 95 % interval from the spread between its trainings.

    All things are taken to spread alike (a pooled variance). With one training of each nothing is known of the spread:
    the ends are infinite.
    """
    things: dict[str, list[float]] = {}
    for (name, _), value in values.items():
        things.setdefault(name, []).append(value)
    centre = float(np.mean([np.mean(found) for found in things.values()]))
    degrees = sum(len(found) - 1 for found in things.values())
    if not degrees:
        return Interval(centre, -math.inf, math.inf)
    pooled = sum(np.var(found) * len(found) for found in things.values()) / degrees
    error = math.sqrt(pooled * sum(1 / len(found) for found in things.values())) / len(things)
    half = student(degrees) * error
    return Interval(centre, centre - half, centre + half)
