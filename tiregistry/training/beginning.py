"""What comes before the first step of a training: its device, the CPU's threads, and a record of its runs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from tiregistry.bases.cpu_threads import BusyWatch, free_threads, using_threads
from tiregistry.bases.devices import choose_device, choose_dtype
from tiregistry.concepts import Run, RunStatus, SourceImage
from tiregistry.errors import Interrupted, TiregError
from tiregistry.opening import open_base
from tiregistry.quantities import count
from tiregistry.training.device_lock import device_lock
from tiregistry.training.events import Event, Notice, Preparing
from tiregistry.training.request import TrainingRequest, keep_pictures, run_config
from tiregistry.training.run_lock import RunLock, hold_run
from tiregistry.training.run_state import run_folder

if TYPE_CHECKING:
    from tiregistry.bases.loaded import LoadedBase
    from tiregistry.registry.registry import Registry


def open_on_device(
    registry: Registry,
    request: TrainingRequest,
    name: str,
    who: str,
    give_up: Callable[[], bool],
    held: contextlib.ExitStack,
) -> Generator[Event, None, tuple[LoadedBase, BusyWatch]]:
    """Hold the device until `held` ends, and load the base model on it; also a watch that began before the loading.

    The device is held from before the base model is loaded, so that no two share its memory.

    Args:
        request: names base model, device and precision.
        name: of the base model, as a user knows it.
        who: waits, in words, when another training holds the device.
        give_up: asked while waiting.

    Raises:
        InvalidConfig: there is no such device here, or it cannot compute in that precision.
        Interrupted: `give_up` answered True before the device was free.
        BaseModelNotFound, InvalidInput, HubError, DeviceError: see `tiregistry.opening.open_base`.
    """
    device = choose_device(request.device)
    choose_dtype(request.config.precision, device)
    lock = held.enter_context(device_lock(registry.home, device_name(str(device))))
    if not lock.acquired:
        yield Preparing(f"{who} for another training on {device} to end")
        lock.wait(give_up)
    watch = BusyWatch()
    yield Preparing(f"loading the base model {name}")
    base = open_base(
        registry, request.base, revision=request.revision, device=request.device, precision=request.config.precision
    )
    for note in base.notes:
        yield Notice(note)
    if base.is_flow:
        yield Notice(f"learning words on {base.family} models is experimental: nobody has measured how well they take")
    return base, watch


def take_threads(
    base: LoadedBase, began_with: int, watch: BusyWatch, held: contextlib.ExitStack
) -> Generator[Event, None, int]:
    """Decide the CPU threads and use them until `held` ends; 0 on another device.

    Args:
        began_with: as many as the run began with, for the same bits; 0: as many as are not kept busy.
        watch: has been running for a while, to tell how busy the machine is.
    """
    import torch

    if base.device.type != "cpu":
        return 0
    usual = torch.get_num_threads()
    threads = began_with or free_threads(watch)
    if not began_with and threads < usual:
        yield Notice(f"other programs keep the processors busy: training with {threads} of {usual} threads")
    held.enter_context(using_threads(threads))
    return threads


def preparations(requests: Sequence[TrainingRequest]) -> Iterator[Event]:
    """Say what comes before the first step."""
    pictures = sum(len(request.pictures) for request in requests)
    if pictures:
        yield Preparing(f"encoding {count(pictures, 'picture')}")
    steps = sum(request.config.warm_start_steps for request in requests if request.config.recipe == "quick")
    if steps:
        yield Preparing(f"fitting vectors to the pictures in CLIP space, {steps} steps")


def record(
    registry: Registry, base: LoadedBase, requests: Sequence[TrainingRequest], held: contextlib.ExitStack
) -> tuple[list[Run], list[list[SourceImage]], list[RunLock]]:
    """A run for each request, held by this process until `held` ends, with its pictures in the registry."""
    group = f"{time.time_ns():x}" if len(requests) > 1 else ""
    kept = [keep_pictures(registry, request) for request in requests]
    runs: list[Run] = []
    locks = []
    with ended_before_its_first_step(registry, runs):
        for request, images in zip(requests, kept, strict=True):
            config = run_config(request, (base.identity.name, base.identity.fingerprint), images, group=group)
            steps = request.config.max_steps or 0
            run = registry.create_run(request.concept, config, steps, device_name(str(base.device)), pid=os.getpid())
            runs.append(run)
            locks.append(held.enter_context(hold_run(run_folder(registry, run.id), run.id)))
            runs[-1] = registry.update_run(run.id, status="running", started_at=time.time(), heartbeat_at=time.time())
    return runs, kept, locks


@contextlib.contextmanager
def ended_before_its_first_step(registry: Registry, runs: Sequence[Run]) -> Iterator[None]:
    """Record what became of runs that fail or are stopped while their words are prepared."""
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, TiregError) and not isinstance(error, Interrupted)
        message = str(error) if isinstance(error, TiregError) else "stopped before its first step"
        for run in runs:
            if registry.run(run.id).status in ("queued", "running"):
                close(registry, run, "failed" if failed else "interrupted", message)
        raise


def close(registry: Registry, run: Run, status: RunStatus, message: str) -> None:
    """Record how a run ended; where even that fails, what it failed of is said, not this."""
    with contextlib.suppress(TiregError):
        registry.update_run(run.id, status=status, pid=None, message=message[:500], finished_at=time.time())


def device_name(device: str) -> str:
    """One name per device: `cuda` is `cuda:0`."""
    return "cuda:0" if device == "cuda" else device
