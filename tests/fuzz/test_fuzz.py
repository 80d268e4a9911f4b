"""Ten seconds of fuzzing (`TIREG_FUZZ_SECONDS` changes that), and the proof that the guard notices what it must."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.embeddings.samples import small_files
from tests.fuzz.mutations import mutate, random_pickle
from tests.fuzz.run import ROOT, fuzz
from tiregistry.embeddings.reading import read_embedding
from tiregistry.errors import TiregError


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit needs Linux")
def test_some_seconds_of_damaged_files(tmp_path):
    result = fuzz(float(os.environ.get("TIREG_FUZZ_SECONDS", "10")), seed=20260101, folder=tmp_path)
    assert result["failures"] == []
    assert result["cases"] > 50  # a busy machine does few; an idle one does ten thousand
    assert result["peak_mb"] < 500


def test_the_first_mutations_of_every_file_always():
    """The same few thousand cases on every machine, so that a regression shows without luck."""
    rng = random.Random(0)
    files = list(small_files().values())
    for data in files:
        for _ in range(60):
            _read(mutate(data, files, rng))
    for _ in range(500):
        _read(random_pickle(rng, 30))


def _read(data: bytes) -> None:
    with contextlib.suppress(TiregError):
        read_embedding(data, filename="case.bin")


def test_mutations_keep_some_files_readable():
    """If damage always broke the container, the code behind it would never be reached."""
    rng, files = random.Random(1), list(small_files().values())
    readable = 0
    for _ in range(500):
        try:
            readable += bool(read_embedding(mutate(rng.choice(files), files, rng)))
        except TiregError:
            continue
    assert readable > 25


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ("raise KeyError('x')", "escaped"),
        ("guard.SECONDS = 0.1; sum(range(20_000_000))", "took"),
        ("bytearray(600 * 2**20)", "escaped"),
        ("import os; os.system('true')", "acted"),
        ("eval('1')", "acted"),
        ("open('x', 'w').close()", "acted"),
        ("pass", ""),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit needs Linux")
def test_the_guard_notices(tmp_path: Path, body: str, trouble: str):
    script = (
        "from tests.fuzz import guard, worker\n"
        "guard.install()\n"
        "worker._limit_memory()\n"
        f"def reader(data, filename):\n    {body}\n    return []\n"
        "guard.read_embedding = reader\n"
        "print(guard.run(b'x')[:200])\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path]))
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(trouble)
    assert trouble or not done.stdout.strip()
