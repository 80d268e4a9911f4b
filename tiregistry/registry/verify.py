"""Checking that everything the registry holds is what it was: database, search index, files, manifests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from tiregistry.errors import Damaged, DiskFull, RegistryReadOnly
from tiregistry.progress import Progress
from tiregistry.registry import repair, rules
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import Copy
from tiregistry.registry.database import Database, Row
from tiregistry.registry.search import expected_texts
from tiregistry.registry.strays import is_blank, strays
from tiregistry.registry.structure import lacks, make_again

Kind = Literal["database", "search", "file", "manifest", "rows"]

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not what it was."""

    kind: Kind
    item: str
    """A digest, a reference such as `gnome@3`, or a table."""
    problem: str
    dependents: tuple[str, ...] = ()
    """What cannot be used because of it, e.g. `gnome@3 (embedding)`."""
    repair: str = ""
    """What `--repair` did about it; empty when nothing was or could be done."""
    remains: bool = True
    """Whether something is lost, or the next check finds it again."""


@dataclass(slots=True)
class VerifyReport:
    """The result of a check."""

    files: int = 0
    """Files that this check looked at."""
    before: int = 0
    """Files that the interrupted check had found good, and that were not written to since; 0 without `resume`."""
    quick: bool = False
    """Whether only the files' sizes were looked at, not their bytes."""
    versions: int = 0
    damages: list[Damage] = field(default_factory=list)
    known_losses: int = 0
    """Files known to be missing, besides embeddings: given up by an earlier `--repair`, or not shared with a word."""
    lost_words: list[str] = field(default_factory=list)
    """Versions in the trash whose embedding was given up; nothing but a copy of it, or purging them, helps."""
    strays: int = 0
    """Files that belong to no word known here: left by work that was killed, or of a database that is gone."""
    seconds: float = 0.0

    @property
    def unrepaired(self) -> list[Damage]:
        return [damage for damage in self.damages if damage.remains]


