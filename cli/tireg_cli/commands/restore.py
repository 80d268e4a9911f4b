"""`tireg restore`: back from the trash, or from a backup."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tireg_cli import forms
from tireg_cli.all_or_nothing import all_or_nothing
from tireg_cli.bar import CountingBar
from tireg_cli.messages import hint, say, warn
from tireg_cli.output import emit, emit_json
from tireg_cli.paths import PathParam
from tiregistry.errors import ExitCode, InvalidInput
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry

_MOST_LINES = 20


@click.command("restore")
@click.argument("references", nargs=-1, metavar="REF...")
@click.option("--as", "new_name", default="", metavar="NAME", help="The name a word gets when its own is taken.")
@click.option("--token", default="", metavar="TOKEN", help="The placeholder token it gets when its own is taken.")
@click.option("--from", "backup", type=PathParam(), metavar="FILE", help="Read a backup instead of the trash.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(references: tuple[str, ...], new_name: str, token: str, backup: Path | None, as_json: bool) -> int:
    """Bring words or versions back from the trash; or add what is missing here from a backup.

    A backup is merged: nothing that is here is replaced or removed, and what words here get is said. What
    was removed here since the backup comes back: words and versions in the trash, notes, tags, but no alias.
    What was in the trash then comes into the trash; a version whose number is taken gets another.

    \b
    Examples:
      tireg restore gnome
      tireg restore gnome --as old-gnome --token "<old-gnome>"
      tireg restore --from tireg-backup-20261123-174512.zip
    """
    if bool(backup) == bool(references):
        raise InvalidInput(
            "name what to restore, or a backup with --from", "tireg list --trash shows what can be restored"
        )
    if (new_name or token) and len(references) != 1:
        raise InvalidInput(f"{'--as' if new_name else '--token'} names one word", "restore one word at a time")
    references = tuple(dict.fromkeys(references))
    # A backup may be what replaces a lost database.
    with Registry.open(anew=backup is not None) as registry:
        if backup is None:
            with all_or_nothing(registry, references, "restored"):
                done = [registry.restore(each, new_name=new_name, new_token=token) for each in references]
            if as_json:
                emit_json({"restored": done})
            else:
                emit("\n".join(done))
                if token:
                    hint(f"in prompts it is written {registry.concept(done[0]).placeholder_token}")
            return 0
        with CountingBar("restoring") as bar:
            report = registry.merge_backup(backup, progress=bar)
        strays = len(registry.strays()) if backup.suffix == ".db" else 0
    if as_json:
        emit_json(asdict(report))
    say(
        f"added {count(report.concepts, 'word')}, {count(report.versions, 'version')}, "
        f"{count(report.files, 'file')}, {count(report.runs, 'run')}"
    )
    _say_some([*report.renumbered, *report.changed, *(f"left out: {each}" for each in report.left_out)])
    if backup.suffix == ".db":
        lacking = f"; {count(strays, 'file')} here belong to words that it does not know" if strays else ""
        hint(f"the copy is of {forms.moment(backup.stat().st_mtime)}: what was said since is not in it{lacking}")
    if report.trashed:
        warn(f"in the trash, because their name or token is taken here: {', '.join(report.trashed)}")
        hint(f"tireg restore {report.trashed[0]} --as OTHER-NAME --token '<OTHER>' brings it back under others")
    if report.refused:
        what = "; ".join(report.refused[:3]) + (f"; and {len(report.refused) - 3} more" * (len(report.refused) > 3))
        warn(f"did not come: {what}")
    if report.damaged:
        damaged = count(len(report.damaged), "damaged file")
        warn(f"{damaged} in {backup} did not come: {', '.join(map(forms.short, report.damaged[:3]))}")
    if report.missing:
        warn(f"the backup lacks {count(len(report.missing), 'file')}")
    if report.damaged or report.missing:
        hint("tireg verify names what depends on them · tireg verify --repair --from ANOTHER-BACKUP brings them")
    if report.refused or report.damaged or report.missing:
        return int(ExitCode.DAMAGED)
    return 0


def _say_some(lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        say(line)
    if len(lines) > _MOST_LINES:
        hint(f"and {len(lines) - _MOST_LINES:,} more changes: --json names them all")
