"""A registry that is closed while other threads read it, as when a window is closed: no crash, no file left open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.core.registry.making import add_version
from tiregistry.errors import TiregError
from tiregistry.registry.registry import Registry

_READ_AND_CLOSE = """
import sys, threading
from pathlib import Path
from tiregistry.registry.registry import Registry

for _ in range(60):
    registry = Registry.open(Path(sys.argv[1]))
    going = threading.Event()

    def read():
        try:
            while True:
                registry.database.rows("SELECT * FROM sqlite_master a, sqlite_master b, sqlite_master c LIMIT 3000")
                going.set()
                if over.is_set():
                    return
        except Exception:
            return  # closed while it read, which is what this is about

    over = threading.Event()
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    going.wait()
    registry.close()
    over.set()
    for thread in threads:
        thread.join()
print("sound")
"""


def test_closing_while_others_read_does_not_take_the_process_down(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        add_version(registry)
    done = subprocess.run(
        [sys.executable, "-c", _READ_AND_CLOSE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "sound\n"), done.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_connections_of_other_threads_are_closed_too(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path)
    ready, end = threading.Event(), threading.Event()

    def read() -> None:
        registry.concepts()
        ready.set()
        end.wait(60)

    thread = threading.Thread(target=read)
    thread.start()
    assert ready.wait(60)
    registry.close()
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
    end.set()
    thread.join()
    assert not [path for path in held if path.startswith(str(tmp_path))]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_threads_that_have_ended_hold_nothing_open(registry: Registry) -> None:
    add_version(registry)
    going, end = threading.Event(), threading.Event()
    found: list[str] = []

    def stay() -> None:
        connection = registry.database.connection
        going.set()
        end.wait(60)
        assert registry.database.connection is connection
        found.extend(concept.name for concept in registry.concepts())

    staying = threading.Thread(target=stay)
    staying.start()
    assert going.wait(60)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        thread = threading.Thread(target=registry.concepts)
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # those of the last one
    end.set()
    staying.join()
    assert found == ["gnome"]


def _is_link(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def test_a_closed_registry_says_so(tmp_path: Path) -> None:
    with Registry.open(str(tmp_path)) as registry:
        version = add_version(registry)
    for act in (registry.concepts, lambda: registry.tag("gnome", add=["x"]), version.embedding, registry.last_run):
        with pytest.raises(TiregError, match="is closed"):
            act()
    registry.close()