def verify(
    db: Database,
    blobs: BlobStore,
    *,
    quick: bool = False,
    resume: bool = False,
    repair_from: Sequence[Copy] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check everything; name each damaged item.

    Args:
        quick: compare the files' sizes instead of their bytes.
        resume: skip files that an interrupted check has already found good, unless they were written to since.
        repair_from: repair what can be repaired, with files from these copies; None only checks.
    """
    began = time.monotonic()
    report = VerifyReport(quick=quick)
    mending = repair_from is not None
    copies = repair_from or ()

    def add(damage: Damage, mend: Callable[[], repair.Outcome]) -> None:
        if mending:
            done, remains = mend()
            damage = replace(damage, repair=done, remains=remains or not done)
        report.damages.append(damage)

    if progress:
        progress(0, 0, "the database")
    structure = list(_database_damages(db))
    for damage in structure:
        add(damage, partial(repair.reindex_database, db))
    if any("integrity" in damage.problem for damage in structure) and not mending:
        report.seconds = time.monotonic() - began
        return report  # what follows would read a database that cannot be trusted
    lacking = lacks(db)
    for lack in lacking:
        add(
            Damage("database", lack.item, lack.problem, ("the whole registry",)),
            lambda lack=lack: repair.Outcome(make_again(db, lack)),  # type: ignore[misc]
        )
    if any(lack.is_table for lack in (lacks(db) if lacking and mending else lacking)):
        report.seconds = time.monotonic() - began
        return report  # every other check reads tables that it takes to be whole
    for row in db.rows("PRAGMA foreign_key_check"):
        damage = Damage("rows", f"{row[0]} row {row[1]}", f"refers to a row of {row[2]} that does not exist")
        add(damage, partial(repair.drop_dangling, db, blobs, row[0], row[1], row[2]))
    _check_strays(db, blobs, report, add)
    _check_files(db, blobs, report, add, copies, quick=quick, resume=resume, progress=progress)
    _check_lost(db, blobs, report, add, copies if mending else None)
    _check_versions(db, blobs, report, add, copies, progress)
    _check_rules(db, add)
    for damage, concept_id in _search_damages(db):
        add(damage, partial(repair.rebuild_search, db, concept_id))
    _end_session(db, quick=quick)
    report.known_losses = int(
        db.value(
            "SELECT count(*) FROM blobs WHERE lost_at IS NOT NULL "
            "AND digest NOT IN (SELECT embedding_blob FROM versions)"
        )
    )
    report.lost_words = repair.lost_words(db)
    report.seconds = time.monotonic() - began
    return report


# -- database and search ---------------------------------------------------------------------------------------------


def _database_damages(db: Database) -> Iterator[Damage]:
    try:
        problems = [str(row[0]) for row in db.rows("PRAGMA integrity_check(20)")]
    except Damaged as error:
        problems = [error.message]
    for problem in problems:
        if problem != "ok":
            yield Damage("database", db.path.name, f"SQLite's integrity check says: {problem}", ("the whole registry",))


def _search_damages(db: Database) -> Iterator[tuple[Damage, int | None]]:
    if not db.readonly:
        import sqlite3

        try:
            with db.write() as connection:
                connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        except DiskFull:
            pass  # this check needs to write; the texts below are compared all the same
        except (sqlite3.DatabaseError, Damaged) as error:
            yield Damage("search", "search index", f"its structure is damaged: {error}", ("tireg list QUERY",)), None
            return
    for row in db.rows("SELECT id, name FROM concepts ORDER BY id"):
        with db.read() as connection:
            expected = expected_texts(connection, row["id"])
            found = db.row("SELECT name, token, tags, notes, captions, bases FROM search WHERE rowid = ?", row["id"])
        if expected is None:
            continue  # purged since
        # The index may know more captions and bases than there are (those of purged versions), never fewer.
        if found is None or not _covers(tuple(found), expected):
            yield Damage("search", row["name"], "the search index does not say what the concept says"), row["id"]


def _covers(found: tuple[str, ...], expected: tuple[str, ...]) -> bool:
    return found[:4] == expected[:4] and all(
        set(want.split("\n")) - {""} <= set(have.split("\n"))
        for have, want in zip(found[4:], expected[4:], strict=True)
    )


# -- files -----------------------------------------------------------------------------------------------------------


def _check_strays(
    db: Database, blobs: BlobStore, report: VerifyReport, add: Callable[[Damage, Callable[[], repair.Outcome]], None]
) -> None:
    """Files that no row names are no damage, unless the database knows nothing at all: then it is not theirs."""
    found = strays(db, blobs)
    report.strays = len(found)
    if found and is_blank(db):
        problem = f"it knows no word, but {len(found)} files of words are there: it is not the database they belong to"
        add(Damage("database", db.path.name, problem, ("the whole registry",)), lambda: repair.Outcome(""))


def _check_files(
    db: Database,
    blobs: BlobStore,
    report: VerifyReport,
    add: Callable[[Damage, Callable[[], repair.Outcome]], None],
    copies: Sequence[Copy],
    *,
    quick: bool,
    resume: bool,
    progress: Progress | None,
) -> None:
    continues = _begin_session(db, resume=resume, quick=quick)
    rows = db.rows("SELECT digest, size, verified_at FROM blobs WHERE lost_at IS NULL ORDER BY digest")
    todo = [row for row in rows if not (continues and _is_done(blobs, row))]
    total = len(rows)
    done = report.before = total - len(todo)
    good: list[tuple[float | None, str]] = []
    try:
        for row in todo:
            changed = _last_change(blobs, row["digest"])
            problem = _file_problem(db, blobs, row["digest"], row["size"], quick=quick)
            if problem and db.value("SELECT 1 FROM blobs WHERE digest = ?", row["digest"]):  # not removed by gc since
                users = repair.users(db, row["digest"])
                add(
                    Damage("file", row["digest"], problem, users),
                    partial(repair.mend_file, db, blobs, row["digest"], row["size"], copies),
                )
            else:
                good.append((changed, row["digest"]))
            done += 1
            if len(good) >= _BATCH:
                _note_good(db, good, quick=quick)
                good = []
            if progress:
                progress(done, total, "files")
    finally:
        _note_good(db, good, quick=quick)
    report.files = len(todo)


def _is_done(blobs: BlobStore, row: Row) -> bool:
    """Whether the check that is now continued found a file good, and it was not written to since."""
    return row["verified_at"] is not None and _last_change(blobs, row["digest"]) == row["verified_at"]


def _last_change(blobs: BlobStore, digest: str) -> float | None:
    """When a file was last changed, in UNIX seconds; None where it is not there.

    Compared for equality only: no clock, right or wrong, makes a file that was written to look as it was before.
    """
    try:
        found = blobs.path(digest).stat()
    except OSError:
        return None
    # The time of the last change of the inode tells of writers that set the other one back.
    return max(found.st_mtime, found.st_ctime)


def _begin_session(db: Database, *, resume: bool, quick: bool) -> bool:
    """Whether an interrupted check is continued; else what earlier ones found is forgotten, and a new one begins.

    A quick check reads no bytes: it begins nothing, and an interrupted one can still be continued after it.
    """
    if resume and db.value("SELECT 1 FROM settings WHERE key = 'verify_began'"):
        return True
    if not (db.readonly or quick):
        with suppress(DiskFull), db.write() as connection:
            connection.execute("UPDATE blobs SET verified_at = NULL WHERE verified_at IS NOT NULL")
            connection.execute("INSERT OR REPLACE INTO settings VALUES ('verify_began', ?)", (repr(time.time()),))
    return False


def _end_session(db: Database, *, quick: bool) -> None:
    if not (db.readonly or quick):
        with suppress(DiskFull), db.write() as connection:
            connection.execute("DELETE FROM settings WHERE key = 'verify_began'")


def _note_good(db: Database, found: list[tuple[float | None, str]], *, quick: bool) -> None:
    """Note of each of these files that it is good as it was last changed at this time."""
    if not found or quick or db.readonly:
        return
    try:
        with db.write() as connection:
            connection.executemany("UPDATE blobs SET verified_at = ? WHERE digest = ?", found)
    except (RegistryReadOnly, DiskFull):
        return  # the check itself needs no notes


def _file_problem(db: Database, blobs: BlobStore, digest: str, size: int, *, quick: bool) -> str:
    path = blobs.path(digest)
    try:
        actual = path.stat().st_size
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if actual != size:
        return f"the file has {actual} bytes instead of {size}"
    if quick:
        return ""
    user = db.row("SELECT manifest FROM versions WHERE embedding_blob = ? LIMIT 1", digest)
    try:
        if user is None:
            return "" if blobs.is_intact(digest) else "the file's bytes have changed"
        data = blobs.read(digest)
    except Damaged:
        return "the file's bytes have changed"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    return _embedding_problem(data, user["manifest"])


def _embedding_problem(data: bytes, manifest: str) -> str:
    from tiregistry.embeddings.embedding import Embedding

    try:
        stated = json.loads(manifest)["embedding"]
    except (ValueError, KeyError, TypeError):
        return ""  # the manifest's own check reports this
    try:
        return "" if Embedding.from_bytes(data).manifest() == stated else "its vectors are not those of the manifest"
    except Damaged as error:
        return error.message


def _check_lost(
    db: Database,
    blobs: BlobStore,
    report: VerifyReport,
    add: Callable[[Damage, Callable[[], repair.Outcome]], None],
    copies: Sequence[Copy] | None,
) -> None:
    """Files given up earlier: bring them back if a copy has them; name those that living versions need.

    Pictures that never came with a word (size 0) are no damage: their owner keeps them.
    """
    reported = {damage.item for damage in report.damages}
    for row in db.rows("SELECT digest, size FROM blobs WHERE lost_at IS NOT NULL ORDER BY digest"):
        digest, size = row["digest"], row["size"]
        if digest in reported:
            continue  # given up just now
        needed = [user for user in repair.living_users(db, digest) if size or "(image " not in user]
        damage = Damage("file", digest, "the file was given up earlier", tuple(needed))
        if copies is not None:
            outcome = repair.bring_back(db, blobs, digest, size, copies)
            if outcome.done or needed:
                dependents = tuple(needed) or repair.users(db, digest)
                add(replace(damage, dependents=dependents), lambda done=outcome: done)  # type: ignore[misc]
        elif needed:
            report.damages.append(damage)


# -- versions --------------------------------------------------------------------------------------------------------


def _check_versions(
    db: Database,
    blobs: BlobStore,
    report: VerifyReport,
    add: Callable[[Damage, Callable[[], repair.Outcome]], None],
    copies: Sequence[Copy],
    progress: Progress | None,
) -> None:
    total = int(db.value("SELECT count(*) FROM versions"))
    last = 0
    while rows := db.rows(
        "SELECT v.*, c.name AS concept FROM versions v JOIN concepts c ON c.id = v.concept_id WHERE v.id > ? "
        "ORDER BY v.id LIMIT 500",
        last,
    ):
        for row in rows:
            report.versions += 1
            reference = f"{row['concept']}@{row['number']}"
            if problem := rules.manifest_problem(row):
                is_changed = rules.digest_of_text(row["manifest"]) != row["digest"]
                add(
                    Damage("manifest", reference, problem, (reference,)),
                    partial(repair.mend_manifest, db, row, copies if is_changed else ()),
                )
            elif problem := rules.rows_problem(db, row):
                add(
                    Damage("rows", reference, problem, (reference,)),
                    partial(repair.mend_rows, db, blobs, row["id"]),
                )
            if progress:
                progress(report.versions, total, "versions")
        last = rows[-1]["id"]


def _check_rules(db: Database, add: Callable[[Damage, Callable[[], repair.Outcome]], None]) -> None:
    for row in db.rows("SELECT * FROM concepts ORDER BY id"):
        if problem := rules.concept_problem(row):
            add(Damage("rows", row["name"], problem, (row["name"],)), partial(rules.name_again, db, row["id"]))
    for breach in rules.breaches(db):
        add(Damage("rows", breach.item, breach.problem), partial(rules.mend, db, breach))
