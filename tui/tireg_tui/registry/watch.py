"""The registry as another thread opens and watches it: a lock, or a slow disk, never stops the keys."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from tireg_tui.start.first_page import FirstPage, read_first_page
from tiregistry.errors import TiregError
from tiregistry.registry.registry import Registry

_POLL_SECONDS = 0.5
_FILE = "registry.db"


class RegistryWatch(threading.Thread):
    """Opens a registry, then looks twice a second whether it was changed, and whether it is still the same file.

    One thread does both, since SQLite tells each connection of changes by the others.

    Args:
        home: the registry's folder; default as everywhere.
        reads_first_page: also read what the library shows first.
    """

    def __init__(self, home: Path | None = None, *, reads_first_page: bool = False) -> None:
        super().__init__(name="tireg-watch", daemon=True)
        self._home, self._reads_first_page = home, reads_first_page
        self.tell: Callable[[RegistryWatch], object] = lambda _: None
        """Called in this thread, with the watch, when there is something new to be seen in its attributes."""
        self._ended = threading.Event()
        self._opened = threading.Event()
        self.registry: Registry | None = None
        """The open registry; None while it is being opened, and when that failed."""
        self.error: TiregError | None = None
        """Why it could not be opened, or cannot be read at the moment."""
        self.first_page: FirstPage | None = None
        self.gone = False
        """The file is not there: removed, or on a disk that is."""
        self.replaced = False
        """Another file stands in its place, or it is there again: it must be opened anew."""
        self.changes = 0
        """How many changes were noticed."""

    def wait_opened(self, seconds: float) -> bool:
        """Wait until it is known whether the registry can be opened; whether that is known."""
        return self._opened.wait(seconds)

    def stop(self) -> None:
        """Look no longer. The registry stays open."""
        self._ended.set()

    def run(self) -> None:
        try:
            self.registry = registry = Registry.open(self._home)
            seen = registry.changes()
            if self._reads_first_page:
                with contextlib.suppress(TiregError):  # whoever asks again is told
                    self.first_page = read_first_page(registry)
        except TiregError as error:
            self.registry, self.error = None, error
        except Exception as error:  # noqa: BLE001 (a disk can fail in ways that nobody named)
            self.registry, self.error = None, TiregError(f"the registry cannot be opened: {error}", "tireg doctor")
        self._opened.set()
        self._say()
        if self.registry is None:
            return
        file = _identity(registry)
        while not self._ended.wait(_POLL_SECONDS):
            before = (self.changes, str(self.error or ""), self.gone, self.replaced)
            found = _identity(registry)
            self.replaced = found is not None and (self.gone or found != file)
            self.gone = found is None
            try:
                now, self.error = registry.changes(), None
            except TiregError as error:
                now, self.error = seen, error
            except Exception as error:  # noqa: BLE001 (as above)
                now, self.error = seen, TiregError(f"the registry cannot be read: {error}", "tireg verify")
            self.changes += now != seen
            seen = now
            if before != (self.changes, str(self.error or ""), self.gone, self.replaced):
                self._say()
            if self.replaced:
                return

    def _say(self) -> None:
        if not self._ended.is_set():
            self.tell(self)


def holds_registry(home: Path) -> bool:
    """Whether there is a registry in a folder. Where it has gone from, nothing is written that would outlast it."""
    return (home / _FILE).is_file()


def _identity(registry: Registry) -> tuple[int, int] | None:
    """Which file it is; None when it is gone. A copy that is read instead of the original never changes."""
    try:
        status = (registry.home / _FILE).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
