"""`tireg eval`: how good a word is, in numbers with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tireg_cli.messages import hint, warn
from tireg_cli.output import emit_json, emit_table, table_width, terminal_columns
from tireg_cli.paths import PathParam
from tiregistry.errors import InvalidInput
from tiregistry.registry.registry import Registry

if TYPE_CHECKING:
    from tiregistry.concepts import Run
    from tiregistry.evaluation.intervals import Interval
    from tiregistry.evaluation.planning import EvaluationPlan, Measured

HEADERS = {
    "image_alignment": "IMAGE ALIGNMENT",
    "text_alignment": "TEXT ALIGNMENT",
    "score": "SCORE",
    "dino_image_alignment": "DINO",
}


@click.command("eval")
@click.argument("references", nargs=-1, metavar="REF...")
@click.option("--run", "run_id", metavar="RUN", help="Every checkpoint of a training run ('last': the newest) instead.")
@click.option("--best", is_flag=True, help="Give the highest score the alias best.")
@click.option("--against", default="", metavar="REF", help="Compare with a version, or with: initializer.")
@click.option("--protocol", type=click.Choice(("quick", "paper")), default="quick", show_default=True)
@click.option(
    "--clip",
    default="auto",
    metavar="MODEL",
    help="Judge: embedded, a Hub id or a folder. Default: the base model's own, else openai/clip-vit-base-patch32.",
)
@click.option("--dino", is_flag=True, help="Also judge the pictures by DINO (facebook/dino-vits16).")
@click.option("--dino-model", default="", metavar="MODEL", help="Another one: a Hub id or a folder.")
@click.option(
    "--images",
    multiple=True,
    type=PathParam(),
    metavar="PATH",
    help="Compare with these pictures instead of the word's own.",
)
@click.option("--text-only", is_flag=True, help="Leave image alignment out.")
@click.option("--kinds", default="", metavar="TEXT", help="Also count kinds, as in 'a photo of a {red|blue} flower'.")
@click.option("--pictures", type=int, metavar="N", help="Pictures of the plain prompt.")
@click.option("--edit-pictures", type=int, metavar="N", help="Pictures of each edit.")
@click.option("--prompt", metavar="TEXT", help="The plain prompt, with {} for the word.")
@click.option(
    "--edit", "edits", multiple=True, metavar="TEXT", help="An edit, with {} for the word; give it several times."
)
@click.option("--seed", type=int, help="Seed of the first picture. [default: 0]")
@click.option("--most", type=click.IntRange(1), metavar="N", help="With --run: at most N checkpoints, evenly spread.")
@click.option("--base", default="", metavar="BASE", help="Default: the base model of the word.")
@click.option("--allow-compatible", is_flag=True, help="Take words of another model with the same vocabulary.")
@click.option("--keep", type=PathParam(file_okay=False), metavar="FOLDER", help="Save the pictures.")
@click.option("--grid", type=PathParam(), metavar="FILE", help="Save them as one labelled grid.")
@click.option("--show", is_flag=True, help="Draw the grid in the terminal.")
@click.option("--no-save", is_flag=True, help="Do not add the results to the versions.")
@click.option("--batch-size", type=click.IntRange(1, 256), default=8, show_default=True, help="Pictures at a time.")
@click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(references: tuple[str, ...], run_id: str | None, best: bool, as_json: bool, **given: Any) -> int:
    """Measure words: image alignment, text alignment, and their geometric mean, the score.

    Image alignment is the mean cosine between generated and source pictures ("does it look like it"), text alignment
    that between edited pictures and their prompt without the word ("does it still do what I say"). Values have 95 %
    intervals and are kept with the version: see tireg show and tireg list --sort score. docs/evaluation.md explains.

    --kinds counts which of several texts the judge finds nearest to each picture of the plain prompt, and how often two
    pictures are of different kinds: a word that always gives the same is told from one that does not.

    quick makes 24 pictures, paper 256 or more with 50 steps. Ctrl-C stops; the same command goes on where it was.

    \b
    Examples:
      tireg eval gnome
      tireg eval gnome --against initializer --grid gnome.png
      tireg eval gnome@1 gnome@2 --best
      tireg eval --run last --best
      tireg eval gnome --protocol paper --dino
    """
    from tiregistry.evaluation.planning import EvaluationRequest, plan

    keep, grid, show, no_save = (given.pop(key) for key in ("keep", "grid", "show", "no_save"))
    dino = given.pop("dino_model") or ("facebook/dino-vits16" if given["dino"] else "")
    if given["most"] and run_id is None:
        raise InvalidInput("--most chooses among a run's checkpoints", "add --run RUN")
    if grid is not None:
        from tireg_cli.evaluation import check_file

        check_file(grid)
    with Registry.open() as registry:
        run = _run(registry, run_id)
        request = EvaluationRequest(
            references=references, run=run, **given | {"most": given["most"] or 0, "dino": dino}
        )
        planned = plan(registry, request)
        if best:
            _check_best(planned)
        for note in planned.notes:
            warn(note)
        noted = len(planned.notes)
        results = _carry_out(registry, planned, keep, grid, show, save=not no_save)
        if results is None:
            return 130
        for note in planned.notes[noted:]:
            warn(note)
        chosen = _give_alias(registry, planned, results, run) if best else None
        if as_json:
            from tireg_cli.evaluation import document

            emit_json(document(planned, results, chosen))
        else:
            _print(planned, results, chosen)
    return 0


def _run(registry: Registry, run_id: str | None) -> Run | None:
    if run_id is None:
        return None
    return registry.last_run() if run_id in ("last", "") else registry.run(run_id)


def _carry_out(
    registry: Registry, planned: EvaluationPlan, keep: Path | None, grid: Path | None, show: bool, *, save: bool
) -> list[Measured] | None:
    """The results; None when the user stopped it."""
    from tireg_cli.bar import CountingBar
    from tireg_cli.evaluation import Album

    album = Album(keep) if keep is not None or grid is not None or show else None
    protocol = planned.protocol
    hint(f"{protocol.name}: {protocol.total} pictures each on {planned.base_name}, judged by {planned.judge.name} …")
    with CountingBar("measuring", lines_every=30) as bar:
        try:
            results = planned.carry_out(registry, progress=bar, seen=album.add if album else None, keep=save)
        except KeyboardInterrupt:
            results = None
    if results is None:
        hint("stopped; what was measured so far is kept, the same command goes on with it")
        return None
    if album is not None:
        album.finish(grid, show=show)
    return results


def _check_best(planned: EvaluationPlan) -> None:
    names = {subject.version.concept for subject in planned.subjects if subject.version is not None}
    if len(names) != 1 or len(planned.subjects) < 2:
        if planned.request.run is not None:
            raise InvalidInput(
                f"run {planned.request.run.id} has only one checkpoint, so there is nothing to choose from",
                "leave --best out, or train with a smaller --checkpoint-every",
            )
        raise InvalidInput("--best chooses among versions of one word, or a run's checkpoints", "name several")
    if planned.request.text_only:
        raise InvalidInput("without image alignment there is no score to choose by", "leave --text-only out")


def _give_alias(registry: Registry, planned: EvaluationPlan, results: list[Measured], run: Run | None) -> str:
    """Give the subject of the highest score the alias; returns the version's reference."""
    from tiregistry.evaluation.keeping import keep_measurements, measurements
    from tiregistry.evaluation.run_points import register_point

    winner = max(results, key=lambda r: r.evaluation.intervals()["score"].value)
    subject = winner.evaluation.subject
    assert subject.version is not None
    version = subject.version
    if run is not None:
        version = register_point(registry, run, subject)
        if subject.embedding is not None:
            keep_measurements(registry, version, measurements(winner.evaluation, planned.base_name))
    registry.set_alias(version.reference, "best")
    return version.reference


