"""One training per device at a time, across processes: a lock file that the system frees when its holder dies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Already there with huggingface_hub; covers POSIX and Windows, and a killed process leaves no lock behind.
from filelock import FileLock, Timeout

from tiregistry.errors import Interrupted
from tiregistry.registry.filesystem import writing


class DeviceLock:
    """The lock of one device; `acquired` says whether it is held."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)
        self.acquired = self._try()

    def _try(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait until the device is free.

        Raises:
            Interrupted: `stop` answered True first.
        """
        while not self.acquired:
            if stop():
                raise Interrupted("stopped while waiting for the device", "nothing was trained yet")
            time.sleep(0.2)
            self.acquired = self._try()

    def release(self) -> None:
        """Free the device."""
        if self.acquired:
            self._lock.release()
            self.acquired = False


@contextmanager
def device_lock(home: Path, device: str) -> Iterator[DeviceLock]:
    """The lock of `device` within this registry, tried once; the block may `wait` for it.

    Raises:
        RegistryReadOnly, DiskFull: the registry's folder cannot be written.
    """
    folder = home / "locks"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = DeviceLock(folder / f"device-{re.sub(r'[^a-z0-9]+', '-', device.lower())}.lock")
    try:
        yield lock
    finally:
        lock.release()
