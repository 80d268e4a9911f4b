"""`tireg backup`: the whole registry in one file."""

from __future__ import annotations

from pathlib import Path

import click

from tireg_cli.bar import CountingBar
from tireg_cli.messages import say, warn
from tireg_cli.output import emit, emit_json
from tireg_cli.paths import PathParam
from tiregistry.errors import ExitCode
from tiregistry.quantities import count, size
from tiregistry.registry.registry import Registry


@click.command("backup")
@click.argument("path", required=False, type=PathParam())
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(path: Path | None, force: bool, as_json: bool) -> int:
    """Write the whole registry, as it is at this moment, into one zip file; others may go on working.

    PATH is a file or a folder; by default a dated file in the current folder.

    \b
    Examples:
      tireg backup
      tireg backup /media/usb/words.zip
      tireg restore --from /media/usb/words.zip        reads it
    """
    from tiregistry.registry.backup import default_name

    target = path or Path()
    if target.is_dir():
        target = target / default_name()
    with Registry.open() as registry, CountingBar("backing up") as bar:
        report = registry.backup(target, overwrite=force, progress=bar)
    if as_json:
        emit_json(
            {
                "path": str(report.path),
                "concepts": report.concepts,
                "versions": report.versions,
                "files": report.files,
                "bytes": report.bytes,
                "missing": list(report.missing),
            }
        )
    else:
        emit(str(report.path))
    say(
        f"{count(report.concepts, 'word')}, {count(report.versions, 'version')}, "
        f"{count(report.files, 'file')}, {size(report.bytes)}"
    )
    if report.missing:
        warn(f"{count(len(report.missing), 'damaged file')} could not be saved · tireg verify names them")
        return int(ExitCode.DAMAGED)
    return 0
