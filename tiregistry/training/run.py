"""Training runs from pictures to registered versions: the whole story, in order, with nothing lost on the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

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
from tiregistry.placeholders import check_free
from tiregistry.training.base_check import check_base
from tiregistry.training.beginning import (
    close,
    ended_before_its_first_step,
    open_on_device,
    preparations,
    record,
    take_threads,
)
from tiregistry.training.config import TrainingConfig
from tiregistry.training.events import Event, Finished, Notice, Shortened, Started, StepDone
from tiregistry.training.journal import Journal
from tiregistry.training.notes import notes_before
from tiregistry.training.one_pass import check_one_pass, check_requests
from tiregistry.training.preparing import make_word
from tiregistry.training.request import (
    TrainingRequest,
    check_names,
    check_request,
    request_of,
)
from tiregistry.training.run_lock import RunLock, hold_run, is_carried_out
from tiregistry.training.run_state import Heartbeat, RunState, forget_wish, run_folder, wish_of

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
    for note in notes_before(registry, checked):
        yield Notice(note)
    with contextlib.ExitStack() as held:
        who = f"{checked[0].concept} waits" if len(checked) == 1 else f"{len(checked)} words wait"
        base, watch = yield from open_on_device(registry, checked[0], names[0], who, stop, held)
        taken = registry.placeholders()
        vocabulary = base.vocabulary()
        for request in checked:
            check_free(request.placeholder_token, request.concept, taken, vocabulary)
        threads = yield from take_threads(base, 0, watch, held)
        runs, images, locks = record(registry, base, checked, held)
        with ended_before_its_first_step(registry, runs):
            yield from preparations(checked)
            states = [
                RunState(registry, run, make_word(registry, base, request), request, kept, lock)
                for run, request, kept, lock in zip(runs, checked, images, locks, strict=True)
            ]
            yield from carry_out(base, states, threads, stop)


def resume(registry: Registry, run: Run, *, stop: Callable[[], bool] = never) -> Iterator[Event]:
    """Take a run up at its checkpoint (or from its beginning, when it has none) and bring it to its end.

    Raises:
        Conflict: the run is finished, or another process carries it out.
        As `train` for everything else.
    """
    yield from resume_many(registry, [run], stop=stop)


def resume_many(registry: Registry, runs: Sequence[Run], *, stop: Callable[[], bool] = never) -> Iterator[Event]:
    """Take several runs up in one pass over their base model, each at its own checkpoint, and bring them to their ends.

    They go on in the order in which they began: another order of the samples in a batch would change last digits.
    Each learns what it would alone, up to rounding, whether or not they began together.

    Raises:
        InvalidInput: they cannot share a pass.
        As `resume`.
    """
    runs = sorted(runs, key=lambda run: run.created_at)
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
    journals = [Journal(run_folder(registry, run.id)) for run in runs]
    with contextlib.ExitStack() as held:
        loading = _loaded(registry, runs, locks, stop, held)
        try:
            while True:  # whoever watches the runs hears of the minutes that loading may take
                event = next(loading)
                for journal in journals:
                    journal.add(event)
                yield event
        except StopIteration as end:
            base, states, threads = end.value
        except Interrupted as error:
            for run in runs:
                wish = wish_of(run_folder(registry, run.id))
                close(registry, run, "cancelled" if wish == "cancel" else "interrupted", str(error))
                forget_wish(run_folder(registry, run.id))
            raise
        yield from carry_out(base, states, threads, stop)


def _loaded(
    registry: Registry,
    runs: Sequence[Run],
    locks: Sequence[RunLock],
    stop: Callable[[], bool],
    held: contextlib.ExitStack,
) -> Generator[Event, None, tuple[LoadedBase, list[RunState], int]]:
    """Device, base model and words of recorded runs, and the CPU threads to use."""
    from tiregistry.training.checkpoint import FILE, load_checkpoint

    requests = [request_of(registry, run) for run in runs]
    check_one_pass([request for request, _ in requests])
    first = requests[0][0]
    for request, _ in requests:
        # What cannot be registered in the end is said now, not after the training.
        check_names(registry, request.concept, request.placeholder_token, request.config.concept_type)
    name = check_base(registry, first)
    folders = [run_folder(registry, run.id) for run in runs]
    checkpoints = [load_checkpoint(folder / FILE) for folder in folders]
    who = f"run {runs[0].id} waits" if len(runs) == 1 else f"{len(runs)} runs wait"
    base, watch = yield from open_on_device(
        registry, first, name, who, lambda: stop() or all(map(wish_of, folders)), held
    )
    for run in runs:
        recorded = run.config["base"]["fingerprint"]
        if base.identity.fingerprint.as_dict() != recorded:
            raise WrongBaseModel(
                f"the base model {first.base} has changed since run {run.id} began", "start the training again"
            )
    began_with = max((checkpoint.threads for checkpoint in checkpoints if checkpoint is not None), default=0)
    threads = yield from take_threads(base, began_with, watch, held)
    yield from preparations([request for (request, _), c in zip(requests, checkpoints, strict=True) if c is None])
    states = []
    for run, lock, checkpoint, (request, images) in zip(runs, locks, checkpoints, requests, strict=True):
        word = make_word(registry, base, request, fresh=checkpoint is None)
        states.append(RunState(registry, run, word, request, images, lock))
        if run.step and not word.step:
            yield Notice(f"run {run.id} ended before it came to a checkpoint: it begins again at its first step")
    return base, states, threads


def carry_out(base: LoadedBase, states: Sequence[RunState], threads: int, stop: Callable[[], bool]) -> Iterator[Event]:
    """Train on a device that is held, registering each word as it ends; journals hear every event.

    Args:
        threads: CPU threads in use, for the checkpoints.
    """
    try:
        for event in _at_work(base, states, threads, stop):
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


def _at_work(base: LoadedBase, states: Sequence[RunState], threads: int, stop: Callable[[], bool]) -> Iterator[Event]:
    for state in states:
        yield from state.begin(base, threads)
    with Heartbeat(states[0].registry, [state.run.id for state in states]):
        yield from _steps(base, states, stop)


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
        yield from state.save()
    if config.preview_prompts and config.preview_every and step % config.preview_every == 0:
        yield from state.make_previews(base)


def _conclude(base: LoadedBase, state: RunState, errors: list[TiregError]) -> Iterator[Event]:
    """Register what a word learned (unless its run is cancelled) and end its run."""
    word, run_id = state.word, state.run.id
    cancelled = word.ended == "interrupted" and (state.wish() == "cancel" or not word.step)
    if word.step:
        yield from state.save()
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
