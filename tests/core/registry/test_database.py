"""The database file: creation, refusal of what is not ours, read-only places, network mounts, full disks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.core.registry.making import add_version, pragma
from tiregistry.errors import Damaged, DiskFull, NewerRegistry, NotFound, RegistryReadOnly, interruption_in
from tiregistry.registry import database, database_file
from tiregistry.registry.database import Database
from tiregistry.registry.filesystem import on_network
from tiregistry.registry.registry import Registry
from tiregistry.registry.schema import APPLICATION_ID, SCHEMA_VERSION

# -- creation --------------------------------------------------------------------------------------------------------


def test_it_is_created_on_first_use_with_its_marks(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    with Registry.open(home) as registry:
        assert registry.concepts() == []
        assert registry.database.value("PRAGMA foreign_keys") == 1
        assert registry.database.value("PRAGMA synchronous") == 2
    path = home / "registry.db"
    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "user_version") == SCHEMA_VERSION
    assert pragma(path, "journal_mode") == "wal"
    assert (home.stat().st_mode & 0o077) == 0  # private: source images are personal data
    tables = sqlite3.connect(path).execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%STRICT%' "
        "AND name NOT LIKE 'search%' AND name NOT LIKE '_sqlite%'"
    )
    assert tables.fetchall() == []


def test_first_open_race_of_eight_processes(tmp_path: Path) -> None:
    script = (
        "from tiregistry.registry.registry import Registry\n"
        "import sys\n"
        "sys.stdin.readline()\n"  # all start together
        "with Registry.open() as r: r.tag(r.create_concept('c' + sys.argv[1], '<c%s>' % sys.argv[1], 'object').name, "
        "add=['x'])\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(n)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in range(8)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [(process.communicate(timeout=120)[1], process.returncode) for process in processes] == [(b"", 0)] * 8
    with Registry.open() as registry:
        assert len(registry.concepts("tag:x")) == 8
        assert registry.verify().damages == []


def test_threads_get_their_own_connections(registry: Registry) -> None:
    add_version(registry)
    found: list[str] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            registry.tag("gnome", add=[f"t{number}"])
            found.append(registry.concept("gnome").latest.reference)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, found) == ([], ["gnome@1"] * 8)
    assert len(registry.concept("gnome").tags) == 8


def test_a_transaction_that_reads_cannot_become_one_that_writes(registry: Registry) -> None:
    def write_in_read() -> None:
        with registry.database.read(), registry.database.write():
            pass

    with pytest.raises(RuntimeError, match="begin with write"):
        write_in_read()
    with registry.database.write(), registry.database.read(), registry.database.write():
        registry.create_concept("gnome", "<gnome>", "object")
    assert registry.concept("gnome").name == "gnome"


# -- what is not ours ------------------------------------------------------------------------------------------------


def test_a_newer_registry_is_refused_and_left_untouched(tmp_path: Path) -> None:
    with Registry.open() as registry:
        add_version(registry)
        path = registry.database.path
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.parent.iterdir() if p.is_file()}
    for readonly in (False, True):
        with pytest.raises(NewerRegistry, match="newer") as caught:
            Registry.open(readonly=readonly)
        assert "pip install --upgrade" in caught.value.hint
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.parent.iterdir() if p.is_file()} == before


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 500])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    home = Path(os.environ["TIREG_HOME"])
    home.mkdir()
    (home / "registry.db").write_bytes(content)
    with pytest.raises(Damaged):
        Registry.open()
    assert (home / "registry.db").read_bytes() == content


def test_a_registry_that_another_process_makes_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["TIREG_HOME"])
    home.mkdir()
    with closing(sqlite3.connect(home / "registry.db")) as connection:  # as one that begins leaves it for a moment
        connection.execute("PRAGMA journal_mode = WAL")
    is_empty, asked = Database._is_empty, 0

    def is_empty_after_the_other(database: Database) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            Registry.open().close()
        return is_empty(database)

    monkeypatch.setattr(Database, "_is_empty", is_empty_after_the_other)
    with Registry.open() as registry:
        assert registry.concepts() == []
    assert asked > 1


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    home = Path(os.environ["TIREG_HOME"])
    home.mkdir()
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = (home / "registry.db").read_bytes()
    with pytest.raises(Damaged, match="not a tiregistry database"):
        Registry.open()
    assert (home / "registry.db").read_bytes() == before


def test_a_registry_that_has_lost_a_table_is_damaged(registry: Registry) -> None:
    registry.database.connection.execute("DROP TABLE picture_words")
    with pytest.raises(Damaged, match="no such table: picture_words") as caught:
        registry.pictures()
    assert "tireg restore --from" in caught.value.hint


# -- places that cannot be written -----------------------------------------------------------------------------------


def test_reading_what_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Registry.open(tmp_path / "none", readonly=True)
    assert not (tmp_path / "none").exists()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, whose rights and size can be changed."""
    point = tmp_path / "mounted"
    point.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(point)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def remount(point: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(point)], check=True)


