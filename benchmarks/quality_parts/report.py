"""The tables: where each recipe ends, and how soon it is where the diffusers recipe ends."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.quality_parts.records import Records
from benchmarks.quality_parts.training import Training

REFERENCE = "diffusers"


def report(records: Records, trainings: Sequence[Training], peer_step: float) -> None:
    """Print the tables for the trainings that have ended and been judged."""
    done: dict[str, dict[tuple[str, int], Training]] = {}
    for training in trainings:
        end = records.ends.get(training.key)
        if end and end["step"] in records.scores.get(training.key, {}):
            done.setdefault(training.recipe, {})[training.concept.name, training.seed] = training
    recipes = [recipe for recipe in dict.fromkeys(t.recipe for t in trainings) if recipe in done]
    print("\nat the end of each training (mean ± standard deviation; time in CPU seconds, one thread)")
    print(f"{'recipe':44} {'n':>3} {'steps':>9} {'s/step':>7} {'seconds':>8} {'image':>14} {'text':>14}")
    for recipe in recipes:
        found = list(done[recipe].values())
        ends = [_end(records, t) for t in found]
        step = _step_time(records, recipe, peer_step)
        steps = [records.ends[t.key]["step"] for t in found]
        total = statistics.mean(steps) * step + records.timings[recipe]["setup"]
        print(
            f"{recipe:44} {len(found):>3} {statistics.mean(steps):>9.0f} {step:>7.3f} {total:>8.1f} "
            f"{_spread([image for image, _ in ends]):>14} {_spread([text for _, text in ends]):>14}"
        )
    if REFERENCE in done:
        for recipe in recipes:
            if recipe != REFERENCE:
                _against(records, recipe, done[recipe], done[REFERENCE], peer_step)


def _against(
    records: Records,
    recipe: str,
    mine: dict[tuple[str, int], Training],
    theirs: dict[tuple[str, int], Training],
    peer_step: float,
) -> None:
    """One recipe against the reference, on the concepts and seeds that both have learned."""
    both = sorted(set(mine) & set(theirs))
    if not both:
        return
    pairs = [(mine[one], theirs[one]) for one in both]
    images = [_end(records, a)[0] - _end(records, b)[0] for a, b in pairs]
    texts = [_end(records, a)[1] - _end(records, b)[1] for a, b in pairs]
    print(f"\n{recipe} against {REFERENCE}, {len(both)} pairs of the same concept and seed")
    print(f"  end point: image {_difference(images)}, text {_difference(texts)}")
    target = [statistics.mean(values) for values in zip(*(_end(records, b) for _, b in pairs), strict=True)]
    for share in range(len(pairs[0][0].looks)):
        if not all(_is_judged(records, a, share) for a, _ in pairs):  # with --ends only the last is
            continue
        # Early stops end before their last looks: from there on the registered word is what counts.
        looks = [_at(records, a, share) for a, _ in pairs]
        image, text = (statistics.mean(look[i] for look in looks) for i in (1, 2))
        if image >= target[0] and text >= target[1]:
            steps = statistics.mean(look[0] for look in looks)
            seconds = steps * _step_time(records, recipe, peer_step) + records.timings[recipe]["setup"]
            longest = statistics.mean(records.ends[b.key]["step"] for _, b in pairs)
            reference = longest * _step_time(records, REFERENCE, peer_step) + records.timings[REFERENCE]["setup"]
            print(
                f"  has both means of {REFERENCE}'s end point after {steps:.0f} steps, {seconds:.1f} s instead of "
                f"{reference:.1f} s: {reference / seconds:.1f} x less time"
            )
            break
    else:
        print(f"  never has both means of {REFERENCE}'s end point (image {target[0]:.4f}, text {target[1]:.4f})")


def _at(records: Records, training: Training, look: int) -> tuple[int, float, float]:
    """Step, image and text score at a look, or at the end where the training had ended before."""
    scores = records.scores[training.key]
    step = _step_at(records, training, look)
    return step, *scores[step]


def _step_at(records: Records, training: Training, look: int) -> int:
    return min(training.looks[look], int(records.ends[training.key]["step"]))


def _is_judged(records: Records, training: Training, look: int) -> bool:
    return _step_at(records, training, look) in records.scores[training.key]


def _end(records: Records, training: Training) -> tuple[float, float]:
    return records.scores[training.key][records.ends[training.key]["step"]]


def _step_time(records: Records, recipe: str, peer_step: float) -> float:
    return peer_step if recipe == REFERENCE and peer_step else records.timings[recipe]["step"]


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.4f} ± {statistics.pstdev(values):.3f}"


def _difference(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):+.4f} (standard error {error:.4f})"
