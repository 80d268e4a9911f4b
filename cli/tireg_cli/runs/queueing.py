"""`tireg runs queue`, `move`, `hold` and `release`: the order of the runs that wait."""

from __future__ import annotations

import click

from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json, emit_table
from tireg_cli.runs.options import JSON, LAST, RUN, find
from tireg_cli.runs.told import as_data, status_of, tell_of_waiting
from tiregistry.registry.registry import Registry


@click.command("queue")
@JSON
def list_queue(as_json: bool) -> None:
    """List the runs that wait, in the order in which they will be taken.

    \b
    Examples:
      tireg runs queue
      tireg runs queue --json
    """
    from tiregistry.runs.liveness import waits_in_vain

    with Registry.open() as registry:
        queue = registry.queue()
        if as_json:
            emit_json([as_data(registry, run, status_of(registry, run)) for run in queue])
            return
        waiting = [run for run in queue if waits_in_vain(registry, run)]
    if not queue:
        hint("nothing waits · tireg train NAME IMAGES… --detach")
        return
    emit_table(
        ("place", "run", "concept", "state", "steps", "device"),
        [
            (place, run.id, run.concept, "held" if run.held else "waits", run.max_steps, run.device or "any")
            for place, run in enumerate(queue, 1)
        ],
    )
    if waiting:
        tell_of_waiting(waiting[0])


@click.command("move")
@click.argument("run_id", metavar="RUN")
@click.argument("where", type=click.Choice(["first", "up", "down", "last"]))
def move_run(run_id: str, where: str) -> None:
    """Move a run that waits within the queue.

    \b
    Example:
      tireg runs move 3f2a first
    """
    from tiregistry.runs.ordering import move

    with Registry.open() as registry:
        queue = move(registry, registry.run(run_id), where)  # type: ignore[arg-type]
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
    from tiregistry.runs.ordering import hold

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
    from tiregistry.runs.ordering import release

    with Registry.open() as registry:
        run = find(registry, run_id, last)
        start(registry, list(release(registry, run)))
    emit(f"{run.id} waits")
