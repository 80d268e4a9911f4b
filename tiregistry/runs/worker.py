"""The worker process of one device: takes runs from the queue and carries them out until the queue is empty."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from tiregistry.bases.cpu_threads import wait_politely
from tiregistry.bases.quiet import be_quiet
from tiregistry.concepts import Run
from tiregistry.errors import TiregError
from tiregistry.registry.registry import Registry
from tiregistry.runs.liveness import LOG, adopt_dead_runs
from tiregistry.runs.priority import NICENESS, give_way
from tiregistry.settings import Settings
from tiregistry.training.events import StepDone, in_words
from tiregistry.training.run_lock import is_carried_out
from tiregistry.training.run_state import run_folder

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 15.0
"""Seconds a second worker of the same device waits for the first to go. The first looks into the queue once more
before it goes, so a run that was queued before the second started is always seen by one of them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker; returns 0, also when another worker has the device."""
    parser = argparse.ArgumentParser(prog="python -m tiregistry.runs.worker", description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    wanted = parser.parse_args(argv).device
    give_way(_niceness())
    be_quiet()
    wait_politely()
    from tiregistry.bases.devices import choose_device
    from tiregistry.training.beginning import device_name

    device = device_name(str(choose_device(wanted)))
    usual = device_name(str(choose_device("auto")))
    with Registry.open() as registry, _stop_on_signals() as stop:
        lock = _device_lock(registry.home, device)
        any_device = device == usual
        while True:
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout:
                return 0
            try:
                sound = _work(registry, device, stop, any_device=any_device)
            finally:
                lock.release()
            # A busy machine may let this process wait between its last look and here, longer than a second worker
            # has patience; what that one was started for is seen now.
            if not sound or stop() or not _any_waits(registry, device, any_device=any_device):
                break
    if not sound:
        # After an unexpected error the device's state is not to be trusted: go on in a new process.
        os.execv(sys.executable, [sys.executable, "-m", "tiregistry.runs.worker", "--device", wanted])
    return 0


def _niceness() -> int:
    """How far to give way; settings that cannot be read stop no training."""
    try:
        return int(Settings.load().niceness)
    except TiregError:
        return NICENESS


def _work(registry: Registry, device: str, stop: Callable[[], bool], *, any_device: bool) -> bool:
    """Carry out runs until there is none; False when the process should not go on."""
    while not stop():
        for line in adopt_dead_runs(registry):
            _say(line)
        first = registry.claim_run(device=device, pid=os.getpid(), any_device=any_device)
        if first is None:
            return True
        runs: list[Run] = [first]
        group = first.config.get("group")
        if group:
            for other in reversed(registry.runs(status="queued")):
                if other.config.get("group") == group:
                    claimed = registry.claim_run(device=device, pid=os.getpid(), run_id=other.id)
                    runs += [claimed] if claimed is not None else []
        _say(f"{', '.join(run.id for run in runs)}: taken from the queue")
        if not _carry_out(registry, runs, stop):
            return False
        gc.collect()
    return True


def _any_waits(registry: Registry, device: str, *, any_device: bool) -> bool:
    """Whether there is a run that this worker could take."""
    devices = (device, "") if any_device else (device,)
    return any(run.device in devices and run.pid is None and not run.held for run in registry.queue())


def _carry_out(registry: Registry, runs: Sequence[Run], stop: Callable[[], bool]) -> bool:
    """Carry out runs in one pass, with everything printed going to their log; False after an unexpected error."""
    from tiregistry.training.run import take_up

    sound = True
    message = "its worker stopped before the end"
    with _logging_to(run_folder(registry, runs[0].id) / LOG):
        try:
            for event in take_up(registry, runs, stop=stop):
                if not isinstance(event, StepDone):
                    _say(in_words(event))
        except TiregError as error:
            message = str(error)
            _say(f"error: {error}")
        except Exception as error:  # noqa: BLE001 (it is recorded, and the next runs are carried out)
            sound = False
            message = f"unexpected {type(error).__name__}: {error}"[:500]
            traceback.print_exc()
    for run in runs:
        # What fails before the first step, such as a base model that is gone, has not been recorded yet.
        # One that another process took first is that process's business.
        with registry.database.write():
            now = registry.run(run.id)
            is_ours = now.status == "running" and now.pid == os.getpid()
            if is_ours and not is_carried_out(run_folder(registry, run.id)):
                registry.update_run(run.id, status="failed", pid=None, message=message, finished_at=time.time())
    return sound


@contextmanager
def _stop_on_signals() -> Iterator[Callable[[], bool]]:
    """SIGTERM and SIGINT ask to stop after the step, keeping what was learned; a closed terminal asks nothing."""
    asked: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    signals = [signal.SIGTERM, signal.SIGINT]
    before = {number: signal.signal(number, handle) for number in signals}
    if hasattr(signal, "SIGHUP"):
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Within the block stdout and stderr of the whole process, libraries in C included, go to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = [os.dup(1), os.dup(2)]
    with open(path, "ab") as file:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def _device_lock(home: Path, device: str) -> FileLock:
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"worker-{device.replace(':', '-')}.lock")


def _say(line: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{os.getpid()}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
