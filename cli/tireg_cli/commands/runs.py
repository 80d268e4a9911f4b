"""`tireg runs`: training runs, those of this terminal, of others, of the TUI and of background workers."""

from __future__ import annotations

from typing import Any, get_args

import click

from tireg_cli import forms
from tireg_cli.interrupts import polite_stop
from tireg_cli.json_option import hand_json_on
from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tiregistry.concepts import Run, RunStatus
from tiregistry.errors import Conflict, VersionNotFound
from tiregistry.registry.registry import Registry

STATUSES = (*get_args(RunStatus), "dead", "held")

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_LAST = click.option("--last", is_flag=True, help="The newest run.")
_RUN = click.argument("run_id", metavar="RUN", required=False, default="")


@click.group("runs", invoke_without_command=True)
@_JSON
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Training runs: list, show, watch, cancel, resume, remove; queue, move, hold, release for those that wait.

    A run is named by its id, the beginning or the last letters of it, or by --last.

    \b
    Examples:
      tireg runs
      tireg runs watch --last
      tireg runs resume 261123-174512-k3q
    """
    hand_json_on(ctx, as_json)
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_runs, as_json=as_json)


@command.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status.")
@click.option("--concept", metavar="NAME", help="Only runs that learn this word.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@_JSON
def list_runs(status: str | None = None, concept: str | None = None, limit: int = 50, as_json: bool = False) -> None:
    """List runs, newest first.

    \b
    Examples:
      tireg runs list --status failed
      tireg runs list --concept gnome
      tireg runs list --limit 5 --json
    """
    from tiregistry.runs.liveness import waits_in_vain

    with Registry.open() as registry:
        runs = registry.runs(concept=concept, limit=None if status else limit)
        found = [(run, _status(registry, run)) for run in runs]
        found = [(run, seen) for run, seen in found if status in (None, seen)][:limit]
        if as_json:
            emit_json([_data(registry, run, seen) for run, seen in found])
            return
        rows = [
            (run.id, run.concept, seen, f"{run.step}/{run.max_steps}", run.device or "any", _result(registry, run))
            for run, seen in found
        ]
        waiting = [run for run, _ in found if waits_in_vain(registry, run)]
    if not rows:
        which = f"no run of {concept}" if concept else "no run"
        hint(f"{which} is {status or 'here'}" if status or concept else "no runs yet · tireg train NAME IMAGES…")
        return
    emit_table(("run", "concept", "status", "steps", "device", "result"), rows)
    dead = [run for run, seen in found if seen == "dead"]
    if dead:
        group = dead[0].config.get("group")
        ids = " ".join(
            run.id for run in reversed(dead) if run is dead[0] or (group and run.config.get("group") == group)
        )
        hint(f"the process of {dead[0].concept} is gone · tireg runs resume {ids} takes it up again")
    if waiting and not status and not concept:
        _tell_of_waiting(waiting[-1])


def _tell_of_waiting(run: Run) -> None:
    hint(f"{run.concept} waits and nothing is at work · tireg runs resume {run.id} --detach starts it")


@command.command("show")
@_RUN
@_LAST
@_JSON
def show_run(run_id: str, last: bool, as_json: bool) -> None:
    """Show one run in full: settings, progress, why it ended, where its log is.

    \b
    Examples:
      tireg runs show --last
      tireg runs show k3q --json
    """
    with Registry.open() as registry:
        run = _find(registry, run_id, last)
        seen = _status(registry, run)
        if as_json:
            emit_json(_data(registry, run, seen, full=True))
            return
        folder = registry.home / "runs" / run.id
        logs = [folder / name for name in ("log.txt", "events.jsonl") if (folder / name).exists()]
        emit_fields(
            {
                "run": run.id,
                "concept": run.concept,
                "status": seen,
                "steps": f"{run.step}/{run.max_steps}",
                "last loss": "" if run.loss is None else f"{run.loss:.4f}, of the samples of step {run.step} only",
                "result": _result(registry, run),
                "why": _why(registry, run, seen),
                "base": run.config.get("base", {}).get("name", ""),
                "device": run.device or "any",
                "process": run.pid,
                "created": forms.moment(run.created_at),
                "ended": forms.moment(run.finished_at) if run.finished_at else "",
                "folder": folder if folder.exists() else "",
                "log": logs[0] if logs else "",
                "settings": ", ".join(f"{k}={v}" for k, v in forms.told_settings(registry, _changed(run)).items()),
            }
        )


@command.command("watch")
@_RUN
@_LAST
def watch_run(run_id: str, last: bool) -> int:
    """Follow a run until it ends. Ctrl-C stops the watching, not the run.

    \b
    Example:
      tireg runs watch --last
    """
    from tireg_cli.progress import TrainingProgress
    from tiregistry.runs.control import watch

    with Registry.open() as registry:
        run = _find(registry, run_id, last)
        if run.status == "queued":
            hint(f"run {run.id} is in the queue …")
        try:
            with TrainingProgress(watching=True) as progress:
                for event in watch(registry, run.id):
                    progress.show(event)
        except KeyboardInterrupt:
            hint(f"the run goes on · tireg runs watch {run.id} · tireg runs cancel {run.id}")
            return 130
        run = registry.run(run.id)
        return _conclude(registry, run, _status(registry, run))


@command.command("cancel")
@_RUN
@_LAST
@click.option("--keep", is_flag=True, help="Register what was learned so far, also of a run that is over.")
def cancel_run(run_id: str, last: bool, keep: bool) -> int:
    """Take a run out of the queue, or stop it after its step; its checkpoint stays.

    \b
    Examples:
      tireg runs cancel k3q
      tireg runs cancel --last --keep
    """
    from tireg_cli.commands.train import KEEPING, report
    from tireg_cli.progress import follow_all
    from tiregistry.runs.control import cancel, keep_checkpoint

    with Registry.open() as registry:
        run = _find(registry, run_id, last)
        if keep and (run.pid is None or _status(registry, run) == "dead"):
            # Nobody is at work who could register it.
            with polite_stop(KEEPING) as stop:
                report(registry, follow_all(keep_checkpoint(registry, run), stop), False)
            return 0
        done = cancel(registry, run, keep=keep)
    emit(f"{run.id} {done}")
    return 0


@command.command("resume")
@click.argument("run_ids", metavar="RUN…", nargs=-1)
@_LAST
@click.option("--name", default="", help="Register what is learned under another concept's name.")
@click.option("--token", default="", metavar="<TOKEN>", help="Register it under another placeholder token.")
@click.option("--detach", is_flag=True, help="Return at once; a worker trains in the background.")
@_JSON
def resume_run(run_ids: tuple[str, ...], last: bool, name: str, token: str, detach: bool, as_json: bool) -> int:
    """Go on with a run from its checkpoint: the result is the same as without the interruption.

    Several runs of one base model go on in one pass; with --detach only those that began in one, the others follow.

    \b
    Examples:
      tireg runs resume --last
      tireg runs resume k3q --detach
      tireg runs resume k3q 7wd f2a
      tireg runs resume k3q --name garden-gnome --token "<garden-gnome>"
    """
    from tireg_cli.commands.train import KEEPING, report
    from tireg_cli.progress import follow_all
    from tiregistry.runs.control import queue_again, relabel, start
    from tiregistry.training.run import resume_many

    with Registry.open() as registry:
        runs = [_find(registry, run_id, last) for run_id in run_ids or ("",)]
        runs = list({run.id: run for run in runs}.values())
        if name or token:
            if len(runs) > 1:
                raise click.UsageError("--name and --token are for one run")
            runs = [relabel(registry, runs[0], concept=name, placeholder_token=token)]
        if detach:
            queued = [queue_again(registry, run) for run in runs]
            start(registry, queued)
            if as_json:
                told = [{"run": run.id, "concept": run.concept, "status": run.status} for run in queued]
                emit_json(told if len(told) > 1 else told[0])
            else:
                emit("\n".join(run.id for run in queued))
            hint(f"training in the background · tireg runs watch {queued[0].id}")
            return 0
        for run in runs:
            if run.status == "queued" and run.pid is None:
                raise Conflict(f"run {run.id} is in the queue", "add --detach to start a worker for it")
        with polite_stop(KEEPING) as stop:
            finished = follow_all(resume_many(registry, runs, stop=stop), stop)
        return report(registry, finished, as_json)


@command.command("queue")
@_JSON
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
            emit_json([_data(registry, run, _status(registry, run)) for run in queue])
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
        _tell_of_waiting(waiting[0])


@command.command("move")
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


@command.command("hold")
@_RUN
@_LAST
def hold_run(run_id: str, last: bool) -> None:
    """Keep a run that waits from being taken until it is released.

    \b
    Example:
      tireg runs hold --last
    """
    from tiregistry.runs.ordering import hold

    with Registry.open() as registry:
        run = _find(registry, run_id, last)
        hold(registry, run)
    emit(f"{run.id} held")


@command.command("release")
@_RUN
@_LAST
def release_run(run_id: str, last: bool) -> None:
    """Let a held run be taken again; a worker is started for it.

    \b
    Example:
      tireg runs release --last
    """
    from tiregistry.runs.control import start
    from tiregistry.runs.ordering import release

    with Registry.open() as registry:
        run = _find(registry, run_id, last)
        start(registry, list(release(registry, run)))
    emit(f"{run.id} waits")


@command.command("remove")
@_RUN
@_LAST
def remove_run(run_id: str, last: bool) -> None:
    """Forget a run with its checkpoint and log; the version it made stays.

    \b
    Example:
      tireg runs remove k3q
    """
    from tiregistry.runs.control import remove

    with Registry.open() as registry:
        run = _find(registry, run_id, last)
        remove(registry, run)
    emit(f"{run.id} removed")


def _find(registry: Registry, run_id: str, last: bool) -> Run:
    if bool(run_id) == last:
        raise click.UsageError("name one run by its id, or with --last")
    return registry.last_run() if last else registry.run(run_id)


def _status(registry: Registry, run: Run) -> str:
    """The run's status; `dead` when the process that should carry it out no longer exists, `held` in the queue."""
    from tiregistry.runs.liveness import is_dead

    if run.status == "queued" and run.held:
        return "held"
    return "dead" if is_dead(registry, run) else run.status


