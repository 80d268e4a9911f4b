"""Whether a run is being carried out: a lock in its folder that the system frees when the process dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tiregistry.errors import Conflict, RegistryReadOnly
from tiregistry.registry.filesystem import writing

_FILE = "lock"


class RunLock:
    """Held by the process that carries a run out, from before its first step until its end is recorded.

    A process id can be given to another process after a crash or a restart of the machine; a lock cannot.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / _FILE)

    def acquire(self, patience: float = 10.0) -> bool:
        """Take the lock; False when another process, or another part of this one, has it.

        Args:
            patience: seconds to try for. Who only looks whether it is held takes it for a moment, on a busy machine for
                longer, which must not keep a run from being carried out.

        Raises:
            RegistryReadOnly, DiskFull: the folder cannot be written.
        """
        try:
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(timeout=patience, poll_interval=0.02)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def is_carried_out(folder: Path) -> bool:
    """Whether some process carries out the run of this folder now."""
    if not (folder / _FILE).exists():
        return False
    lock = RunLock(folder)
    try:
        if not lock.acquire(patience=0):
            return True
    except RegistryReadOnly:
        return False  # nor could anybody else write down what a run learns
    lock.release()
    return False


@contextmanager
def hold_run(folder: Path, run_id: str, *, patience: float = 10.0) -> Iterator[RunLock]:
    """Hold a run's lock within the block.

    Args:
        patience: as `RunLock.acquire`.

    Raises:
        Conflict: another process carries it out.
    """
    lock = RunLock(folder)
    if not lock.acquire(patience):
        raise Conflict(f"run {run_id} is being carried out by another process", "tireg runs watch shows it")
    try:
        yield lock
    finally:
        lock.release()
