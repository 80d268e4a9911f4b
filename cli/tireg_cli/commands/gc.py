"""`tireg gc`: free the space of files that nothing needs."""

from __future__ import annotations

import click

from tireg_cli import forms
from tireg_cli.messages import hint, say, warn
from tireg_cli.output import emit_json, emit_table
from tiregistry.quantities import count, size
from tiregistry.registry.registry import Registry

SHORT = 3600.0
"""Seconds; work that lays down files and registers them later, such as an import of many, may take so long."""


@click.command("gc")
@click.option("--apply", is_flag=True, help="Remove the files; without it they are only listed.")
@click.option("--grace", default="24h", show_default=True, metavar="AGE", help="Keep files younger than this.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(apply: bool, grace: str, as_json: bool) -> None:
    """List, and with --apply remove, files that no word, no run and nothing in the trash needs.

    Safe while others train, import or generate: what they add stays as long as it is younger than the grace period.
    With a shorter one, work that is going on may find its files gone; it then fails, and no word is lost.

    \b
    Examples:
      tireg gc
      tireg gc --apply --grace 1h
    """
    seconds = forms.seconds_of(grace)
    if apply and seconds < SHORT:
        warn(f"files of work that is going on may be younger than {grace}; what needs them then fails")
    with Registry.open() as registry:
        report = registry.gc(apply=apply, grace=seconds)
    found = len(report.files) + len(report.temporary)
    if as_json:
        emit_json(
            {
                "applied": report.applied,
                "bytes": report.bytes,
                "young": report.young,
                "strays": report.strays,
                "files": [{"digest": digest, "size": size} for digest, size in report.files],
                "temporary": [{"name": name, "size": size} for name, size in report.temporary],
            }
        )
    elif found:
        emit_table(["FILE", "SIZE"], [[name, size(length)] for name, length in (*report.files, *report.temporary)])
    if report.applied:
        say(f"removed {count(found, 'file')}, {size(report.bytes)} freed")
    elif found:
        say(f"{count(found, 'file')}, {size(report.bytes)} can be freed · tireg gc --apply removes them")
        if report.strays:
            which = f"{report.strays:,} of them {'was' if report.strays == 1 else 'were'}"
            hint(f"{which} never known to this database: left by killed work, or by a database that is gone")
    else:
        say("nothing to remove")
    if report.young:
        hint(f"{count(report.young, 'file')} younger than {grace}, or taken into use just now, stay")
