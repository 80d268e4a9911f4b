"""Tables, plots, grids and verdicts of the experiments."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.paper.lab import Lab
from benchmarks.paper.trials import MEASURES, Row, difference, mean, spread_of_pictures
from tiregistry.evaluation.intervals import Interval

HOW = (
    "Means over things; in brackets the difference from {}, training by training from the same noises, with a star "
    "where its 95 % interval leaves out zero. The unit is the training: intervals come from the spread between the "
    "trainings of each thing (Student's t, variance pooled over things) and speak of these things, prompts and this "
    "judge. With so many comparisons one star in twenty is chance."
)


POWER = 2.8
"""1.96 for the 95 % level, 0.84 for finding a true difference in four of five attempts."""


def table(rows: Sequence[Row], reference: Row) -> str:
    """A markdown table: each row's means, and its differences from a reference row."""
    lines = [
        f"| | {' | '.join(measure.replace('_', ' ') for measure in MEASURES)} | trainings |",
        f"|---|{'---|' * len(MEASURES)}---|",
    ]
    for row in rows:
        cells = []
        for measure in MEASURES:
            cell = f"{mean(row, measure).value:.3f}"
            apart = None if row is reference or row.group == "reference" else difference(row, reference, measure)
            if apart is not None:
                cell += f" ({apart.value:+.3f}{'*' if apart.excludes_zero else ''} {span(apart)})"
            cells.append(cell)
        count = "" if row.group in ("reference", "baseline") else str(len(row.trials))
        lines.append(f"| {row.label} | {' | '.join(cells)} | {count} |")
    return "\n".join(lines)


def by_thing(rows: Sequence[Row], names: Sequence[str], measure: str) -> str:
    """A markdown table: each row's mean over its trainings, per thing, and the trainings behind it."""
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for row in rows:
        cells = []
        for name in names:
            found = [values[measure] for (thing, _), values in row.trials.items() if thing == name]
            each = ", ".join(f"{value:.3f}" for value in found)
            cells.append(f"{sum(found) / len(found):.3f} ({each})" if found else "(its own kind)")
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread_text(rows: Sequence[Row], reference: Row) -> str:
    """How much pictures and trainings differ, and how many make a difference clear, as a markdown table."""
    found = {measure: spread_of_pictures(rows, reference, measure) for measure in MEASURES}
    one = found[MEASURES[0]]
    apart = (0.01, 0.02, 0.05)
    heads = [f"pictures for {d}" for d in apart] + [f"trainings for {d}" for d in apart]
    meaning = (
        f"Standard deviations pooled over {one.words} words and {one.pairs} pairs with the {reference.label}, and how "
        f"many (of each of two words) find a true difference in four of five attempts, n = ({POWER} sd / difference)^2 "
        "with the sd of pairs, or of two trainings' difference. Pictures say that these two words differ; trainings "
        "that two ways of learning do."
    )
    lines = [
        meaning,
        "",
        f"| | sd | sd of pairs | sd of trainings | {' | '.join(heads)} |",
        f"|---|{'---|' * (3 + len(heads))}",
    ]
    for measure, spread in found.items():
        sds = [spread.alone, spread.of_pairs, spread.of_trainings]
        needed = [(sd, d) for sd in (spread.of_pairs, math.sqrt(2) * spread.of_trainings) for d in apart]
        counts = [f"{math.ceil((POWER * sd / d) ** 2)}" if math.isfinite(sd) else "unknown" for sd, d in needed]
        lines.append(f"| {measure.replace('_', ' ')} | {' | '.join([f'{sd:.3f}' for sd in sds] + counts)} |")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path, title: str) -> None:
    """Reconstruction against editability, as the paper's figure has it."""
    from tiregistry.graphics.scatter import Mark, Shape, scatter

    looks: dict[str, tuple[int, Shape]] = {
        "word": (0, "dot"),
        "baseline": (1, "square"),
        "reference": (4, "star"),
        "ours": (2, "star"),
    }
    marks = []
    for row in rows:
        image, text = (mean(row, measure) for measure in MEASURES)
        ends = (None, None) if row.group == "reference" else (_ends(image), _ends(text))
        marks.append(Mark(image.value, text.value, row.label, *looks[row.group], *ends))
    picture = scatter(
        marks,
        title=title,
        x_label="image alignment (reconstruction)",
        y_label="text alignment (editability)",
    )
    picture.save(path, optimize=True)


def _ends(interval: Interval) -> tuple[float, float] | None:
    return (interval.low, interval.high) if math.isfinite(interval.low) else None


def grid(
    rows: Sequence[Sequence[Image.Image | None]], labels: Sequence[str], columns: Sequence[str], path: Path
) -> None:
    """Labelled pictures, small enough to keep in git."""
    from tiregistry.generation.grids import labelled_grid

    sheet = labelled_grid(rows, labels, columns, cell=128)
    sheet.quantize(colors=256).save(path, optimize=True)


def write(name: str, lab: Lab, text: str, rows: Sequence[Row], verdicts: Sequence[str] = ()) -> None:
    """The table as `NAME.md` with its command and date, everything measured as `NAME.json`; also printed."""
    out: Path = lab.options.out
    out.mkdir(parents=True, exist_ok=True)
    shown = [
        f"--{key.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in sorted(vars(lab.options).items())
        if key not in ("work", "out", "what", "together")
    ]
    experiment = name.replace("-", " ", 1)  # choices-rate is what `choices rate` writes
    command = f"python -m benchmarks.paper.{experiment} {' '.join(shown)}"
    date = time.strftime("%Y-%m-%d", time.gmtime())
    notes = "\n".join(f"- {verdict}" for verdict in verdicts)
    document = f"{text}\n\n{notes}\n\n`{command}`, {date}, embedded base model {lab.base_digest}.\n"
    (out / f"{name}.md").write_text(document.replace("\n\n\n", "\n\n"), encoding="utf-8")
    told = [
        {
            "label": row.label,
            "group": row.group,
            "trials": [
                {"concept": concept, "seed": seed} | {key: round(value, 6) for key, value in values.items()}
                for (concept, seed), values in row.trials.items()
            ],
        }
        for row in rows
    ]
    data = {"command": command, "date": date, "base": lab.base_digest, "rows": told}
    (out / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(document)


def verdict(claim: str, first: Row, second: Row, measure: str, sign: int | None) -> str:
    """Whether the first row's measure lies on the claimed side of the second's.

    Args:
        sign: of the claimed difference; 0 claims that there is none worth speaking of, None claims nothing.
    """
    apart = difference(first, second, measure)
    if apart is None:
        return f"{claim}: not measured"
    if not apart.excludes_zero:
        answer = "no clear difference here" if sign in (0, None) else "not clear here"
    elif sign is None:
        answer = "more" if apart.value > 0 else "less"
    else:
        answer = "agrees" if apart.value * sign > 0 else "differs"
    numbers = f"{measure.replace('_', ' ')} {apart.value:+.3f} {span(apart)}"
    return f"{claim}: **{answer}** ({first.label} against {second.label}: {numbers})"


def span(interval: Interval) -> str:
    """The ends of an interval, as a table shows them."""
    if not math.isfinite(interval.low):
        return "[one training: unknown]"
    return f"[{interval.low:+.3f}, {interval.high:+.3f}]"
