"""Training runs as rows: created in the queue, kept alive by a heartbeat, ended with a message."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from tiregistry.concepts import RunStatus
from tiregistry.errors import InvalidInput, InvalidReference, RunNotFound
from tiregistry.registry.database import Database, Row
from tiregistry.registry.pages import page_of

STATUSES: tuple[RunStatus, ...] = ("queued", "running", "finished", "interrupted", "failed", "cancelled")
CHANGEABLE = frozenset(
    {
        "concept",
        "config",
        "status",
        "device",
        "pid",
        "step",
        "max_steps",
        "loss",
        "message",
        "version_id",
        "started_at",
        "heartbeat_at",
        "finished_at",
        "queue_place",
        "held",
    }
)
_ORDER = "coalesce(queue_place, created_at), created_at, rowid"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # without letters that look like digits


def create(
    db: Database,
    concept: str,
    config: Mapping[str, Any],
    max_steps: int,
    device: str = "",
    pid: int | None = None,
) -> str:
    """Add a queued run; return its id, e.g. `261123-174512-k3q` (UTC, so ids sort by time).

    Args:
        pid: the process that will carry it out itself; None leaves it to whichever worker claims it.
    """
    text = _config_text(config)
    while True:
        stamp = time.strftime("%y%m%d-%H%M%S", time.gmtime())
        run_id = f"{stamp}-{''.join(secrets.choice(_ALPHABET) for _ in range(3))}"
        try:
            with db.write() as connection:
                connection.execute(
                    "INSERT INTO runs (id, concept, status, config, device, max_steps, created_at, pid, heartbeat_at) "
                    "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                    (run_id, concept, text, device, max_steps, now := time.time(), pid, now),
                )
            return run_id
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname not in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"):
                raise


def update(db: Database, run_id: str, changes: Mapping[str, Any]) -> None:
    """Change fields of a run.

    Raises:
        InvalidInput: a field is unknown or cannot be changed.
        RunNotFound: there is no such run.
    """
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise InvalidInput(f"a run has no changeable field {', '.join(sorted(unknown))}")
    if "status" in changes and changes["status"] not in STATUSES:
        raise InvalidInput(f"{changes['status']!r} is no status of a run", f"use one of: {', '.join(STATUSES)}")
    values = dict(changes)
    if "config" in values:
        values["config"] = _config_text(values["config"])
    if not values:
        return
    with db.write() as connection:
        sets = ", ".join(f"{key} = ?" for key in values)
        cursor = connection.execute(f"UPDATE runs SET {sets} WHERE id = ?", (*values.values(), run_id))
        if cursor.rowcount == 0:
            raise _not_found(run_id)


def get(db: Database, id_or_part: str) -> dict[str, Any]:
    """Fields of one run, by its id, the beginning of it, or its last letters.

    Raises:
        RunNotFound: none fits.
        InvalidReference: several fit.
    """
    id_or_part = id_or_part.encode("utf-8", "replace").decode()  # bytes of no encoding are in no id
    row = db.row("SELECT * FROM runs WHERE id = ?", id_or_part)
    if row is None:
        pattern = id_or_part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = db.rows(
            "SELECT * FROM runs WHERE length(?) >= 2 AND (id LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\') "
            "ORDER BY created_at DESC",
            id_or_part,
            f"{pattern}%",
            f"%-{pattern}",
        )
        if len(found) > 1:
            newest = ", ".join(row["id"] for row in found[:3])
            raise InvalidReference(f"{id_or_part!r} fits {len(found)} runs", f"the newest are {newest}")
        row = found[0] if found else None
    if row is None:
        raise _word_instead(db, id_or_part) or _not_found(id_or_part)
    return _fields(row)


def last(db: Database) -> dict[str, Any]:
    """Fields of the newest run.

    Raises:
        RunNotFound: there has been none.
    """
    row = db.row("SELECT * FROM runs ORDER BY created_at DESC, rowid DESC LIMIT 1")
    if row is None:
        raise RunNotFound("nothing has been trained here yet", "start with: tireg train NAME IMAGE…")
    return _fields(row)


def select(
    db: Database, *, status: RunStatus | None = None, concept: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Fields of runs, newest first."""
    rows = db.rows(
        "SELECT * FROM runs WHERE (? IS NULL OR status = ?) AND (? IS NULL OR concept = ? COLLATE NOCASE) "
        "ORDER BY created_at DESC, rowid DESC LIMIT ?",
        status,
        status,
        concept,
        concept,
        page_of(limit)[0],
    )
    return [_fields(row) for row in rows]


def claim(
    db: Database, *, device: str, pid: int, run_id: str | None = None, any_device: bool = True
) -> dict[str, Any] | None:
    """Take the first queued run for a device and mark it running; None when there is none that is not held.

    Two workers never get the same run: looking and marking are one transaction. A queued run that already belongs to
    a process is passed over.

    Args:
        run_id: take this run or none.
        any_device: also take runs that name no device.
    """
    now = time.time()
    with db.write() as connection:
        row = connection.execute(
            "UPDATE runs SET status = 'running', pid = ?, device = ?, started_at = coalesce(started_at, ?), "
            "heartbeat_at = ? WHERE id = (SELECT id FROM runs WHERE status = 'queued' AND pid IS NULL AND NOT held "
            "AND (device = ? OR (device = '' AND ?)) AND (? IS NULL OR id = ?) "
            f"ORDER BY {_ORDER} LIMIT 1) RETURNING *",
            (pid, device, now, now, device, any_device, run_id, run_id),
        ).fetchone()
    return None if row is None else _fields(row)


def queue(db: Database) -> list[dict[str, Any]]:
    """Fields of all queued runs, in the order in which workers take them; held ones stand among them."""
    return [_fields(row) for row in db.rows(f"SELECT * FROM runs WHERE status = 'queued' ORDER BY {_ORDER}")]


def remove(db: Database, run_id: str) -> None:
    """Forget a run; the version it made stays."""
    with db.write() as connection:
        if connection.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount == 0:
            raise _not_found(run_id)


def _config_text(config: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(config), separators=(",", ":"), ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the run's configuration is not plain JSON: {error}") from None


def _not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"no run has the id {run_id!r}", "tireg runs lists them")


def _word_instead(db: Database, name: str) -> RunNotFound | None:
    """The error for a word's name where a run's id belongs; None when no run has learned such a word."""
    found = db.rows("SELECT id, status FROM runs WHERE concept = ? COLLATE NOCASE ORDER BY created_at DESC", name)
    if not found:
        return None
    newest = ", ".join(f"{row['id']} ({row['status']})" for row in found[:3])
    return RunNotFound(
        f"{name} is a word, not a run; {'its run is' if len(found) == 1 else 'its newest runs are'} {newest}",
        f"tireg runs list --concept {name} lists them",
    )


def _fields(row: Row) -> dict[str, Any]:
    fields = {key: row[key] for key in row.keys()}  # noqa: SIM118 (a Row iterates over values)
    fields["config"] = json.loads(row["config"])
    fields["held"] = bool(row["held"])
    return fields
