"""Who carries queued runs out. Here: one worker process per device of this machine.

The seam for more: an executor gets run ids, reads their configuration (no paths; pictures and masks are blobs, the
base model is a name with a fingerprint), and gives back events in each run's folder and versions in the registry.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import tiregistry

if TYPE_CHECKING:
    from tiregistry.concepts import Run
    from tiregistry.registry.registry import Registry


class Executor(Protocol):
    """Starts what is needed so that queued runs are carried out."""

    def start(self, registry: Registry, runs: Sequence[Run]) -> None:
        """Return at once; the runs are in the queue already."""


class LocalWorkers:
    """A worker process for each device that the runs name; one that is at work already takes them, too."""

    def start(self, registry: Registry, runs: Sequence[Run]) -> None:
        for device in dict.fromkeys(run.device or "auto" for run in runs):
            start_worker(registry.home, device)


def start_worker(home: Path, device: str) -> int:
    """Start a worker in a session of its own, so that it outlives this process and its terminal; return its pid."""
    folder = home / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    package = str(Path(tiregistry.__file__).resolve().parent.parent)
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = os.environ | {"TIREG_HOME": str(home), "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    with open(folder / "workers.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tiregistry.runs.worker", "--device", device],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
    # Collected when it ends: a process that nobody collects keeps its id, as if it lived on.
    threading.Thread(target=process.wait, name="tireg-worker-end", daemon=True).start()
    return process.pid
