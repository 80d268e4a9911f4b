"""Importing words from files: in a thread, counted as it goes on, stopped after the file at hand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tireg_tui.background.jobs import Job
from tiregistry.errors import TiregError
from tiregistry.quantities import count
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tiregistry.exchange.importing import Outcome
    from tiregistry.registry.registry import Registry

_LOOK_SECONDS = 0.3
_NAMED = 8


async def import_words(
    app: TiregApp,
    registry: Registry,
    paths: list[Path],
    tell: Callable[[int], object],
    stop: threading.Event,
    *,
    dry_run: bool,
) -> list[Outcome]:
    """Import files and folders, or only say what that would do.

    Args:
        app: its end waits longer for what changes the registry.
        tell: called now and then with the number of files read so far.
        stop: ends it after the file at hand; set when the wait is given up.

    Returns:
        What became of each; of those before the stop.

    Raises:
        TiregError, OSError: the registry cannot take it; what was imported so far stays.
    """
    outcomes: list[Outcome] = []

    def act() -> None:
        with contextlib.nullcontext() if dry_run else app.threads.change():
            _import(registry, paths, outcomes, stop, dry_run)

    work = asyncio.ensure_future(asyncio.to_thread(act))
    try:
        while not (await asyncio.wait([work], timeout=_LOOK_SECONDS))[0]:
            tell(len(outcomes))
        await work
    except asyncio.CancelledError:
        stop.set()
        raise
    return outcomes


def _import(
    registry: Registry, paths: list[Path], outcomes: list[Outcome], stop: threading.Event, dry_run: bool
) -> None:
    from tiregistry.exchange.claims import Claims
    from tiregistry.exchange.importing import ImportOptions, import_path

    claims = Claims()
    for path in paths:
        for outcome in import_path(registry, path, ImportOptions(dry_run=dry_run), claims=claims):
            outcomes.append(outcome)
            if stop.is_set():
                return


def start_import(app: TiregApp, registry: Registry, paths: list[Path]) -> Job:
    """Import as a job of this window."""
    stop = threading.Event()
    names = ", ".join(path.name or str(path) for path in paths)
    job = app.start_job(Job(safe(f"import {names}", limit=120), cancel=stop.set))
    app.run_worker(_carry_out(app, job, registry, paths, stop), group="change", exit_on_error=False)
    return job


async def _carry_out(app: TiregApp, job: Job, registry: Registry, paths: list[Path], stop: threading.Event) -> None:
    def tell(number: int) -> None:
        job.tell(f"{count(number, 'file')} read")
        app.jobs_changed()

    try:
        outcomes = await import_words(app, registry, paths, tell, stop, dry_run=False)
    except asyncio.CancelledError:
        job.end("cancelled", "what was imported so far stays")
        raise
    except (TiregError, OSError) as error:
        job.end("failed", safe(error, limit=400))
        app.report(error)
    else:
        new = [outcome.reference for outcome in outcomes if outcome.status == "imported"]
        imported = f"{count(len(new), 'word')} imported"
        job.end("cancelled" if stop.is_set() else "done", imported)
        more = " …" if len(new) > _NAMED else ""
        app.say(", ".join(new[:_NAMED]) + more or "nothing new", title=imported)
    finally:
        app.jobs_changed()
        app.registry_changed()
