"""How long `tireg` takes to start, beside an empty Python and another command-line tool over SQLite.

    python benchmarks/start_up.py [--runs N]

Each command runs N times, in turn with the others so that a busy machine slows all of them alike; the table shows the
median of wall-clock time and of CPU time, and how often the CPU time of `sqlite-utils --version` that is.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tiregistry.concepts import NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.registry.registry import Registry

ROOT = Path(__file__).parent.parent


def commands() -> dict[str, list[str]]:
    """What is measured."""
    tireg = [sys.executable, "-m", "tireg_cli"]
    found = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "tireg --help": [*tireg, "--help"],
        "tireg list": [*tireg, "list"],
        "tireg show gnome": [*tireg, "show", "gnome"],
    }
    beside = Path(sys.executable).with_name("sqlite-utils")
    sqlite_utils = str(beside) if beside.exists() else shutil.which("sqlite-utils")
    if sqlite_utils:
        found["sqlite-utils --version"] = [sqlite_utils, "--version"]
    return found


def fill(home: Path) -> None:
    """A registry with 100 words."""
    import numpy as np

    with Registry.open(home) as registry:
        for number in range(100):
            name = "gnome" if not number else f"word-{number}"
            new = NewVersion(name, f"<{name}>", "object", "imported", record={"loss": [1.0, 0.5]})
            registry.add_version(new, Embedding({"clip_l": np.full((1, 768), number, dtype=np.float32)}))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="tireg-benchmark-") as folder:
        fill(Path(folder))
        environment = os.environ | {
            "TIREG_HOME": folder,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")]),
        }
        wall: dict[str, list[float]] = {name: [] for name in commands()}
        cpu: dict[str, list[float]] = {name: [] for name in commands()}
        for turn in range(runs + 1):
            for name, command in commands().items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                began = time.perf_counter()
                subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
                taken = time.perf_counter() - began
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                if turn:  # the first round fills the caches
                    wall[name].append(taken * 1000)
                    cpu[name].append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    other = statistics.median(cpu["sqlite-utils --version"]) if "sqlite-utils --version" in cpu else None
    print(f"{'command':<24} {'wall ms':>8} {'CPU ms':>8} {'relative':>9}")
    for name in wall:
        median = statistics.median(cpu[name])
        relative = f"{median / other:>8.2f}x" if other else ""
        print(f"{name:<24} {statistics.median(wall[name]):>8.0f} {median:>8.0f} {relative}")


if __name__ == "__main__":
    main()