@pytest.mark.parametrize("wal", ["complete", "left behind"])
def test_a_read_only_file_system_can_be_read(mounted: Path, wal: str) -> None:
    home = mounted / "home"
    registry = Registry.open(home)
    version = add_version(registry)
    registry.tag("gnome", add=["garden"])
    if wal == "left behind":  # as after a crash: the last commits are only in the -wal file
        saved = {p: p.read_bytes() for p in home.glob("registry.db*") if not p.name.endswith("-shm")}
        registry.close()
        for path, content in saved.items():
            path.write_bytes(content)
        assert (home / "registry.db-wal").stat().st_size
    else:
        registry.close()
    remount(mounted, "ro")
    with Registry.open(home) as registry:
        assert registry.readonly
        assert registry.version("gnome").digest == version.digest
        assert registry.concepts("tag:garden")[0].latest.embedding() == version_embedding()
        assert registry.verify().damages == []
        with pytest.raises(RegistryReadOnly):
            registry.tag("gnome", add=["new"])
        with pytest.raises(RegistryReadOnly):
            registry.blobs.add(b"new bytes")
        with pytest.raises(RegistryReadOnly):
            add_version(registry, seed=7)
    with pytest.raises(RegistryReadOnly):
        Registry.open(mounted / "elsewhere")
    remount(mounted, "rw")


def version_embedding() -> object:
    from tests.core.registry.making import make_embedding

    return make_embedding(0)


# -- where write-ahead logging cannot work ---------------------------------------------------------------------------


def test_a_file_system_without_shared_memory_falls_back_from_wal(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's `unix-dotfile` VFS has no shared memory, as a network mount has none."""
    connect = sqlite3.connect

    def without_shared_memory(path: Any, **options: Any) -> sqlite3.Connection:
        options["uri"] = True
        return connect(f"file:{path}?vfs=unix-dotfile", **options)

    monkeypatch.setattr(database.sqlite3, "connect", without_shared_memory)
    with Registry.open() as registry:
        assert registry.database.value("PRAGMA journal_mode") == "delete"
        version = add_version(registry)
        registry.tag("gnome", add=["x"])
    with Registry.open() as registry:
        assert registry.version("gnome").digest == version.digest
        assert registry.verify().damages == []


def test_the_rollback_journal_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIREG_JOURNAL", "delete")
    with Registry.open() as registry:
        assert registry.database.value("PRAGMA journal_mode") == "delete"
        add_version(registry)
        assert not list(registry.home.glob("*-wal"))


def test_a_registry_that_came_to_lie_on_a_network_mount_changes_its_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.open() as registry:
        add_version(registry)
        assert registry.database.value("PRAGMA journal_mode") == "wal"
    monkeypatch.setattr(database_file, "on_network", lambda folder: True)
    with Registry.open() as registry:
        assert registry.database.value("PRAGMA journal_mode") == "delete"
        assert registry.version("gnome").number == 1
        add_version(registry, seed=2)


def test_a_whole_process_on_a_network_mount_uses_the_rollback_journal(tmp_path: Path) -> None:
    """No part is replaced: the kernel's list of mounts, as this one process sees it, says that its home is on NFS."""
    home = tmp_path / "share" / "home"
    home.mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        Path("/proc/self/mountinfo").read_text() + f"999 1 0:99 / {home.parent} rw,relatime - nfs4 server:/export rw\n"
    )
    script = (
        "from tests.core.registry.making import add_version\n"
        "from tiregistry.registry.registry import Registry\n"
        "with Registry.open() as r:\n"
        "    print(r.database.value('PRAGMA journal_mode'), add_version(r).reference, len(r.verify().damages))\n"
    )
    # The shell's own list of mounts is covered by our file, in a mount namespace of its own; exec keeps its pid.
    shell = f'mount --bind "{mounts}" /proc/$$/mountinfo && exec "{sys.executable}" -c "$0"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", shell, script],
        env=os.environ | {"TIREG_HOME": str(home)},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("a mount namespace needs root")
    assert (done.stdout, done.stderr) == ("delete gnome@1 0\n", "")
    assert not list(home.glob("registry.db-*"))
    with Registry.open(home) as registry:  # back on a local disk: it works as it is
        add_version(registry, seed=2)
        assert registry.verify().damages == []


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/local rw - ext4 /dev/sdb rw
32 22 0:42 / /mnt/my\\040share rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("folder", "answer"),
    [("/", False), ("/home/me/x", True), ("/home/local/x", False), ("/mnt/my share/x", True), ("/homeless", False)],
)
def test_network_mounts_are_recognised(folder: str, answer: bool) -> None:
    assert on_network(Path(folder), MOUNTS) is answer


