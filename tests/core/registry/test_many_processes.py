"""Many processes at once, processes killed at any moment, and a disk that is full."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.registry.making import add_version, make_embedding
from tiregistry.concepts import NewVersion
from tiregistry.errors import DiskFull
from tiregistry.registry.registry import Registry

ROOT = Path(__file__).parents[3]


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder on a memory file system where there is one: waiting for a disk would be most of these tests' time.

    A killed process leaves there what it leaves on a disk: what the kernel had taken is kept.
    """
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="tireg-test-") as folder:
        yield Path(folder)


def start(module: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.core.registry.{module}", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_writers_of_five_hundred_writes_lose_and_fail_none(in_memory: Path) -> None:
    writers = [start("writing", in_memory, number, 500) for number in range(8)]
    for writer in writers:
        _, talk = writer.communicate(timeout=800)
        assert (writer.returncode, talk) == (0, "")
    with Registry.open(in_memory) as registry:
        check_nothing_is_lost(registry)


def check_nothing_is_lost(registry: Registry) -> None:
    for number in range(8):
        own = registry.concept(f"own-{number}")
        assert [version.number for version in own.versions] == list(range(1, own.num_versions + 1))
        # Writes 2..499 in turns of six: 83 versions each of kinds 0, 2 (shared) and 4 (own).
        assert own.num_versions == 83
        assert sum(tag.startswith(f"w{number}-") for tag in registry.concept("shared").tags) == 83
    shared = registry.versions("shared")
    assert [version.number for version in shared] == list(range(1, len(shared) + 1))
    assert len(shared) == 8 * (83 + 83)
    assert {run.step for run in registry.runs(concept="shared")} == {495}
    assert registry.verify().damages == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_nothing(in_memory: Path) -> None:
    seed = int(os.environ.get("TIREG_TEST_SEED", "1"))
    driver = start("crashing", in_memory / "home", 200, seed)
    out, talk = driver.communicate(timeout=800)
    assert driver.returncode == 0, talk
    result = json.loads(out)
    assert result["rounds"] == 200
    assert result["children_that_failed"] == 0, talk
    assert result["promised"] > 200  # the children really did get to work before they were killed
    with Registry.open(in_memory / "home") as registry:
        registry.gc(apply=True, grace=0)
        assert registry.verify().damages == []
        assert list(registry.blobs.temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_gc_beside_running_writers_takes_nothing_they_need(registry: Registry) -> None:
    """The writer registers, purges and registers the same content again, while gc removes all that is unreferenced."""
    script = (
        "import sys, time\n"
        "from tests.core.registry.making import make_embedding\n"
        "from tiregistry.concepts import NewVersion\n"
        "from tiregistry.registry.registry import Registry\n"
        "end = time.monotonic() + 4\n"
        "name = 'w' + sys.argv[1]\n"
        "with Registry.open() as r:\n"
        "    n = 0\n"
        "    while time.monotonic() < end or n <= 10:\n"
        "        v = r.add_version(NewVersion(name, f'<{name}>', 'object', 'imported'), make_embedding(n % 3))\n"
        "        assert v.embedding() == make_embedding(n % 3)\n"
        "        r.remove(v.reference); r.purge([v.reference]); n += 1\n"
        "    r.add_version(NewVersion(name, f'<{name}>', 'object', 'imported'), make_embedding(0))\n"
        "print(n)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    removed = 0
    while any(writer.poll() is None for writer in writers):
        removed += len(registry.gc(apply=True, grace=0).files)
        time.sleep(0.005)
    for writer in writers:
        assert int(writer.communicate()[0]) > 10
        assert writer.returncode == 0
    assert removed > 0
    assert registry.verify().damages == []
    assert registry.concept("w0").latest.embedding() == make_embedding(0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    point = tmp_path / "small"
    point.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(point)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_a_full_disk_stops_the_write_and_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    with Registry.open(small_disk / "home") as registry:
        kept: list[str] = []

        def fill() -> None:
            for seed in range(2000):
                new = NewVersion("gnome", "<gnome>", "object", "trained", training={"seed": seed})
                kept.append(registry.add_version(new, make_embedding(seed, dim=2000)).digest)

        with pytest.raises(DiskFull) as caught:
            fill()
        assert "free some space" in caught.value.hint
        assert len(kept) > 20
        with pytest.raises(DiskFull):
            registry.blobs.add(os.urandom(3_000_000))
        with pytest.raises(DiskFull):
            registry.backup(small_disk / "b.zip")
        assert [version.digest for version in registry.versions("gnome")] == kept
        assert registry.concepts("gnome")
    with Registry.open(small_disk / "home") as registry:  # a fresh start on the full disk
        assert registry.verify(quick=True).damages == []
        assert list(registry.blobs.temporary.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=12m", str(small_disk)], check=True)
        assert registry.verify().damages == []
        add_version(registry, "dwarf")
        registry.backup(tmp_path / "b.zip")


def test_the_registry_cannot_be_created_on_a_full_disk(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            continue
    with pytest.raises(DiskFull):
        Registry.open(small_disk / "home")
    filler.unlink()
    with Registry.open(small_disk / "home") as registry:
        add_version(registry)
        assert registry.verify().damages == []