def _print(planned: EvaluationPlan, results: list[Measured], chosen: str | None) -> None:
    measures = [m for m in HEADERS if m in results[0].evaluation.intervals()]
    headers, rows = ["", *(HEADERS[m] for m in measures)], _rows(results, measures)
    if 0 < terminal_columns() < table_width(headers, rows):
        rows = _rows(results, measures, decimals=3)
    emit_table(headers, rows, numbers=True)
    if planned.kinds:
        from tireg_cli.evaluation import print_kinds

        print_kinds(results)
    if any(r.against for r in results):
        hint("a difference whose interval holds 0 is not clear at this number of pictures")
    if chosen is not None:
        hint(f"best is now {chosen}" + _doubt(results))
    elif len(planned.subjects) > 1 and planned.request.run is not None:
        hint("add --best to give the highest score the alias best")


def _rows(results: list[Measured], measures: list[str], decimals: int = 4) -> list[list[str]]:
    from tiregistry.evaluation.evaluating import differences

    rows: list[list[str]] = []
    for result in results:
        rows.append([result.evaluation.subject.label, *_cells(result.evaluation.intervals(), measures, decimals)])
        if result.against is not None:
            apart = differences(result.evaluation, result.against)
            rows.append([result.against.subject.label, *_cells(result.against.intervals(), measures, decimals)])
            rows.append(["difference", *_cells(apart, measures, decimals, signed=True)])
    return rows


def _doubt(results: list[Measured]) -> str:
    """How the winner compares with the runner-up, in words."""
    from tiregistry.evaluation.evaluating import differences

    first, second = sorted((r.evaluation for r in results), key=lambda e: -e.intervals()["score"].value)[:2]
    if differences(first, second)["score"].excludes_zero:
        return ""
    return f" · {second.subject.label} is not clearly worse at this number of pictures"


def _cells(intervals: dict[str, Interval], measures: list[str], decimals: int, *, signed: bool = False) -> list[str]:
    from tireg_cli.evaluation import cell

    return [cell(intervals[m], signed=signed, decimals=decimals) if m in intervals else "" for m in measures]
