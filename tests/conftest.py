"""No test reaches the user's home or the network; and how the tests are dealt to several workers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

# One thread, set before torch is loaded: workers that share cores only wait for each other's threads, and a training
# that takes as many as are free gives other bits on a machine that is busy for a moment.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The programs that tests start, some hundreds, would each compile the whole project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty registry folder of its own, and no Hub."""
    monkeypatch.setenv("TIREG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: where a test waits, for a program or a terminal, another one runs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each worker has a share of its own, where what the tests of a file share is made once; who is done helps."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every worker's share begins with slow tests and ends with quick ones: none is left alone with a long one."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        slow = [item for item in items if item.get_closest_marker("slow")]
        quick = [item for item in items if not item.get_closest_marker("slow")]
        files = [list(tests) for _, tests in itertools.groupby(slow, key=lambda item: item.path)]
        items[:] = _dealt(files, quick, len(items), workers)


def _dealt(slow: list[list[pytest.Item]], quick: list[pytest.Item], total: int, workers: int) -> Iterable[pytest.Item]:
    """The tests in as many shares as there are workers, one after the other: slow files in turn, then quick tests."""
    for worker in range(workers):
        first = list(itertools.chain(*slow[worker::workers]))
        room = total // workers - len(first) if worker < workers - 1 else len(quick)
        yield from first
        yield from quick[:room]
        del quick[:room]
