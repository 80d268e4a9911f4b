"""How many pictures a difference needs: the spread of both measures, from pictures of a word and of its initializer.

Prints, for image and text alignment: the standard deviation between pictures of one prompt; that of the difference
between two words' pictures from the same noise; from the latter, how many pictures (of each word) make differences of
0.01, 0.02 and 0.05 clear: n = (2.8 * sd / difference)^2, which finds a true difference in four of five attempts at the
95 % level. For text alignment n counts the pictures of all edits together. The last column says how often the 95 %
interval of 8 pictures drawn from all of them held the mean of all.

Examples:
  python benchmarks/evaluation_spread.py gnome
  TIREG_HOME=./home python benchmarks/evaluation_spread.py gnome --pictures 64 --edit-pictures 8
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import numpy as np  # noqa: E402

from tiregistry.evaluation.intervals import interval_of, resampled_means  # noqa: E402
from tiregistry.evaluation.planning import INITIALIZER, EvaluationRequest, plan  # noqa: E402
from tiregistry.registry.registry import Registry  # noqa: E402

POWER = 2.8  # 1.96 for the level, 0.84 for finding it in four of five attempts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--edit-pictures", type=int, default=4)
    parser.add_argument("--against", default=INITIALIZER)
    options = parser.parse_args()
    with Registry.open() as registry:
        request = EvaluationRequest(
            references=[options.reference],
            against=options.against,
            pictures=options.pictures,
            edit_pictures=options.edit_pictures,
        )
        (found,) = plan(registry, request).carry_out(registry, keep=False)
    assert found.against is not None
    one, other = found.evaluation, found.against
    assert one.image is not None
    assert other.image is not None
    numbers = f"{options.pictures} pictures, {options.edit_pictures} per edit"
    print(f"{one.subject.label} against {other.subject.label}: {numbers}, judged by {one.judge}")
    needed = "".join(f"{f'n for {difference}':>12}" for difference in (0.01, 0.02, 0.05))
    print(f"{'':16}{'sd':>8}{'sd of pairs':>14}{needed}{'held':>8}")
    _line("image alignment", [one.image], [one.image - other.image])
    _line("text alignment", list(one.texts), [a - b for a, b in zip(one.texts, other.texts, strict=True)])


def _line(name: str, values: list[np.ndarray], pairs: list[np.ndarray]) -> None:
    spread, of_pairs = _within(values), _within(pairs)
    needed = [int(np.ceil((POWER * of_pairs / difference) ** 2)) for difference in (0.01, 0.02, 0.05)]
    held = _held(values[0]) if len(values) == 1 and len(values[0]) >= 16 else float("nan")
    print(f"{name:16}{spread:8.4f}{of_pairs:14.4f}" + "".join(f"{n:12}" for n in needed) + f"{held:8.2f}")


def _within(strata: list[np.ndarray]) -> float:
    """Standard deviation between pictures of one prompt."""
    return float(np.sqrt(np.mean([values.var(ddof=1) for values in strata])))


def _held(values: np.ndarray, size: int = 8, attempts: int = 500) -> float:
    """How often the interval of `size` of the pictures holds the mean of all."""
    source = np.random.default_rng(0)
    hits = 0
    for _ in range(attempts):
        chosen = source.choice(values, size, replace=True)
        interval = interval_of(resampled_means([chosen], 500)[:, 0, 0])
        hits += interval.low <= values.mean() <= interval.high
    return hits / attempts


if __name__ == "__main__":
    main()
