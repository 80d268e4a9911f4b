"""`tireg import`: learned words from files and folders of every known format."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tireg_cli.bar import CountingBar
from tireg_cli.found_facts import found_facts, short_families, short_shapes
from tireg_cli.messages import hint, say, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table, emit_wrapped
from tireg_cli.paths import PathParam
from tiregistry.concepts import CONCEPT_TYPES, ConceptType
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.errors import TiregError
    from tiregistry.exchange.importing import ImportOptions, Outcome
    from tiregistry.registry.registry import Registry


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=PathParam())
@click.option("--name", default="", help="Concept name; default from the file.")
@click.option("--token", default="", metavar="<TOKEN>", help="Placeholder token; default from the file.")
@click.option("--type", "concept_type", type=click.Choice(CONCEPT_TYPES), help="A thing, or a style.")
@click.option("--keep-going", is_flag=True, help="Go on with the next PATH when one given by name is refused.")
@click.option("--dry-run", is_flag=True, help="Say what the files hold; register nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with everything that was found.")
def command(
    paths: tuple[Path, ...],
    name: str,
    token: str,
    concept_type: ConceptType | None,
    keep_going: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Import learned words from files, or from whole folders of them.

    Reads diffusers, A1111 (.pt and pictures), ComfyUI, InvokeAI, kohya, OneTrainer, concept-library folders and more
    (docs/formats.md); the format is told by content. Pickled files are read without being executed.

    Importing twice registers once: a file whose vectors are known is reported as already there. In a folder, files
    that cannot be used never stop the import; a PATH given by name does, unless --keep-going. The exit code is 0
    only when nothing was refused. An import that is cut short (Ctrl-C, a full disk) says what it did, and at
    which file it stopped.

    \b
    Examples:
      tireg import learned_embeds.bin
      tireg import gnome.pt --name gnome --type object
      tireg import ~/stable-diffusion-webui/embeddings
    """
    from tiregistry.exchange.importing import ImportOptions
    from tiregistry.registry.registry import Registry

    if len(paths) > 1 and (name or token):
        raise click.UsageError("--name and --token need a single PATH")
    options = ImportOptions(name=name, placeholder_token=token, concept_type=concept_type, dry_run=dry_run)
    with Registry.open() as registry, ImportProgress(paths) as progress:
        done = _import(registry, paths, options, progress, keep_going=keep_going)
    if done.stopped is not None and not done.outcomes:
        raise done.stopped
    is_single = len(paths) == 1 and not keep_going
    if done.refused is not None and done.stopped is None and is_single and not as_json:
        raise done.refused
    if as_json:
        emit_json(_document(done.outcomes, dry_run, done.stopped))
    else:
        _show(done.outcomes, paths, dry_run)
    if done.stopped is not None:
        raise done.stopped
    first = next((outcome.error for outcome in done.outcomes if outcome.error is not None), None)
    return int(first.exit_code) if first is not None else 0


class _Done(NamedTuple):
    """How far an import came."""

    outcomes: list[Outcome]
    refused: TiregError | None
    """Why the first path given by name was refused."""
    stopped: TiregError | None
    """What cut the import short."""


def _import(
    registry: Registry, paths: Sequence[Path], options: ImportOptions, progress: ImportProgress, *, keep_going: bool
) -> _Done:
    from tiregistry.errors import TiregError
    from tiregistry.exchange.claims import Claims
    from tiregistry.exchange.importing import import_path
    from tiregistry.exchange.vocabularies import Vocabularies

    bases = sorted(registry.bases(), key=lambda base: base.name != registry.default_base)
    vocabularies, claims = Vocabularies(bases), Claims()
    outcomes: list[Outcome] = []
    refused: TiregError | None = None
    try:
        for path in paths:
            for outcome in import_path(registry, path, options, vocabularies, claims, progress.begin):
                outcomes.append(outcome)
                if outcome.status != "passed over":
                    progress.show(outcome.path)
                if refused is None and not path.is_dir():
                    refused = outcome.error
            if refused is not None and not keep_going:
                if path != paths[-1]:
                    progress.clear()
                    hint(f"stopped at {safe(path)}; --keep-going goes on with the next one")
                break
    except TiregError as error:
        return _Done(outcomes, refused, error)
    except KeyboardInterrupt:
        return _Done(outcomes, refused, progress.interruption())
    return _Done(outcomes, refused, None)


def _document(outcomes: list[Outcome], dry_run: bool, stopped: TiregError | None) -> dict[str, object]:
    count = Counter(outcome.status for outcome in outcomes)
    return {
        "imported": count["imported"],
        "already_there": count["already there"],
        "refused": count["refused"],
        "dry_run": dry_run,
        "stopped": stopped.message if stopped else None,
        "results": [outcome.as_dict() for outcome in outcomes if outcome.status != "passed over"],
        "passed_over": [outcome.as_dict() for outcome in outcomes if outcome.status == "passed over"],
    }