# -- a database that is lost, a disk that is full --------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["gone", "empty", "blank"])
def test_a_lost_database_is_not_replaced_in_silence(tmp_path: Path, loss: str) -> None:
    with Registry.open() as registry:
        digest = add_version(registry).digest
        path, home = registry.database.path, registry.home
        backup = registry.backup(tmp_path / "b.zip").path
    files = {p: p.read_bytes() for p in (home / "blobs").rglob("*") if p.is_file()}
    path.unlink()
    if loss == "empty":
        path.touch()
    elif loss == "blank":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    for readonly in (False, True):
        with pytest.raises(Damaged, match="missing or empty") as caught:
            Registry.open(readonly=readonly)
        assert "tireg restore --from" in caught.value.hint
    with Registry.open(anew=True) as registry:
        report = registry.gc(apply=True, grace=0)  # young: they could be a beginning writer's
        assert (report.files, report.young) == ((), len(files))
        for file in files:
            os.utime(file, (time.time() - 3600,) * 2)
        with pytest.raises(Damaged, match="knows no word"):
            registry.gc(apply=True, grace=0)
        assert len(registry.strays()) == len(files)
        (damage,) = registry.verify(repair=True).damages
        assert damage.remains
        assert f"{len(files)} files of words are there" in damage.problem
        add_version(registry, "new", 7)  # someone went on with it
        report = registry.verify()
        assert (report.damages, report.strays) == ([], len(files))
        registry.merge_backup(backup)
        assert registry.verify().strays == 0
        assert registry.version("gnome").digest == digest
        assert registry.verify().damages == []
        assert registry.gc(apply=True, grace=0).files == ()
    assert all(p.read_bytes() == content for p, content in files.items())


def test_a_home_that_holds_no_file_yet_is_begun_however_it_was_left(tmp_path: Path) -> None:
    home = Path(os.environ["TIREG_HOME"])
    (home / "blobs" / "tmp").mkdir(parents=True)
    (home / "blobs" / "tmp" / "1-ab").write_bytes(b"half")
    (home / "registry.db").touch()  # killed between creating the file and its tables
    with Registry.open() as registry:
        assert registry.concepts() == []
        assert registry.gc(apply=True, grace=0).files == ()


def test_on_a_full_disk_everything_can_be_read(mounted: Path, tmp_path: Path) -> None:
    home = mounted / "home"
    with Registry.open(home) as registry:
        version = add_version(registry)
    filler = mounted / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while file.write(b"x" * 65536):
            pass
    with Registry.open(home) as registry:
        assert registry.concept("gnome").latest.embedding() == version_embedding()
        assert registry.verify().damages == []
        assert registry.backup(tmp_path / "b.zip").missing == ()
        with pytest.raises(DiskFull):
            registry.tag("gnome", add=["new"])
        with pytest.raises(DiskFull):
            add_version(registry, seed=9)
        registry.file_hashes.put(filler, "weights", "sha256:" + "1" * 64)  # remembered where there is space, or not
        assert registry.file_hashes.get(filler, "weights") is None
    (home / "blobs" / "tmp" / "1-ab").write_bytes(b"")  # as a killed writer leaves it
    filler.write_bytes(b"x" * (filler.stat().st_size - 200_000))
    (home / "blobs" / "tmp" / "1-ab").write_bytes(b"x" * 190_000)
    orphan = home / "blobs" / "aa" / ("a" * 64)
    orphan.parent.mkdir(exist_ok=True)
    orphan.touch()
    for file in (home / "blobs" / "tmp" / "1-ab", orphan):
        os.utime(file, (time.time() - 2 * 86400,) * 2)
    with Registry.open(home) as registry:
        assert len(registry.gc(apply=True).files) == 1
        assert not orphan.exists()
    filler.unlink()
    with Registry.open(home) as registry:
        registry.tag("gnome", add=["new"])
        assert registry.version("gnome").digest == version.digest


@pytest.mark.parametrize("table", ["tags", "versions", "concepts", "blobs"])
def test_a_database_that_lacks_a_table_is_damaged_and_hangs_nothing(tmp_path: Path, table: str) -> None:
    with Registry.open(tmp_path) as registry, registry.database.write() as connection:
        connection.execute(f"DROP TABLE {table}")
    with Registry.open(tmp_path) as registry, pytest.raises(Damaged, match=f"no such table: {table}"):
        registry.database.rows(f"SELECT * FROM {table}")


_OTHER = """
import sys
from pathlib import Path
from tiregistry.registry.registry import Registry
for number in range(3):
    with Registry.open(Path(sys.argv[1])) as registry:
        registry.tag("gnome", add=[f"t{number}"])
"""


def test_a_second_registry_in_one_process_takes_no_lock_away_from_the_first(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        add_version(registry)
        Registry.open(tmp_path).close()
        # Another process that believed itself alone would remove the log when it closes.
        subprocess.run([sys.executable, "-c", _OTHER, str(tmp_path)], check=True)
        assert (tmp_path / "registry.db-wal").exists()
        assert registry.concept("gnome").tags == ("t0", "t1", "t2")
        with Registry.open(tmp_path) as second:
            second.tag("gnome", add=["t3"])
        assert registry.concept("gnome").tags == ("t0", "t1", "t2", "t3")


def test_a_mistake_in_this_program_is_raised_as_it_is(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry, pytest.raises(sqlite3.OperationalError) as caught:  # noqa: SIM117
        with registry.database.read() as connection:
            connection.execute("SELEKT 1")
    assert interruption_in(caught.value) is None
    looped = RuntimeError()
    looped.__cause__ = looped
    assert interruption_in(looped) is None
