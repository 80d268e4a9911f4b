"""Tables, plots, grids and verdicts of the experiments."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from benchmarks.paper.lab import Lab, Row
from tiregistry.evaluation.evaluating import mean_differences, means
from tiregistry.evaluation.intervals import Interval


def summary(row: Row) -> dict[str, Interval]:
    """A row's means over concepts."""
    if row.values is not None:
        return {key: Interval(value, value, value) for key, value in row.values.items()}
    return means(row.evaluations)


def table(rows: Sequence[Row], reference: Row | None) -> str:
    """A markdown table: each row's means, and its differences from a reference row."""
    head = "| | image alignment | text alignment | score |"
    lines = [head, "|---|---|---|---|"]
    for row in rows:
        found = summary(row)
        cells = []
        for measure in ("image_alignment", "text_alignment", "score"):
            value = found.get(measure)
            cell = "" if value is None else f"{value.value:.3f}"
            if reference is not None and row is not reference and row.evaluations and value is not None:
                apart = mean_differences(list(zip(row.evaluations, reference.evaluations, strict=True)))[measure]
                cell += f" ({apart.value:+.3f}{'*' if apart.excludes_zero else ''})"
            cells.append(cell)
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path, title: str) -> None:
    """Reconstruction against editability, as the paper's figure has it."""
    from tiregistry.graphics.scatter import Mark, scatter

    looks = {"word": (0, "dot"), "baseline": (1, "square"), "reference": (4, "star"), "ours": (2, "star")}
    marks = []
    for row in rows:
        found = summary(row)
        image, text = found["image_alignment"], found["text_alignment"]
        color, shape = looks[row.group]
        marks.append(
            Mark(
                image.value,
                text.value,
                row.label,
                color,
                shape,  # type: ignore[arg-type]
                (image.low, image.high) if row.evaluations else None,
                (text.low, text.high) if row.evaluations else None,
            )
        )
    picture = scatter(
        marks,
        title=title,
        x_label="image alignment (reconstruction)",
        y_label="text alignment (editability)",
    )
    picture.save(path, optimize=True)


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
        if key not in ("work", "out", "what")
    ]
    experiment = name.replace("-", " ", 1)  # choices-rate is what `choices rate` writes
    command = f"python -m benchmarks.paper.{experiment} {' '.join(shown)}"
    date = time.strftime("%Y-%m-%d", time.gmtime())
    notes = "\n".join(f"- {verdict}" for verdict in verdicts)
    document = f"{text}\n\n{notes}\n\n`{command}`, {date}, embedded base model {lab.base_digest}.\n"
    (out / f"{name}.md").write_text(document.replace("\n\n\n", "\n\n"), encoding="utf-8")
    data = {
        "command": command,
        "date": date,
        "base": lab.base_digest,
        "rows": [
            {
                "label": row.label,
                "values": row.values,
                "means": {key: asdict(value) for key, value in summary(row).items()},
                "each": [
                    {"subject": e.subject.label, **{k: v.value for k, v in e.intervals().items()}}
                    for e in row.evaluations
                ],
            }
            for row in rows
        ],
    }
    (out / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(document)


def verdict(claim: str, first: Row, second: Row, measure: str, sign: int) -> str:
    """Whether the first row's measure lies on the claimed side of the second's."""
    apart = mean_differences(list(zip(first.evaluations, second.evaluations, strict=True)))[measure]
    answer = "not clear here"
    if apart.excludes_zero:
        answer = "agrees" if apart.value * sign > 0 else "differs"
    numbers = f"{measure.replace('_', ' ')} {apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]"
    return f"{claim}: **{answer}** ({first.label} against {second.label}: {numbers})"
