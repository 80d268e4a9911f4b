"""Trainings carried out in this terminal: followed until they end, stopped politely, their versions on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tireg_cli.interrupts import StopRequest, polite_stop
from tireg_cli.messages import hint
from tireg_cli.output import emit, emit_json
from tiregistry.captions import example_prompt
from tiregistry.quantities import count

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredVersion
    from tiregistry.registry.registry import Registry
    from tiregistry.training.events import Event, Finished

_KEEPING = "stopping after this step, keeping what was learned (Ctrl-C again stops at once)"


def learn_here(
    registry: Registry, begin: Callable[[StopRequest], Iterable[Event]], *, words: int = 1, as_json: bool = False
) -> int:
    """Carry out trainings, print what was learned, and say what can be done with it; returns the exit code.

    Args:
        begin: the events of the runs, which stop when the request they are given says so.
        words: how many words are to be learned; JSON of one is an object, of several a list.
    """
    from tireg_cli.progress import follow_all

    finished: list[Finished] = []
    try:
        with polite_stop(_KEEPING) as stop:
            follow_all(begin(stop), stop, finished)
    except BaseException:
        if finished:  # of a pass: what ended before the others failed is registered, and a script needs its name
            _print(registry, finished, several=words > 1, as_json=as_json)
        raise
    versions = _print(registry, finished, several=words > 1, as_json=as_json)
    return _tell(registry, versions, finished)


def _print(
    registry: Registry, finished: Sequence[Finished], *, several: bool, as_json: bool
) -> list[RegisteredVersion]:
    """The versions on stdout."""
    versions = [registry.version(event.reference) for event in finished]
    if not as_json:
        for version in versions:
            emit(version.reference)
        return versions
    data = [
        {
            "reference": version.reference,
            "digest": version.digest,
            "placeholder_token": version.placeholder_token,
            "steps": event.step,
            "reason": event.reason,
            "message": event.message,
            "seconds": round(event.seconds, 3),
            "run": event.run_id,
        }
        for version, event in zip(versions, finished, strict=True)
    ]
    emit_json(data if several else data[0])
    return versions


def _tell(registry: Registry, versions: Sequence[RegisteredVersion], finished: Sequence[Finished]) -> int:
    """What to do next, on stderr; returns the exit code."""
    stopped = [(v, event) for v, event in zip(versions, finished, strict=True) if event.reason == "interrupted"]
    if stopped:
        told = [f"stopped after {count(e.step, 'step')}; what was learned is {v.reference}" for v, e in stopped]
        for line in told[:-1]:
            hint(line)
        hint(f"{told[-1]} · tireg runs resume {' '.join(event.run_id for _, event in stopped)} goes on")
        return 130
    version = versions[-1]
    base_option = "" if version.base_name == registry.default_base else f" --base {version.base_name}"
    for old, done in zip(versions, finished, strict=True):
        if old.run_id != done.run_id:
            hint(f"{old.reference} was exactly that already: no new version · another --seed or --recipe makes one")
    what = count(finished[-1].step, "step") if len(versions) == 1 else count(len(versions), "word")
    hint(
        f"{what} in {max(each.seconds for each in finished):.0f} s"
        f' · try: tireg gen "{example_prompt(version.concept_type, version.placeholder_token)}"{base_option} --show'
    )
    return 0
