"""Removing files that nothing refers to: after a grace period, and safe beside processes that are writing."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tiregistry.errors import Damaged
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.database import Database
from tiregistry.registry.filesystem import folder_lock, make_folder, process_exists
from tiregistry.registry.sharing import blobs_of_pictures
from tiregistry.registry.strays import is_blank, strays

GRACE_SECONDS = 24 * 3600.0
"""How old an unreferenced file must be: longer than any work that adds files first and registers them later."""

STAGING = "staging"
"""Folder of the registry in which pulls work, each in a folder of its own."""
_BATCH = 200  # files removed while the write lock is held once; other writers wait that long
_DIGEST_IN_JSON = re.compile(r"(?:sha256:)?\b([0-9a-f]{64})\b")


@dataclass(frozen=True, slots=True)
class GcReport:
    """What gc found, and whether it was removed."""

    files: tuple[tuple[str, int], ...]
    """Digest and size of blobs nothing refers to."""
    temporary: tuple[tuple[str, int], ...]
    """Name and size of files, and of folders of pulls, left behind by processes that were killed while writing."""
    young: int
    """Unreferenced files that are kept because they are younger than the grace period."""
    applied: bool
    strays: int = 0
    """How many of `files` no row ever named: left by work that was killed, or of a database that is gone."""

    @property
    def bytes(self) -> int:
        return sum(size for _, size in (*self.files, *self.temporary))


def collect(db: Database, blobs: BlobStore, *, apply: bool = False, grace: float = GRACE_SECONDS) -> GcReport:
    """Find, and with `apply` remove, blobs nothing refers to and temporary files, all older than `grace` seconds.

    Versions in the trash, runs (whose pictures are kept before there is a version) and remembered generated pictures
    count as references.

    A writer adds files first and refers to them in a transaction that checks that they are still there; files are
    taken away only while the same lock is held and nothing refers to them. So no row can lose its file.

    Raises:
        Damaged: files are there, but the database has never known any: it is not the one they belong to.
    """
    now = time.time()
    references = _References(db)
    referenced = references.now()
    orphans, young = [], 0
    for digest in blobs:
        if digest in referenced:
            continue
        status = _stat(blobs.path(digest))
        if status is None:
            continue
        if now - status.st_mtime >= grace:
            orphans.append((digest, status.st_size))
        else:
            young += 1
    if orphans and is_blank(db):
        if strays(db, blobs, now):
            raise Damaged(
                f"the database knows no word, but {len(orphans) + young} files are there; nothing was removed",
                "read a backup first: tireg restore --from FILE; if nothing is missing, remove "
                f"{blobs.folder} yourself",
            )
        # A writer may have laid down its first file a moment ago, before its first row; a lost database's are as dear.
        young, orphans = young + len(orphans), []
    never_named = len({digest for digest, _ in orphans} & set(strays(db, blobs, now))) if orphans else 0
    temporary = _temporary(blobs, grace, now)
    staged = _staged(db.path.parent / STAGING, max(grace, GRACE_SECONDS), now)
    if not apply:
        return GcReport(tuple(orphans), (*temporary, *staged), young, applied=False, strays=never_named)
    with folder_lock(db.path.parent, exclusive=True):
        # What no row can name goes first: on a full disk it may give the database the space that it needs.
        for name, _ in temporary:
            (blobs.temporary / name).unlink(missing_ok=True)
        for name, _ in staged:
            shutil.rmtree(db.path.parent / STAGING / name, ignore_errors=True)
        removed = []
        for start in range(0, len(orphans), _BATCH):
            removed += _remove(db, blobs, references, orphans[start : start + _BATCH], grace, now)
    return GcReport(tuple(removed), (*temporary, *staged), young + len(orphans) - len(removed), True, never_named)


class _References:
    """Digests of the files that rows refer to.

    Reading them takes long where many pictures are remembered: it is done again only when somebody has written
    something since.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._state: tuple[int, int] | None = None
        self._found: set[str] = set()

    def now(self) -> set[str]:
        """The digests at this moment, or at that of the transaction around."""
        with self._db.read():
            if self._state != (state := self._look()):
                self._found, self._state = _referenced(self._db), state
        return self._found

    def drop_rows(self, digests: list[str]) -> None:
        """Delete the rows of files that nothing refers to, inside a transaction that `now` was asked in."""
        self._db.connection.executemany("DELETE FROM blobs WHERE digest = ?", [(digest,) for digest in digests])
        self._state = self._look()

    def _look(self) -> tuple[int, int]:
        """What changes with each commit of other connections, and with each change over this one."""
        return int(self._db.value("PRAGMA data_version")), self._db.connection.total_changes


def _referenced(db: Database) -> set[str]:
    with db.read():
        found = {
            row[0]
            for row in db.rows(
                "SELECT embedding_blob FROM versions UNION SELECT digest FROM images UNION "
                "SELECT digest FROM attachments"
            )
        }
        found |= blobs_of_pictures(db)
        # A run that is queued, running or can be resumed names its pictures only in its configuration.
        for row in db.rows("SELECT config FROM runs"):
            found.update("sha256:" + match for match in _DIGEST_IN_JSON.findall(row["config"]))
    return found


def _remove(
    db: Database,
    blobs: BlobStore,
    references: _References,
    batch: list[tuple[str, int]],
    grace: float,
    now: float,
) -> list[tuple[str, int]]:
    """Take a batch of files away; return those that were really removed."""
    references.now()  # so that within the lock, for which other writers wait, there is seldom something to read
    with db.write():
        # First the rows, committed; only then the files: a crash in between leaves files without rows, never the
        # other way round.
        still = references.now()
        batch = [(digest, size) for digest, size in batch if digest not in still]
        references.drop_rows([digest for digest, _ in batch])
    make_folder(blobs.temporary)
    removed, moved = [], []
    with db.write():
        for digest, size in batch:
            path = blobs.path(digest)
            status = _stat(path)
            is_wanted = db.value("SELECT 1 FROM blobs WHERE digest = ?", digest) is not None
            if status is None or is_wanted or now - status.st_mtime < grace:
                continue  # a writer came in between
            aside = blobs.temporary / f"{os.getpid()}-gc-{secrets.token_hex(8)}"
            os.replace(path, aside)
            moved.append(aside)
            removed.append((digest, size))
    for path in moved:
        path.unlink(missing_ok=True)
    return removed


def _temporary(blobs: BlobStore, grace: float, now: float) -> list[tuple[str, int]]:
    found = []
    try:
        for entry in os.scandir(blobs.temporary):
            status = entry.stat(follow_symlinks=False)
            age = now - status.st_mtime
            is_left_behind = age >= GRACE_SECONDS or not process_exists(entry.name.partition("-")[0])
            if age >= grace and is_left_behind and entry.is_file(follow_symlinks=False):
                found.append((entry.name, status.st_size))
    except FileNotFoundError:
        pass
    return sorted(found)


def _staged(staging: Path, grace: float, now: float) -> list[tuple[str, int]]:
    """Folders of pulls that were killed; a pull that is at work is never as old as the full grace period."""
    found = []
    for entry in staging.glob("pull-*"):
        status = _stat(entry)
        if status is not None and now - status.st_mtime >= grace and not entry.is_symlink():
            sizes = (file.stat().st_size for file in entry.rglob("*") if file.is_file() and not file.is_symlink())
            found.append((entry.name, sum(sizes)))
    return sorted(found)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
