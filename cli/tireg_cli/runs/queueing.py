"""`tireg runs queue`, `move`, `hold` and `release`: the order of the runs that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json, emit_table
from tireg_cli.runs.describing import as_data, in_words, tell_of_waiting
from tireg_cli.runs.options import JSON, LAST, NAME_ONE, RUN, find
from tiregistry.registry.registry import Registry
from tiregistry.runs.ordering import WHERE, Where, hold, move, release

if TYPE_CHECKING:
    from tiregistry.runs.liveness import Standing


@click.command("queue")
@JSON
def list_queue(as_json: bool) -> None:
    """List the runs that wait, in the order in which they will be taken.

    \b
    Examples:
      tireg runs queue
      tireg runs queue --json
    """
    from tiregistry.runs.liveness import standings_of

    with Registry.open() as registry:
        queue = registry.queue()
        standings = standings_of(registry, queue)
        if as_json:
            emit_json([as_data(registry, run, in_words(standings[run.id])) for run in queue])
            return
    if not queue:
        hint("nothing waits · tireg train NAME IMAGES… --detach")
        return
    emit_table(
        ("place", "run", "concept", "state", "steps", "device"),
        [
            (place, run.id, run.concept, _state(standings[run.id]), run.max_steps, run.device or "any")
            for place, run in enumerate(queue, 1)
        ],
    )
    if waiting := next((run for run in queue if standings[run.id] == "in vain"), None):
        tell_of_waiting(waiting)


def _state(standing: Standing) -> str:
    return "waits" if standing in ("queued", "in vain") else standing


def _at_most_one(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> str:
    if len(given) > 1:
        raise click.UsageError(NAME_ONE)
    return next(iter(given), "")


@click.command("move")
# As many as there are, so that what stands last is the place also where --last names the run.
@click.argument("run_id", metavar="RUN", nargs=-1, callback=_at_most_one)
@click.argument("where", type=click.Choice(WHERE))
@LAST
def move_run(run_id: str, where: Where, last: bool) -> None:
    """Move a run that waits within the queue.

    \b
    Examples:
      tireg runs move 3f2a first
      tireg runs move --last up
    """
    with Registry.open() as registry:
        queue = move(registry, find(registry, run_id, last), where)
    emit("\n".join(run.id for run in queue))


@click.command("hold")
@RUN
@LAST
def hold_run(run_id: str, last: bool) -> None:
    """Keep a run that waits from being taken until it is released.

    \b
    Example:
      tireg runs hold --last
    """
    with Registry.open() as registry:
        run = find(registry, run_id, last)
        hold(registry, run)
    emit(f"{run.id} held")


@click.command("release")
@RUN
@LAST
def release_run(run_id: str, last: bool) -> None:
    """Let a held run be taken again; a worker is started for it.

    \b
    Example:
      tireg runs release --last
    """
    from tiregistry.runs.control import start

    with Registry.open() as registry:
        run = find(registry, run_id, last)
        start(registry, list(release(registry, run)))
    emit(f"{run.id} waits")
