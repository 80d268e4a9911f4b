"""What `tireg eval` shows beside numbers: its pictures as files and as a grid; its results as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tireg_cli.messages import hint
from tireg_cli.output import emit_table
from tiregistry.errors import InvalidInput
from tiregistry.evaluation.evaluating import Evaluation, differences
from tiregistry.evaluation.kinds import KindsFound, variety_difference
from tiregistry.generation.metadata import FORMATS, save_image
from tiregistry.generation.replacing import check_replaceable

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.evaluation.intervals import Interval
    from tiregistry.evaluation.planning import EvaluationPlan, Measured
    from tiregistry.evaluation.protocols import Shot
    from tiregistry.evaluation.subjects import Subject
    from tiregistry.generation.generator import Picture

COLUMNS = 8
"""Pictures of one prompt that a grid shows."""


def check_file(path: Path) -> None:
    """Refuse a picture file that cannot be written.

    Raises:
        InvalidInput: its folder is not there, or it names no picture format.
        AlreadyExists: another file is there that no grid may take the place of.
    """
    if path.suffix.lower() not in FORMATS or not path.parent.is_dir():
        raise InvalidInput(
            f"{path} cannot be saved", f"name a file in an existing folder, ending in {', '.join(FORMATS)}"
        )
    check_replaceable(path, "grid")


class Album:
    """The pictures an evaluation makes, in the order they come.

    Args:
        folder: where each is saved with its recipe, or None.
    """

    def __init__(self, folder: Path | None) -> None:
        from tiregistry.generation.saving import Target

        self._target = None if folder is None else Target(folder, None)
        self._folder = folder
        self._rows: dict[tuple[str, str], list[Image]] = {}

    def add(self, subject: Subject, shot: Shot, picture: Picture) -> None:
        """One picture."""
        if self._target is not None:
            self._target.save(picture, f"{subject.label} {shot.template}")
        row = self._rows.setdefault((subject.label, shot.template), [])
        if len(row) < COLUMNS:
            row.append(picture.image)

    def finish(self, grid: Path | None, *, show: bool) -> None:
        """Save and draw the grid."""
        from tiregistry.generation.grids import labelled_grid

        if self._folder is not None:
            hint(f"pictures: {self._folder}")
        if (grid is None and not show) or not self._rows:
            return
        width = max(map(len, self._rows.values()))
        cells = [[*row, *[None] * (width - len(row))] for row in self._rows.values()]
        subjects = {label for label, _ in self._rows}
        labels = [template.replace("{}", label) if len(subjects) > 1 else template for label, template in self._rows]
        largest = max(max(image.size) for row in self._rows.values() for image in row)
        sheet = labelled_grid(cells, labels, cell=max(128, largest) if largest <= 256 else 192)
        if grid is not None:
            save_image(sheet, grid)
            hint(f"grid: {grid}")
        if show:
            from tireg_cli.pictures import show_picture

            show_picture(sheet)


def cell(interval: Interval, *, signed: bool = False, decimals: int = 4) -> str:
    """A value with its interval, as a table shows it."""
    form = f"{'+' if signed else ''}.{decimals}f"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def print_kinds(results: list[Measured]) -> None:
    """What the pictures of each subject were taken for, as a table; with the difference in variety below it."""
    counted: list[tuple[str, KindsFound]] = []
    differ: list[list[str]] = []
    for result in results:
        both = (result.evaluation, result.against)
        counted += [(one.subject.label, one.kinds) for one in both if one is not None and one.kinds is not None]
        if result.against is not None and result.evaluation.kinds is not None and result.against.kinds is not None:
            found = variety_difference(result.evaluation.kinds, result.against.kinds)
            differ.append([result.evaluation.subject.label, cell(found, signed=True)])
    texts = counted[0][1].texts
    rows = [[text, *(str(found.counts[number]) for _, found in counted)] for number, text in enumerate(texts)]
    rows.append(["variety", *(cell(found.variety()) for _, found in counted)])
    emit_table(["TAKEN FOR", *(label for label, _ in counted)], rows, numbers=True)
    hint("variety: how often two pictures are of different kinds")
    if differ:
        emit_table(["", "DIFFERENCE IN VARIETY"], differ, numbers=True)


def document(planned: EvaluationPlan, results: list[Measured], chosen: str | None) -> dict[str, Any]:
    """All results as JSON data."""
    return {
        "protocol": asdict(planned.protocol),
        "base": planned.base_name,
        "judge": results[0].evaluation.judge,
        "dino": results[0].evaluation.dino_judge or None,
        "results": [_result(result) for result in results],
        "best": chosen,
    }


def _result(result: Measured) -> dict[str, Any]:
    data = _evaluation(result.evaluation)
    if result.against is not None:
        data["against"] = _evaluation(result.against)
        if result.evaluation.kinds is not None and result.against.kinds is not None:
            apart = variety_difference(result.evaluation.kinds, result.against.kinds)
            data["variety_difference"] = asdict(apart) | {"clear": apart.excludes_zero}
        data["difference"] = {
            measure: asdict(interval) | {"clear": interval.excludes_zero}
            for measure, interval in differences(result.evaluation, result.against).items()
        }
    return data


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    subject = evaluation.subject
    intervals: dict[str, Interval] = evaluation.intervals()
    kinds = evaluation.kinds
    counted = {} if kinds is None else {"kinds": dict(zip(kinds.texts, kinds.counts, strict=True))}
    if kinds is not None:
        counted["variety"] = asdict(kinds.variety())
    return counted | {
        "subject": subject.label,
        "reference": subject.version.reference if subject.version and subject.embedding is None else None,
        "step": subject.step,
        "source_pictures": evaluation.sources,
        "measures": {measure: asdict(interval) for measure, interval in intervals.items()},
        "edits": dict(zip(evaluation.protocol.edits, evaluation.per_edit(), strict=True)),
    }
