"""What kinds of pictures a word gives: each is taken for the one of several texts that a judge finds nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tiregistry.errors import InvalidConfig
from tiregistry.evaluation.intervals import COVERAGE, RESAMPLES, Interval, Values, interval_of
from tiregistry.evaluation.measures import Features
from tiregistry.generation.grammar import parse_tree
from tiregistry.generation.prompts import names_in, parse_prompt
from tiregistry.generation.templates import expand

Kinds = np.ndarray[Any, np.dtype[np.int64]]
"""Int64 `[n]`: the number of each picture's kind."""

MOST = 100


def read_kinds(text: str) -> tuple[str, ...]:
    """The texts of `a {red|blue} flower`, in the grammar of prompts.

    Raises:
        InvalidPrompt: it cannot be parsed.
        InvalidConfig: it stands for fewer than two different texts or more than 100, or names a word.
    """
    # An alternative may be empty, and two may read the same.
    found = [one for one in dict.fromkeys(" ".join(one.split()) for one in expand(parse_tree(text))) if one]
    if not 2 <= len(found) <= MOST:
        raise InvalidConfig(
            f"a judge chooses among 2 to {MOST} kinds, and --kinds names {len(found)}",
            "write them as in 'a photo of a {red|blue} flower'",
        )
    if any(names_in(parse_prompt(one)) for one in found):
        raise InvalidConfig("a kind is plain text for the judge, without learned words", "leave <…> out of --kinds")
    return tuple("".join(str(part.content) for part in parse_prompt(one)) for one in found)


def nearest(made: Features, texts: Features) -> Kinds:
    """Per picture `[n]` which of the texts `[kinds, dim]` has the highest cosine with it: zero-shot classification."""
    return np.asarray((made.astype(np.float64) @ texts.astype(np.float64).T).argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class KindsFound:
    """What the pictures of one subject were taken for.

    Attributes:
        texts: the kinds.
        taken: per picture the number of its kind.
    """

    texts: tuple[str, ...]
    taken: Kinds

    @property
    def counts(self) -> list[int]:
        """Pictures of each kind."""
        return [int(n) for n in np.bincount(self.taken, minlength=len(self.texts))]

    def variety(self) -> Interval:
        """The chance that two different pictures are of different kinds: 0 when all are alike.

        Pictures that are all alike cannot be drawn again otherwise; what they leave possible is that a share
        p of pictures is of another kind, with (1 - p)^n = 0.05.
        """
        interval = interval_of(_draws([self])[:, 0])
        if interval.value > 0:
            return interval
        other = min(0.5, 1 - (1 - COVERAGE) ** (1 / len(self.taken)))
        return replace(interval, high=2 * other * (1 - other))


def variety_difference(a: KindsFound, b: KindsFound) -> Interval:
    """Variety of `a` minus that of `b`, whose pictures began, one by one, as the same noise."""
    draws = _draws([a, b])
    return interval_of(draws[:, 0] - draws[:, 1])


def _draws(found: Sequence[KindsFound]) -> Values:
    """`[1 + resamples, subjects]`: variety as measured, and as it could as well have come out.

    Variety is 1 - sum n_i (n_i - 1) / (n (n - 1)), the unbiased form of Simpson's index (Simpson 1949). A resample
    holds pictures twice, which makes it less various than it should be: what counts is how far it is from the
    resamples' mean.
    """
    count = len(found[0].taken)
    source = np.random.default_rng(0)
    rows = source.integers(count, size=(RESAMPLES, count))
    columns = []
    for one in found:
        counts = np.asarray(one.counts, dtype=np.float64)
        measured = 1 - (counts * (counts - 1)).sum() / (count * (count - 1))
        drawn = np.stack([(one.taken[rows] == kind).mean(axis=1) for kind in range(len(one.texts))])
        plain = 1 - (drawn**2).sum(axis=0)
        spread = (plain - plain.mean()) * np.sqrt(count / (count - 1))
        columns.append(np.concatenate([[measured], np.clip(measured + spread, 0, 1)]))
    return np.stack(columns, axis=1)
