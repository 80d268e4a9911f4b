"""`tireg verify`: is everything still what it was?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tireg_cli.bar import CountingBar
from tireg_cli.messages import hint, say
from tireg_cli.output import emit_json, emit_table
from tireg_cli.paths import PathParam
from tiregistry.errors import ExitCode, Interrupted, InvalidInput
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry


@click.command("verify")
@click.option("--quick", is_flag=True, help="Compare the sizes of files instead of their bytes.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted check stopped.")
@click.option("--repair", is_flag=True, help="Mend what can be mended; set aside the rest.")
@click.option(
    "--from",
    "copies",
    type=PathParam(),
    multiple=True,
    metavar="PATH",
    help="With --repair: a backup, another registry's folder, or a folder with the original files; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(quick: bool, resume: bool, repair: bool, copies: tuple[Path, ...], as_json: bool) -> int:
    """Check the database, the search index, every file and every manifest; name each damaged item.

    Prints one line per damage and what depends on it; ends with exit code 6 when there is any that is not repaired.

    \b
    Examples:
      tireg verify
      tireg verify --repair --from tireg-backup-20261123-174512.zip --from ./photos
    """
    if copies and not repair:
        raise InvalidInput("--from belongs to --repair", "tireg verify --repair --from PATH")
    with Registry.open() as registry, CountingBar("checking") as bar:
        home = registry.home
        try:
            report = registry.verify(quick=quick, resume=resume, repair=repair, copies=copies, progress=bar)
        except KeyboardInterrupt:
            raise Interrupted("the check was interrupted", "tireg verify --resume goes on where it stopped") from None
    if as_json:
        emit_json(asdict(report))
    elif report.damages:
        emit_table(
            ["KIND", "ITEM", "PROBLEM", "NEEDED BY", "REPAIR"],
            [[d.kind, d.item, d.problem, ", ".join(d.dependents), d.repair] for d in report.damages],
        )
    before = f" ({report.before:,} more checked before)" if report.before else ""
    files = f"{count(report.files, 'file')}{before}"
    checked = f"{files} and {count(report.versions, 'version')} in {report.seconds:.1f} s"
    if report.known_losses:
        lost = count(report.known_losses, "file")
        hint(f"originals of {lost} are not here (not shared with a word, or given up) · --repair --from PATH adds them")
    if report.lost_words:
        which = f"{', '.join(report.lost_words[:5])}{', …' * (len(report.lost_words) > 5)}"
        say(f"lost embeddings, whose versions lie in the trash: {which}")
        hint("tireg verify --repair --from PATH or importing the file again brings them back · remove --purge ends it")
    if report.strays:
        which = f"{count(report.strays, 'file')} in blobs/ belong{'s' * (report.strays == 1)}"
        hint(f"{which} to no word here: left by killed work (tireg gc), or by a database that is gone")
    if not report.damages:
        if report.quick:
            say(f"the files are there, with their sizes; their contents were not read: {checked}")
            hint("tireg verify reads them")
        else:
            say(f"everything{' else' * bool(report.lost_words)} is as it was: {checked}")
    elif not report.unrepaired:
        say(f"repaired {count(len(report.damages), 'damage')}: {checked}")
    else:
        say(f"{count(len(report.unrepaired), 'damage')}{' left' * repair}: {checked}")
        if report.strays and not report.files + report.before:
            hint("read a backup into this place: tireg restore --from FILE")
        elif repair and any(damage.kind == "database" for damage in report.unrepaired):
            hint(f"move {home} away and read a backup: tireg restore --from FILE")
        else:
            hint("mend with: tireg verify --repair --from A-BACKUP-OR-FOLDER · or remove what needs it, with --purge")
        return int(ExitCode.DAMAGED)
    return 0
