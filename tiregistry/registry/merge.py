"""Reading a backup into a registry, empty or living: what is there stays, what is missing is added, by digest."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from tiregistry.errors import Damaged
from tiregistry.progress import Progress
from tiregistry.registry.backup_contents import add_files, opened
from tiregistry.registry.blobs import BlobStore
from tiregistry.registry.copies import open_backup, unpack
from tiregistry.registry.curation import DESCRIBABLE
from tiregistry.registry.daily_copies import is_database
from tiregistry.registry.database import Database, Row
from tiregistry.registry.filesystem import folder_lock
from tiregistry.registry.matching import same_concepts
from tiregistry.registry.merge_report import MergeReport
from tiregistry.registry.repair import mend_rows
from tiregistry.registry.rules import concept_problem, is_alias, is_key, manifest_problem, rows_problem
from tiregistry.registry.scratch import scratch_folder
from tiregistry.registry.search import reindex


def merge_backup(db: Database, blobs: BlobStore, path: Path, *, progress: Progress | None = None) -> MergeReport:
    """Add everything in a backup file that is missing here, and say in the report what that changed of a word here.

    What is here stays: no text is replaced, no tag, alias or version goes. What was taken away here since the backup
    cannot be told from what never was here, and comes back; only an alias, whose moves are remembered, stays away.

    A copy of the database alone (`daily_copies`) is read as a backup without files.

    A concept of the same name, placeholder token and type is the same concept, and so is one that was renamed since or
    got another token, as its versions tell: it gets the versions it lacks (by digest), under their old numbers where
    these are free. All rows come in one transaction, after all files.

    Raises:
        FileMissing, InvalidInput, Damaged: `path` is no readable backup.
        NewerRegistry: it was written by a newer tiregistry.
    """
    report = MergeReport()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(db.path.parent))
        archive = None
        if is_database(path, db.path):
            shutil.copyfile(path, folder / "registry.db")
        else:
            archive = stack.enter_context(open_backup(path))
            unpack(archive, "registry.db", folder / "registry.db")
        source = opened(folder / "registry.db", db, path)
        try:
            with folder_lock(db.path.parent, exclusive=False):  # gc must not take the files away before the rows come
                add_files(source, archive, blobs, report, progress)
                with db.write() as connection:
                    _Merge(source, connection, db, blobs, report).run()
        except sqlite3.IntegrityError as error:
            raise Damaged(f"{path} holds rows that no registry writes: {error}", "use another backup") from None
        finally:
            source.close()
    return report


class _Merge:
    """The rows' part of a merge, inside one transaction."""

    def __init__(
        self, source: Database, connection: sqlite3.Connection, db: Database, blobs: BlobStore, report: MergeReport
    ) -> None:
        self.source, self.connection, self.db, self.blobs, self.report = source, connection, db, blobs, report
        self.version_ids: dict[int, int] = {}
        """Id in the backup to id here, of all versions."""

    def run(self) -> None:
        for row in self.source.rows("SELECT * FROM blobs"):
            is_here = row["digest"] in self.blobs
            lost = None if is_here else (row["lost_at"] or row["added_at"])
            size = self.blobs.size(row["digest"]) if is_here else row["size"]
            self.connection.execute(
                "INSERT INTO blobs (digest, size, added_at, lost_at) VALUES (?, ?, ?, ?) ON CONFLICT (digest) "
                "DO UPDATE SET lost_at = NULL, size = excluded.size "
                "WHERE excluded.lost_at IS NULL AND blobs.lost_at IS NOT NULL",
                (row["digest"], size, row["added_at"], lost),
            )
        # Living concepts first: they win their names over those in the backup's trash.
        concepts = self.source.rows("SELECT * FROM concepts ORDER BY deleted_at IS NOT NULL, id")
        same = same_concepts(self.source, self.connection, concepts)
        for row in concepts:
            if problem := concept_problem(row):
                self.report.refused.append(f"{row['name']}: {problem}")
            else:
                self._concept(row, same.get(row["id"]))
        self._bases()
        self._runs()
        self._pictures()

    def _concept(self, row: Row, same: int | None) -> None:
        """Bring one concept with all that belongs to it.

        Args:
            row: the concept in the backup.
            same: the id of the one that it is here; None where it is new.
        """
        here = self.connection.execute("SELECT * FROM concepts WHERE id = ?", (same,)).fetchone()
        if here is None:
            concept_id = self._added(row)
            self._versions(row, concept_id)
            self._labels(row["id"], concept_id, "")
        else:
            concept_id = int(here["id"])
            self._united(row, here)
            latest = self._latest(concept_id)
            self._versions(row, concept_id)
            self._labels(row["id"], concept_id, here["name"])
            self._report_latest(concept_id, here["name"], latest)
            if here["name_key"] != row["name_key"]:
                self._redirect(row["name_key"], concept_id, row["updated_at"])
        self.connection.execute(
            "DELETE FROM redirects WHERE name_key = "
            "(SELECT name_key FROM concepts WHERE id = ? AND deleted_at IS NULL)",
            (concept_id,),
        )
        reindex(self.connection, concept_id)

    def _added(self, row: Row) -> int:
        """A concept that is not here: as it is in the backup, but in the trash where its name or token is taken."""
        deleted_at = row["deleted_at"]
        if deleted_at is None and self._is_taken(row):
            deleted_at = row["updated_at"]
            self.report.trashed.append(row["name"])
        self.report.concepts += 1
        return self._insert("concepts", {**_dict(row, "id"), "deleted_at": deleted_at})

    def _united(self, row: Row, here: Row) -> None:
        """A concept that is here: back from the trash where it lives in the backup, with the texts that it lacks."""
        if row["deleted_at"] is None and here["deleted_at"] is not None and not self._is_taken(here):
            self.connection.execute("UPDATE concepts SET deleted_at = NULL WHERE id = ?", (here["id"],))
            self.report.concepts += 1
            self.report.changed.append(f"{here['name']}: it came back from the trash")
        for text in DESCRIBABLE:
            if row[text] and not here[text]:
                self.connection.execute(f"UPDATE concepts SET {text} = ? WHERE id = ?", (row[text], here["id"]))
                self.report.changed.append(f"{here['name']}: its {text.removesuffix('s')} came")

    def _versions(self, row: Row, concept_id: int) -> None:
        for version in self.source.rows("SELECT * FROM versions WHERE concept_id = ? ORDER BY number", row["id"]):
            if problem := manifest_problem(version):
                self.report.refused.append(f"{row['name']}@{version['number']}: {problem}")
            else:
                self._version(version, concept_id)
        self.connection.execute(
            "UPDATE concepts SET last_number = max(last_number, ?) WHERE id = ?", (row["last_number"], concept_id)
        )

    def _report_latest(self, concept_id: int, name: str, before: int | None) -> None:
        now = self._latest(concept_id)
        if before not in (None, now):
            self.report.changed.append(f"{name}: its latest version is {name}@{now}, it was {name}@{before}")

    def _latest(self, concept_id: int) -> int | None:
        (number,) = self.connection.execute(
            "SELECT max(number) FROM versions WHERE concept_id = ? AND deleted_at IS NULL", (concept_id,)
        ).fetchone()
        return None if number is None else int(number)

    def _is_taken(self, row: Row) -> bool:
        return bool(
            self.connection.execute(
                "SELECT 1 FROM concepts WHERE deleted_at IS NULL AND (name_key = ? OR token_key = ?)",
                (row["name_key"], row["token_key"]),
            ).fetchone()
        )

    def _version(self, row: Row, concept_id: int) -> None:
        here = self.connection.execute(
            "SELECT id, number, deleted_at FROM versions WHERE concept_id = ? AND digest = ?",
            (concept_id, row["digest"]),
        ).fetchone()
        if here is not None:
            self.version_ids[row["id"]] = here["id"]
            if here["deleted_at"] is not None and row["deleted_at"] is None:
                self.connection.execute("UPDATE versions SET deleted_at = NULL WHERE id = ?", (here["id"],))
                self.report.versions += 1
                (name,) = self.connection.execute("SELECT name FROM concepts WHERE id = ?", (concept_id,)).fetchone()
                self.report.changed.append(f"{name}@{here['number']}: it came back from the trash")
            self._measurements(row["id"], here["id"])
            self._additions(row, here["id"])
            return
        number = row["number"]
        if self.connection.execute(
            "SELECT 1 FROM versions WHERE concept_id = ? AND number = ?", (concept_id, number)
        ).fetchone():
            (number,) = self.connection.execute(
                "SELECT 1 + max(last_number, (SELECT max(number) FROM versions WHERE concept_id = c.id)) "
                "FROM concepts c WHERE id = ?",
                (concept_id,),
            ).fetchone()
        self.connection.execute(
            "UPDATE concepts SET last_number = max(last_number, ?) WHERE id = ?", (number, concept_id)
        )
        version_id = self._insert("versions", {**_dict(row, "id"), "concept_id": concept_id, "number": number})
        self.version_ids[row["id"]] = version_id
        self.report.versions += 1
        if number != row["number"]:
            name = self._name(concept_id)
            self.report.renumbered.append(f"{name}@{row['number']} of the backup is {name}@{number} here")
        self._measurements(row["id"], version_id)
        for table in ("records", "images", "attachments", "parents", "remotes"):
            for part in self.source.rows(f"SELECT * FROM {table} WHERE version_id = ?", row["id"]):
                skipped = ("id",) if table == "remotes" else ()
                self._insert(table, {**_dict(part, *skipped), "version_id": version_id})
        if rows_problem(self.db, self._row(version_id)):
            mend_rows(self.db, self.blobs, version_id)  # the manifest proves itself, the rows beside it do not

    def _name(self, concept_id: int) -> str:
        (name,) = self.connection.execute("SELECT name FROM concepts WHERE id = ?", (concept_id,)).fetchone()
        return str(name)

    def _row(self, version_id: int) -> Row:
        row: Row = self.connection.execute("SELECT * FROM versions WHERE id = ?", (version_id,)).fetchone()
        return row

    def _additions(self, row: Row, version_id: int) -> None:
        """What a version that is here too was given later, and lacks here: files, notes, what was observed."""
        for table in ("records", "attachments"):
            for part in self.source.rows(f"SELECT * FROM {table} WHERE version_id = ?", row["id"]):
                self._insert(table, {**_dict(part), "version_id": version_id}, or_ignore=True)
        if row["notes"] and not self._row(version_id)["notes"]:
            self.connection.execute("UPDATE versions SET notes = ? WHERE id = ?", (row["notes"], version_id))
            here = self._row(version_id)
            self.report.changed.append(f"{self._name(here['concept_id'])}@{here['number']}: its note came")

    def _measurements(self, source_id: int, version_id: int) -> None:
        """What was measured there and not here; a measurement is told by what, how and when."""
        for row in self.source.rows("SELECT * FROM measurements WHERE version_id = ? ORDER BY id", source_id):
            known = self.connection.execute(
                "SELECT 1 FROM measurements WHERE version_id = ? AND measure = ? AND protocol = ? AND judge = ? "
                "AND measured_at = ?",
                (version_id, row["measure"], row["protocol"], row["judge"], row["measured_at"]),
            ).fetchone()
            if not known:
                self._insert("measurements", {**_dict(row, "id"), "version_id": version_id})

    def _labels(self, source_id: int, concept_id: int, known_as: str) -> None:
        """Tags and aliases are united (an alias that exists here stays where it is); history only comes whole.

        Args:
            known_as: the concept's name here; empty when it came just now.
        """
        self._tags(source_id, concept_id, known_as)
        self._aliases(source_id, concept_id, known_as)
        for row in self.source.rows("SELECT * FROM redirects WHERE concept_id = ?", source_id):
            self._redirect(row["name_key"], concept_id, row["renamed_at"])
        if not known_as:
            self._alias_log(source_id, concept_id)

    def _tags(self, source_id: int, concept_id: int, known_as: str) -> None:
        tags = []
        for row in self.source.rows("SELECT tag FROM tags WHERE concept_id = ? ORDER BY tag", source_id):
            if not is_key(row["tag"]):
                self.report.refused.append(f"the tag {row['tag']!a}")
            elif self._is_added("INSERT OR IGNORE INTO tags VALUES (?, ?)", concept_id, row["tag"]):
                tags.append(row["tag"])
        if known_as and tags:
            self.report.changed.append(f"{known_as}: {'tags' if len(tags) > 1 else 'tag'} {', '.join(tags)} came")

    def _aliases(self, source_id: int, concept_id: int, known_as: str) -> None:
        for row in self.source.rows("SELECT * FROM aliases WHERE concept_id = ?", source_id):
            version = self._row(self.version_ids.get(row["version_id"], 0))
            if version is None or version["concept_id"] != concept_id or not is_alias(row["alias"]):
                self.report.refused.append(f"the alias {row['alias']!a}, which names nothing that came")
            elif known_as:
                self._alias(known_as, concept_id, row["alias"], version)
            else:
                self.connection.execute(
                    "INSERT INTO aliases VALUES (?, ?, ?)", (concept_id, row["alias"], version["id"])
                )

    def _alias_log(self, source_id: int, concept_id: int) -> None:
        entries: dict[int, int] = {}
        for row in self.source.rows("SELECT * FROM alias_log WHERE concept_id = ? ORDER BY id", source_id):
            fields = {**_dict(row, "id"), "concept_id": concept_id, "undoes": entries.get(row["undoes"])}
            entries[row["id"]] = self._insert("alias_log", fields)

    def _alias(self, name: str, concept_id: int, alias: str, version: Row) -> None:
        """An alias of a concept that is here, unless it was taken away here."""
        last = self.connection.execute(
            "SELECT new_number FROM alias_log WHERE concept_id = ? AND alias = ? ORDER BY id DESC LIMIT 1",
            (concept_id, alias),
        ).fetchone()
        if last is not None and last["new_number"] is None:
            self.report.left_out.append(f"the alias {name}@{alias}, which was taken away here")
        elif self._is_added("INSERT OR IGNORE INTO aliases VALUES (?, ?, ?)", concept_id, alias, version["id"]):
            self.connection.execute(
                "INSERT INTO alias_log (concept_id, alias, new_number, changed_at) VALUES (?, ?, ?, ?)",
                (concept_id, alias, version["number"], time.time()),
            )
            self.report.changed.append(f"{name}: alias {alias} came, for {name}@{version['number']}")

    def _is_added(self, sql: str, *values: object) -> bool:
        return self.connection.execute(sql, values).rowcount > 0

    def _redirect(self, key: str, concept_id: int, renamed_at: float) -> None:
        """A former name, unless it is a living concept's name by now."""
        self.connection.execute(
            "INSERT OR IGNORE INTO redirects SELECT ?, ?, ? "
            "WHERE NOT EXISTS (SELECT 1 FROM concepts WHERE name_key = ? AND deleted_at IS NULL)",
            (key, concept_id, renamed_at, key),
        )

    def _bases(self) -> None:
        for row in self.source.rows("SELECT * FROM bases ORDER BY id"):
            self._insert("bases", _dict(row, "id"), or_ignore=True)
        for row in self.source.rows("SELECT * FROM settings WHERE key = 'default_base'"):
            self._insert("settings", _dict(row), or_ignore=True)

    def _runs(self) -> None:
        for row in self.source.rows("SELECT * FROM runs"):
            fields = {**_dict(row), "version_id": self.version_ids.get(row["version_id"])}
            if row["status"] in ("queued", "running"):  # it is not running here
                fields |= {"status": "interrupted", "pid": None, "message": "came from a backup"}
            before = self.connection.total_changes
            self._insert("runs", fields, or_ignore=True)
            self.report.runs += self.connection.total_changes - before

    def _pictures(self) -> None:
        known = {
            (row["path"], row["created_at"]) for row in self.connection.execute("SELECT path, created_at FROM pictures")
        }
        for row in self.source.rows("SELECT * FROM pictures ORDER BY id"):
            if (row["path"], row["created_at"]) in known:
                continue
            picture_id = self._insert("pictures", _dict(row, "id"))
            for word in self.source.rows("SELECT * FROM picture_words WHERE picture_id = ?", row["id"]):
                self._insert("picture_words", {**_dict(word), "picture_id": picture_id})

    def _insert(self, table: str, fields: dict[str, object], *, or_ignore: bool = False) -> int:
        verb = "INSERT OR IGNORE" if or_ignore else "INSERT"
        marks = ", ".join("?" * len(fields))
        cursor = self.connection.execute(
            f"{verb} INTO {table} ({', '.join(fields)}) VALUES ({marks})", tuple(fields.values())
        )
        return int(cursor.lastrowid or 0)


def _dict(row: Row, *without: str) -> dict[str, object]:
    keys: Iterable[str] = row.keys()
    return {key: row[key] for key in keys if key not in without}
