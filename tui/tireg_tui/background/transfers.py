"""Pushes and pulls as jobs of this window: each has a process of its own, can be cancelled and done again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tireg_tui.background.jobs import Job
from tireg_tui.processes.hub_process import HubProcess
from tiregistry.errors import TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp


def start_transfer(app: TiregApp, what: str, do: str, request: dict[str, Any], done: Callable[[Any], None]) -> Job:
    """Begin a transfer.

    Args:
        what: for people: `push gnome@2 to alice/gnome`.
        do: `push` or `pull`.
        request: what `hub_worker` is asked.
        done: called with the answer when it went well.
    """
    job = Job(
        what,
        cancel=lambda: worker.cancel(),  # noqa: PLW0108 (there is none yet)
        again=lambda: (start_transfer(app, what, do, request, done), None)[1],
    )
    app.start_job(job)
    worker = app.run_worker(_carry_out(app, job, do, request, done), group="transfer", exit_on_error=False)
    return job


async def _carry_out(app: TiregApp, job: Job, do: str, request: dict[str, Any], done: Callable[[Any], None]) -> None:
    process = HubProcess(app.home)

    def tell(steps: int, total: int, step: str) -> None:
        job.tell(safe(step, limit=120), steps, total)
        app.jobs_changed()

    try:
        answer = await process.ask(do, tell, **request)
    except asyncio.CancelledError:
        job.end("cancelled", "doing it again completes it")
        raise
    except (TiregError, OSError) as error:
        hint = f" · {error.hint}" if isinstance(error, TiregError) and error.hint else ""
        job.end("failed", safe(f"{error.message if isinstance(error, TiregError) else error}{hint}", limit=500))
        app.report(error)
        app.ring()
    else:
        job.end("done")
        app.ring()
        app.registry_changed()
        done(answer)
    finally:
        await process.stop()
        app.jobs_changed()