def _show(outcomes: list[Outcome], paths: Sequence[Path], dry_run: bool) -> None:
    """One embedding in full, several as a table with a summary."""
    passed_over = [outcome for outcome in outcomes if outcome.status == "passed over"]
    outcomes = [outcome for outcome in outcomes if outcome.status != "passed over"]
    if passed_over:
        say(f"passed over: {_by_kind(passed_over)}")
        if any(outcome.other == "registry" for outcome in passed_over):
            hint("the words of another registry come with tireg backup there and tireg restore --from here")
    if len(outcomes) == 1 and outcomes[0].error is None:
        _show_one(outcomes[0], dry_run)
    elif outcomes:
        _show_table(outcomes, paths, dry_run)
    else:
        say("no embeddings found")


def _show_table(outcomes: list[Outcome], paths: Sequence[Path], dry_run: bool) -> None:
    """On a terminal a table that fits, and under it what needs whole sentences; in a pipe everything in one row."""
    order = ("imported", "already there", "refused")
    rows = [_row(outcome, paths, dry_run) for outcome in sorted(outcomes, key=lambda o: order.index(o.status))]
    if sys.stdout.isatty():
        kept = [row for row in rows if row.status != "refused"]
        if kept:
            shown = ("status", "word", "format", "family", "vectors", "file")
            emit_table(
                [name.upper() for name in shown],
                [[getattr(row, name) for name in shown] for row in kept],
                spare=("FILE", "VECTORS", "FAMILY", "FORMAT"),
            )
        for row in rows:
            if row.notes:
                emit(f"\n{row.word or f'refused {row.file}'}")
                emit_wrapped(row.notes, "  ", "  ")
    else:
        emit_table(_Row._fields, rows)
    count = Counter(outcome.status for outcome in outcomes)
    done = "would be imported" if dry_run else "imported"
    say(f"{count['imported']} {done}, {count['already there']} already there, {count['refused']} refused")


class _Row(NamedTuple):
    """What a table says of one embedding or one refused file."""

    status: str
    word: str
    token: str
    format: str
    vectors: str
    family: str
    file: str
    notes: str


def _row(outcome: Outcome, paths: Sequence[Path], dry_run: bool) -> _Row:
    found = outcome.as_dict().get("found") or {}
    above = next((path for path in paths if path.is_dir() and outcome.path.is_relative_to(path)), outcome.path.parent)
    error = outcome.error
    return _Row(
        status="would import" if dry_run and outcome.status == "imported" else outcome.status,
        word=outcome.reference,
        token=outcome.placeholder_token,
        format=found.get("format", ""),
        vectors=short_shapes(found.get("encoders", {})),
        family=short_families(found),
        file=safe(outcome.path.relative_to(above), limit=300),
        notes=f"{error.message} · {error.hint}".removesuffix(" · ") if error else "; ".join(outcome.notes),
    )


def _by_kind(outcomes: list[Outcome]) -> str:
    """`1 text (a.txt); 5 hidden files (.x, .y, .z, …)`."""
    kinds: dict[str, list[str]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.other, []).append(safe(outcome.path.name, limit=60))
    return "; ".join(
        f"{len(names)} {_noun(kind, len(names))} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for kind, names in sorted(kinds.items())
    )


def _noun(kind: str, number: int) -> str:
    """`files of another kind` for several: the noun is what stands before the first preposition."""
    if number == 1:
        return kind
    if kind == "registry":
        return "registries"
    return re.sub(r"(?= of | without | within )|$", "s", kind, count=1)


def _show_one(outcome: Outcome, dry_run: bool) -> None:
    found = outcome.found
    assert found is not None
    data = outcome.as_dict()
    emit(outcome.reference if not dry_run else f"{outcome.reference} (dry run)")
    emit_fields(
        {
            "status": "would import" if dry_run and outcome.status == "imported" else outcome.status,
            "token": outcome.placeholder_token,
            "type": outcome.concept_type,
            "format": found.format,
            "vectors": short_shapes(data["found"]["encoders"]),
            **found_facts(data["found"], data["inspection"]),
            "digest": outcome.version.digest if outcome.version else "",
        }
    )
    for note in outcome.notes:
        warn(note)


class ImportProgress(CountingBar):
    """How far a folder import is.

    Args:
        paths: what will be imported; of files given by name nothing is shown.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__("importing", lines_every=10)
        self._folders = [path for path in paths if path.is_dir()]
        self._seen: set[Path] = set()
        self._total = 0
        self._at: Path | None = None

    def begin(self, path: Path) -> None:
        """Note the file that is registered next."""
        self._at = path

    def interruption(self) -> TiregError:
        """The error of a Ctrl-C, which says how far the import had come."""
        from tiregistry.errors import Interrupted

        where = (
            "" if self._at is None else f" {'after' if self._at in self._seen else 'at'} {safe(self._at, limit=300)}"
        )
        return Interrupted(f"the import was interrupted{where}", "importing again goes on: nothing comes twice")

    def show(self, path: Path) -> None:
        """Say that `path` is done."""
        self._seen.add(path)
        if not self._folders or not self.is_due:
            return
        if not self._total:
            from tiregistry.embeddings.folders import count_candidates

            self._total = sum(count_candidates(folder) for folder in self._folders)
        self(len(self._seen), self._total, "files")
