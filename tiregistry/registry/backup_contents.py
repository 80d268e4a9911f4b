"""What a backup file holds, made usable: its database opened, its files in the blob store."""

from __future__ import annotations

import sqlite3
import zipfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tiregistry.errors import Damaged, NewerRegistry
from tiregistry.progress import Progress
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import blob_member, packed_blob
from tiregistry.registry.database import Database
from tiregistry.registry.merge_report import MergeReport
from tiregistry.registry.structure import columns

_WRITERS = 8  # files written at once


def opened(database: Path, db: Database, backup: Path) -> Database:
    """The unpacked database of a backup, an old one brought up to date (in this copy).

    Raises:
        Damaged: it is corrupt, or lacks a table or column (of the same type) that `db` has.
        NewerRegistry: it was written by a newer tiregistry.
    """
    try:
        source = Database(database)
        try:
            lacking = columns(db) - columns(source)
            if lacking:
                raise Damaged(f"a registry has other tables: {', '.join(sorted({row[0] for row in lacking}))}")
        except BaseException:
            source.close()
            raise
    except NewerRegistry:
        raise
    except (Damaged, sqlite3.Error) as error:
        said = str(error.message if isinstance(error, Damaged) else error).replace(str(database), "it")
        raise Damaged(f"the database in {backup} cannot be used: {said}", "use another backup") from None
    return source


def add_files(
    source: Database, archive: zipfile.ZipFile | None, blobs: BlobStore, report: MergeReport, progress: Progress | None
) -> None:
    """Add the backup's files that are not here to the blob store; the report counts them and names those that lack.

    Args:
        archive: None where the backup is a database alone.
    """
    files = source.rows("SELECT digest, size FROM blobs ORDER BY digest")
    if archive is None:
        report.missing += [digest for digest, _ in files if digest not in blobs]
        return
    members = set(archive.namelist())
    # Each file waits for the disk; several at once wait for the same flush of its journal.
    with ThreadPoolExecutor(_WRITERS) as pool:
        writing: deque[Future[str]] = deque()
        for done, (digest, size) in enumerate(files, 1):
            if digest not in blobs:
                data = packed_blob(archive, digest, size)
                if data is not None:
                    writing.append(pool.submit(blobs.add, data))
                    report.files += 1
                elif blob_member(digest) in members:
                    report.damaged.append(digest)
                else:
                    report.missing.append(digest)
            while len(writing) >= 2 * _WRITERS:
                writing.popleft().result()
            if progress:
                progress(done, len(files), "files")
        for each in writing:
            each.result()
