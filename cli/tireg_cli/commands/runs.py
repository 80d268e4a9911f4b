"""`tireg runs`: training runs, those of this terminal, of others, of the TUI and of background workers."""

from __future__ import annotations

from typing import get_args

import click

from tireg_cli import forms
from tireg_cli.json_option import hand_json_on
from tireg_cli.messages import hint, warn
from tireg_cli.output import emit, emit_fields, emit_json, emit_table
from tireg_cli.runs.describing import (
    as_data,
    changed_settings,
    in_words,
    place_of,
    result_of,
    status_of,
    tell_of_waiting,
    why,
)
from tireg_cli.runs.options import JSON, LAST, RUN, find
from tireg_cli.runs.queueing import hold_run, list_queue, move_run, release_run
from tiregistry.concepts import Run, RunStatus
from tiregistry.errors import Conflict
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry

STATUSES = (*get_args(RunStatus), "dead", "held")


@click.group("runs", invoke_without_command=True)
@JSON
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
@JSON
def list_runs(status: str | None = None, concept: str | None = None, limit: int = 50, as_json: bool = False) -> None:
    """List runs, newest first.

    \b
    Examples:
      tireg runs list --status failed
      tireg runs list --concept gnome
      tireg runs list --limit 5 --json
    """
    from tiregistry.runs.liveness import standings_of

    with Registry.open() as registry:
        runs = registry.runs(concept=concept, limit=None if status else limit)
        standings = standings_of(registry, runs)
        found = [(run, in_words(standings[run.id])) for run in runs]
        found = [(run, seen) for run, seen in found if status in (None, seen)][:limit]
        if as_json:
            emit_json([as_data(registry, run, seen) for run, seen in found])
            return
        rows = [
            (run.id, run.concept, seen, f"{run.step}/{run.max_steps}", run.device or "any", result_of(registry, run))
            for run, seen in found
        ]
        waiting = [run for run, _ in found if standings[run.id] == "in vain"]
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
        tell_of_waiting(waiting[-1])


@command.command("show")
@RUN
@LAST
@JSON
def show_run(run_id: str, last: bool, as_json: bool) -> None:
    """Show one run in full: settings, progress, why it ended, where its log is.

    \b
    Examples:
      tireg runs show --last
      tireg runs show k3q --json
    """
    with Registry.open() as registry:
        run = find(registry, run_id, last)
        seen = status_of(registry, run)
        if as_json:
            emit_json(as_data(registry, run, seen, full=True))
            return
        folder = registry.home / "runs" / run.id
        settings = forms.told_settings(registry, changed_settings(run))
        logs = [folder / name for name in ("log.txt", "events.jsonl") if (folder / name).exists()]
        emit_fields(
            {
                "run": run.id,
                "concept": run.concept,
                "status": seen,
                "steps": f"{run.step}/{run.max_steps}",
                "last loss": "" if run.loss is None else f"{run.loss:.4f}, of the samples of step {run.step} only",
                "result": result_of(registry, run),
                "why": why(registry, run, seen),
                "base": run.config.get("base", {}).get("name", ""),
                "device": run.device or "any",
                "process": run.pid,
                "created": forms.moment(run.created_at),
                "ended": forms.moment(run.finished_at) if run.finished_at else "",
                "folder": folder if folder.exists() else "",
                "log": logs[0] if logs else "",
                "settings": ", ".join(f"{k}={v}" for k, v in settings.items()),
            }
        )


@command.command("watch")
@RUN
@LAST
def watch_run(run_id: str, last: bool) -> int:
    """Follow a run until it ends. Ctrl-C stops the watching, not the run.

    \b
    Example:
      tireg runs watch --last
    """
    from tireg_cli.progress import TrainingProgress
    from tiregistry.runs.control import watch

    with Registry.open() as registry:
        run = find(registry, run_id, last)
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
        return _conclude(registry, run, status_of(registry, run))


@command.command("cancel")
@RUN
@LAST
@click.option("--keep", is_flag=True, help="Register what was learned so far, also of a run that is over.")
def cancel_run(run_id: str, last: bool, keep: bool) -> int:
    """Take a run out of the queue, or stop it after its step; its checkpoint stays.

    \b
    Examples:
      tireg runs cancel k3q
      tireg runs cancel --last --keep
    """
    from tiregistry.runs.control import cancel
    from tiregistry.runs.keeping import keep_checkpoint

    with Registry.open() as registry:
        run = find(registry, run_id, last)
        if keep and (run.pid is None or status_of(registry, run) == "dead"):
            # Nobody is at work who could register it.
            try:
                kept = keep_checkpoint(registry, run)
            except Conflict:
                run = registry.run(run.id)
                if run.pid is None or status_of(registry, run) == "dead":
                    raise
                # A worker has taken it up since, and can be asked.
            else:
                emit(kept.reference)
                hint(f"what it had learned in {count(kept.step, 'step')} · tireg runs resume {run.id} goes on")
                return 0
        done = cancel(registry, run, keep=keep)
    emit(f"{run.id} {done}")
    return 0


@command.command("resume")
@click.argument("run_ids", metavar="RUN…", nargs=-1)
@LAST
@click.option("--name", default="", help="Register what is learned under another concept's name.")
@click.option("--token", default="", metavar="<TOKEN>", help="Register it under another placeholder token.")
@click.option("--detach", is_flag=True, help="Return at once; a worker trains in the background.")
@JSON
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
    from tireg_cli.learning import learn_here
    from tiregistry.runs.control import queue_again, relabel, start
    from tiregistry.training.run import resume_many

    with Registry.open() as registry:
        runs = [find(registry, run_id, last) for run_id in run_ids or ("",)]
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
            hint(f"{place_of(registry, queued)} · tireg runs watch {queued[0].id}")
            return 0
        for run in runs:
            if run.status == "queued" and run.pid is None:
                raise Conflict(f"run {run.id} is in the queue", "add --detach to start a worker for it")
        return learn_here(
            registry, lambda stop: resume_many(registry, runs, stop=stop), words=len(runs), as_json=as_json
        )


@command.command("remove")
@RUN
@LAST
def remove_run(run_id: str, last: bool) -> None:
    """Forget a run with its checkpoint and log; the version it made stays.

    \b
    Example:
      tireg runs remove k3q
    """
    from tiregistry.runs.control import remove

    with Registry.open() as registry:
        run = find(registry, run_id, last)
        remove(registry, run)
    emit(f"{run.id} removed")


def _conclude(registry: Registry, run: Run, seen: str) -> int:
    """Say how a watched run ended; returns the exit code."""
    result = result_of(registry, run)
    if seen == "finished":
        emit(result)
        return 0
    reason = why(registry, run, seen)
    what = f"run {run.id} is {seen}" + (f": {reason}" if reason else "")
    warn(what)
    if result:
        emit(result)
    if seen != "failed":
        hint(f"tireg runs resume {run.id} takes it up again")
    return 1 if seen in ("failed", "dead") else 130


for each in (list_queue, move_run, hold_run, release_run):
    command.add_command(each)
