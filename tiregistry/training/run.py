"""Training runs from pictures to registered versions: the whole story, in order, with nothing lost on the way."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from tiregistry.bases.cpu_threads import BusyWatch, free_threads, using_threads
from tiregistry.bases.devices import choose_device, choose_dtype
from tiregistry.concepts import Run, RunStatus
from tiregistry.errors import (
    AlreadyExists,
    Conflict,
    DiskFull,
    Interrupted,
    PlaceholderTaken,
    TiregError,
    TrainingDiverged,
    WrongBaseModel,
)
from tiregistry.opening import open_base
from tiregistry.placeholders import check_free
from tiregistry.training.base_check import check_base
from tiregistry.training.config import TrainingConfig
from tiregistry.training.device_lock import device_lock
from tiregistry.training.events import Event, Finished, Notice, Preparing, Shortened, Started, StepDone
from tiregistry.training.journal import Journal
from tiregistry.training.one_pass import check_one_pass, check_requests
from tiregistry.training.preparing import make_word
from tiregistry.training.request import (
    TrainingRequest,
    check_names,
    check_request,
    keep_pictures,
    namesake_notes,
    request_of,
    run_config,
)
from tiregistry.training.run_lock import RunLock, hold_run, is_carried_out
from tiregistry.training.run_state import Heartbeat, RunState, forget_wish, run_folder

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.registry.registry import Registry

__all__ = ["TrainingConfig", "TrainingRequest", "check_request", "resume", "resume_many", "train", "train_many"]


def never() -> bool:
    """A `stop` that never asks to stop."""
    return False


def train(registry: Registry, request: TrainingRequest, *, stop: Callable[[], bool] = never) -> Iterator[Event]:
    """Learn a word and register it, yielding events; the run takes place as they are consumed.

    Args:
        stop: asked between steps; when it answers True, what was learned so far is registered and the run ends.

    Raises:
        InvalidInput and its kin: anything wrong with the request, before the base model is loaded.
        TrainingDiverged, DeviceError, DiskFull: during the run, which is then marked failed; its checkpoint stays, and
            the last good vectors of a run that diverged are registered.
    """
    yield from train_many(registry, [request], stop=stop)


def train_many(
    registry: Registry, requests: Sequence[TrainingRequest], *, stop: Callable[[], bool] = never
) -> Iterator[Event]:
    """Learn several words in one pass over one base model; each is a run and becomes a version of its own.

    Raises:
        As `train`; what one word did wrong is raised after the others have ended.
    """
    checked = check_requests(registry, requests)
    names = [check_base(registry, request) for request in checked]
    for note in namesake_notes(registry, checked):
        yield Notice(note)
    choose_dtype(checked[0].config.precision, choose_device(checked[0].device))
    watch = BusyWatch()
    yield Preparing(f"loading the base model {names[0]}")
    base = _open(registry, checked[0])
    yield from _notices(base)
    taken = registry.placeholders()
    vocabulary = base.vocabulary()
    for request in checked:
        check_free(request.placeholder_token, request.concept, taken, vocabulary)
    count = sum(len(request.pictures) for request in checked)
    yield Preparing(f"encoding {count} picture{'s' if count > 1 else ''}")
    words = [make_word(registry, base, request) for request in checked]
    group = f"{time.time_ns():x}" if len(checked) > 1 else ""
    states = []
    for request, word in zip(checked, words, strict=True):
        images = keep_pictures(registry, request)
        config = run_config(request, (base.identity.name, base.identity.fingerprint), images, group=group)
        run = registry.create_run(request.concept, config, word.last, device_name(str(base.device)), pid=os.getpid())
        lock = RunLock(run_folder(registry, run.id))
        lock.acquire()
        states.append(RunState(registry, run, word, request, images, lock))
    yield from carry_out(base, states, stop, watch)


def resume(registry: Registry, run: Run, *, stop: Callable[[], bool] = never) -> Iterator[Event]:
    """Take a run up at its checkpoint (or from its beginning, when it has none) and bring it to its end.

    Raises:
        Conflict: the run is finished, or another process carries it out.
        As `train` for everything else.
    """
    yield from resume_many(registry, [run], stop=stop)


def resume_many(registry: Registry, runs: Sequence[Run], *, stop: Callable[[], bool] = never) -> Iterator[Event]:
    """Take several runs up in one pass over their base model, each at its own checkpoint, and bring them to their ends.

    Each learns what it would alone, up to rounding, whether or not they began together.

    Raises:
        InvalidInput: they cannot share a pass.
        As `resume`.
    """
    for run in runs:
        if run.status == "finished":
            raise Conflict(f"run {run.id} is finished", "tireg train starts a new one")
        if is_carried_out(run_folder(registry, run.id)):
            raise Conflict(f"run {run.id} is being carried out by another process", "tireg runs watch shows it")
    for run in runs:
        forget_wish(run_folder(registry, run.id))
    yield from take_up(registry, runs, stop=stop)


def take_up(registry: Registry, runs: Sequence[Run], *, stop: Callable[[], bool] = never) -> Iterator[Event]:
    """Carry out recorded runs of one base model in one pass, each from its checkpoint when it has one.

    Raises:
        As `resume`.
    """
    with contextlib.ExitStack() as held:
        # From here on nobody else takes these runs up, although loading may take minutes.
        locks = [held.enter_context(hold_run(run_folder(registry, run.id), run.id)) for run in runs]
        yield from _take_up_held(registry, runs, locks, stop)


def _take_up_held(
    registry: Registry, runs: Sequence[Run], locks: Sequence[RunLock], stop: Callable[[], bool]
) -> Iterator[Event]:
    watch = BusyWatch()
    journals = [Journal(run_folder(registry, run.id)) for run in runs]
    loading = _loaded(registry, runs, locks)
    while True:  # whoever watches the runs hears of the minutes that loading may take
        try:
            event = next(loading)
        except StopIteration as end:
            base, states = end.value
            break
        for journal in journals:
            journal.add(event)
        yield event
    yield from carry_out(base, states, stop, watch)


def _loaded(
    registry: Registry, runs: Sequence[Run], locks: Sequence[RunLock]
) -> Generator[Event, None, tuple[LoadedBase, list[RunState]]]:
    from tiregistry.training.checkpoint import FILE

    requests = [request_of(registry, run) for run in runs]
    check_one_pass([request for request, _ in requests])
    first = requests[0][0]
    for request, _ in requests:
        # What cannot be registered in the end is said now, not after the training.
        check_names(registry, request.concept, request.placeholder_token, request.config.concept_type)
    name = check_base(registry, first)
    choose_dtype(first.config.precision, choose_device(first.device))
    yield Preparing(f"loading the base model {name}")
    base = _open(registry, first)
    yield from _notices(base)
    for run in runs:
        recorded = run.config["base"]["fingerprint"]
        if base.identity.fingerprint.as_dict() != recorded:
            raise WrongBaseModel(
                f"the base model {first.base} has changed since run {run.id} began", "start the training again"
            )
    states = []
    for run, lock, (request, images) in zip(runs, locks, requests, strict=True):
        has_checkpoint = (run_folder(registry, run.id) / FILE).exists()
        word = make_word(registry, base, request, fresh=not has_checkpoint)
        states.append(RunState(registry, run, word, request, images, lock))
        if run.step and not has_checkpoint:
            yield Notice(f"run {run.id} ended before its first checkpoint: it begins again at its first step")
    return base, states


def carry_out(
    base: LoadedBase, states: Sequence[RunState], stop: Callable[[], bool], watch: BusyWatch
) -> Iterator[Event]:
    """Train under the device's lock, registering each word as it ends; journals hear every event.

    Args:
        watch: has been running for a while, to tell how busy the machine is.
    """
    try:
        for event in _under_lock(base, states, stop, watch):
            for state in states:
                if getattr(event, "run_id", "") in ("", state.run.id):
                    state.note(event)
            yield event
    except TiregError as error:
        for state in states:
            # The vectors are those before the step that failed.
            if not state.ended and state.word.step:
                state.save()
        _end_all(states, "interrupted" if isinstance(error, Interrupted) else "failed", str(error))
        raise
    except Exception as error:
        _end_all(states, "failed", f"unexpected {type(error).__name__}: {error}"[:500])
        raise
    finally:
        # Also when the consumer stops listening (a second Ctrl-C, a closed window): the run can be taken up again.
        _end_all(states, "interrupted", "stopped before the end")


def _under_lock(
    base: LoadedBase, states: Sequence[RunState], stop: Callable[[], bool], watch: BusyWatch | None
) -> Iterator[Event]:
    registry = states[0].registry
    with device_lock(registry.home, device_name(str(base.device))) as lock:
        if not lock.acquired:
            who = f"run {states[0].run.id} waits" if len(states) == 1 else f"{len(states)} runs wait"
            yield Preparing(f"{who} for another training on {base.device} to end")
            lock.wait(lambda: stop() or all(state.wish() for state in states))
            watch = None
        with contextlib.ExitStack() as held:
            if base.device.type == "cpu":
                yield from _take_threads(states, watch, held)
            for state in states:
                state.begin()
            held.enter_context(Heartbeat(registry, [state.run.id for state in states]))
            yield from _steps(base, states, stop)


def _take_threads(states: Sequence[RunState], watch: BusyWatch | None, held: contextlib.ExitStack) -> Iterator[Event]:
    """Decide the CPU threads: what the run began with, for the same bits, else as many as are not kept busy."""
    import torch

    usual = torch.get_num_threads()
    threads = max(state.threads for state in states)
    if not threads:
        if watch is None:  # what went before says nothing about now
            watch = BusyWatch()
            time.sleep(0.5)
        threads = free_threads(watch)
        if threads < usual:
            yield Notice(f"other programs keep the processors busy: training with {threads} of {usual} threads")
    for state in states:
        state.threads = threads
    held.enter_context(using_threads(threads))


def _steps(base: LoadedBase, states: Sequence[RunState], stop: Callable[[], bool]) -> Iterator[Event]:
    from tiregistry.training.loop import learn

    for state in states:
        word = state.word
        yield Started(
            state.run.id,
            word.step,
            word.last,
            str(base.device),
            len(state.request.pictures),
            word.num_vectors,
            state.request.concept,
        )
    by_word = {state.word: state for state in states}
    errors: list[TiregError] = []
    # A run that was stopped after its last step, before it was registered, has nothing left to learn; nor has one that
    # was asked to stop while its base model was being loaded.
    for state in states:
        if state.word.step >= state.word.last:
            state.word.conclude()
            yield from _conclude(base, state, errors)
        elif state.wish():
            state.word.ended = "interrupted"
            yield from _conclude(base, state, errors)
    lasts = {word: word.last for word in by_word}
    before = time.perf_counter()
    for results in learn(base, [state.word for state in states]):
        now = time.perf_counter()
        seconds, before = now - before, now
        for result in results:
            state, word = by_word[result.word], result.word
            for text in result.notices:
                yield Notice(text)
            if word.ended != "diverged":
                state.add(result.loss)
                yield StepDone(word.step, result.loss, result.learning_rate, seconds, state.run.id)
                if word.step < word.last < lasts[word]:
                    lasts[word] = word.last
                    yield Shortened(word.last, state.run.id, word.name)
            if word.ended is None and (stop() or state.wish()):
                word.ended = "interrupted"
            if word.ended is None:
                yield from _in_between(base, state)
            else:
                yield from _conclude(base, state, errors)
    if errors:
        raise errors[0]


def _in_between(base: LoadedBase, state: RunState) -> Iterator[Event]:
    """The checkpoint and the previews that are due after a step."""
    config, step = state.request.config, state.word.step
    if config.checkpoint_every and step % config.checkpoint_every == 0:
        yield state.save()
    if config.preview_prompts and config.preview_every and step % config.preview_every == 0:
        yield from state.make_previews(base)


def _conclude(base: LoadedBase, state: RunState, errors: list[TiregError]) -> Iterator[Event]:
    """Register what a word learned (unless its run is cancelled) and end its run."""
    word, run_id = state.word, state.run.id
    cancelled = word.ended == "interrupted" and (state.wish() == "cancel" or not word.step)
    if word.step:
        yield state.save()
    if cancelled or (word.ended == "diverged" and not word.step):
        if cancelled:
            state.end("cancelled", message=f"cancelled at step {word.step}")
            errors.append(Interrupted(f"run {run_id} was cancelled", f"tireg runs resume {run_id} goes on"))
        else:
            state.end("failed", message="the loss was not finite at the first step")
            errors.append(TrainingDiverged(f"{word.name}: the loss is not finite at the first step", _ADVICE))
        return
    try:
        yield from state.make_previews(base)
        version = state.register(base)
    except DiskFull as error:
        kept = f"step {state.saved_step}" if state.saved_step else "its first step"
        raise DiskFull(
            f"{word.name} is not registered at step {word.step}: {error.where}",
            f"free some space; tireg runs resume {run_id} then goes on from {kept}",
        ) from None
    except Conflict as error:
        if type(error) not in (Conflict, AlreadyExists, PlaceholderTaken):
            raise
        # Somebody took the name or the token while this run trained.
        raise type(error)(error.message, f"nothing is lost: tireg runs resume {run_id} --name OTHER-NAME") from None
    if word.ended == "diverged":
        text = f"{word.name}: the loss became NaN or infinite after step {word.step}"
        state.end("failed", message=f"{text}; what was learned before is {version.reference}", version_id=version.id)
        errors.append(TrainingDiverged(f"{text}; what was learned before is {version.reference}", _ADVICE))
        return
    if word.ended == "interrupted":
        state.end("interrupted", message=f"stopped at step {word.step}", version_id=version.id)
    else:
        state.end("finished", message=word.why or f"all {word.step} steps taken", version_id=version.id)
    yield Finished(version.reference, word.step, word.ended or "finished", state.seconds, run_id, word.why)


_ADVICE = "lower --lr, or use --precision fp32"


def _end_all(states: Sequence[RunState], status: RunStatus, message: str) -> None:
    for state in states:
        if not state.ended:
            state.end(status, message=message)


def _notices(base: LoadedBase) -> Iterator[Notice]:
    """What a user should know before the first step."""
    for note in base.notes:
        yield Notice(note)
    if base.is_flow:
        yield Notice(f"learning words on {base.family} models is experimental: nobody has measured how well they take")


def device_name(device: str) -> str:
    """One name per device: `cuda` is `cuda:0`."""
    return "cuda:0" if device == "cuda" else device


def _open(registry: Registry, request: TrainingRequest) -> LoadedBase:
    return open_base(
        registry, request.base, revision=request.revision, device=request.device, precision=request.config.precision
    )