def _result(registry: Registry, run: Run) -> str:
    """The reference of the version the run made, when there is one."""
    if run.version_id is None:
        return ""
    try:
        return registry.version_by_id(run.version_id).reference
    except VersionNotFound:
        return ""


def _changed(run: Run) -> dict[str, Any]:
    """The settings that differ from what a run has when nothing is said."""
    from tiregistry.bases.locating import EMBEDDED
    from tiregistry.training.config import TrainingConfig

    settings = dict(run.config.get("training", {}))
    recipe = settings.get("recipe", "direction")
    embedded = run.config.get("base", {}).get("name") == EMBEDDED
    kind = settings.get("concept_type", "object")
    bare = TrainingConfig(recipe=recipe, concept_type=kind).resolved(embedded=embedded).as_dict()
    usual = bare | {"recipe": None, "concept_type": TrainingConfig().concept_type}
    return {key: value for key, value in settings.items() if value is not None and usual.get(key) != value}


def _data(registry: Registry, run: Run, seen: str, *, full: bool = False) -> dict[str, Any]:
    data = {
        "id": run.id,
        "concept": run.concept,
        "status": seen,
        "step": run.step,
        "max_steps": run.max_steps,
        "loss": run.loss,
        "device": run.device,
        "pid": run.pid,
        "message": _why(registry, run, seen),
        "result": _result(registry, run) or None,
        "created_at": forms.moment(run.created_at),
        "started_at": forms.moment(run.started_at),
        "heartbeat_at": forms.moment(run.heartbeat_at),
        "finished_at": forms.moment(run.finished_at),
    }
    return data | ({"config": run.config, "folder": str(registry.home / "runs" / run.id)} if full else {})


def _why(registry: Registry, run: Run, seen: str) -> str:
    """How a run came to its end; of a dead one what its worker said last."""
    from tiregistry.runs.liveness import last_error

    return (last_error(registry, run) if seen == "dead" else "") or run.message


def _conclude(registry: Registry, run: Run, seen: str) -> int:
    """Say how a watched run ended; returns the exit code."""
    result = _result(registry, run)
    if seen == "finished":
        emit(result)
        return 0
    why = _why(registry, run, seen)
    what = f"run {run.id} is {seen}" + (f": {why}" if why else "")
    warn(what)
    if result:
        emit(result)
    if seen != "failed":
        hint(f"tireg runs resume {run.id} takes it up again")
    return 1 if seen in ("failed", "dead") else 130
