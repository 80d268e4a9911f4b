"""Fuzz the readers: `python -m tests.fuzz.run --minutes 10 [--seed 1] [--keep FOLDER]`.

Starts a worker process with a memory limit, watches that it goes on, and reports every file that made a reader raise
something other than a `TiregError`, take more than two seconds, use more than 500 MB, act, crash or hang.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HANG = 20.0
"""CPU seconds on one case after which the worker is taken for hung; the limit proper is checked by the worker."""
STUCK = 300.0
"""Seconds by the clock after which a worker that does not even compute is taken for stuck."""


def fuzz(seconds: float, seed: int, folder: Path, *, guided: bool = True) -> dict[str, Any]:
    """Fuzz in a subprocess; the result has `cases`, `failures` (file and trouble) and `peak_mb`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    environment = dict(
        os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path]), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
    )
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.worker",
        str(folder),
        str(seconds),
        str(seed),
        "guided" if guided else "blind",
    ]
    log = folder / "worker.log"
    with open(log, "wb") as output:
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        case, last, since, used = folder / "case.bin", None, time.monotonic(), 0.0
        while worker.poll() is None:
            time.sleep(0.5)
            try:
                stamp = case.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if stamp != last:
                last, since, used = stamp, time.monotonic(), _cpu_seconds(worker.pid)
            elif _cpu_seconds(worker.pid) - used > HANG or time.monotonic() - since > STUCK:
                worker.kill()
                worker.wait()
                return _died(folder, "hung")
    if not (folder / "result.json").exists():
        return _died(
            folder, f"the worker died with code {worker.returncode}: {log.read_text(errors='replace')[-2000:]}"
        )
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def _cpu_seconds(process: int) -> float:
    """CPU time that a process has used; 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _died(folder: Path, trouble: str) -> dict[str, Any]:
    case = folder / "case.bin"
    if case.exists():
        shutil.copy(case, folder / "failure-fatal.bin")
    return {"cases": -1, "failures": [{"file": "failure-fatal.bin", "trouble": trouble}], "peak_mb": -1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--keep", type=Path, help="folder for failing files (default: a temporary one, kept on failure)"
    )
    parser.add_argument(
        "--blind", action="store_true", help="do not watch which code is reached; more cases per second"
    )
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="tireg-fuzz-"))
    result = fuzz(options.minutes * 60, options.seed, folder, guided=not options.blind)
    print(
        f"seed {options.seed}: {result['cases']} cases, {len(result['failures'])} failures, peak {result['peak_mb']} MB"
    )
    for failure in result["failures"]:
        print(f"{folder / failure['file']}: {failure['trouble']}")
    if not result["failures"] and options.keep is None:
        shutil.rmtree(folder)
    return bool(result["failures"])


if __name__ == "__main__":
    sys.exit(main())
