"""The append-only record of what was measured of a version: alignment scores and whatever else is measured."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence

from tiregistry.concepts import Measurement
from tiregistry.errors import InvalidInput
from tiregistry.registry.database import Database, Row, portions
from tiregistry.registry.texts import check_text


def add(db: Database, version_id: int, measured: Iterable[Measurement]) -> None:
    """Add measurements in one transaction. See `Registry.add_measurements`."""
    now = time.time()
    rows = [(version_id, *_columns(measurement, now)) for measurement in measured]
    if not rows:
        return
    with db.write() as connection:
        connection.executemany(
            "INSERT INTO measurements (version_id, measure, protocol, judge, value, low, high, details, measured_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def _columns(measurement: Measurement, now: float) -> tuple[object, ...]:
    texts = {"measure": measurement.measure, "protocol": measurement.protocol, "judge": measurement.judge}
    for what, text in texts.items():
        check_text(text, what)
    numbers = [float(measurement.value)]
    numbers += [float(end) for end in (measurement.low, measurement.high) if end is not None]
    if not measurement.measure or not all(map(math.isfinite, numbers)):
        raise InvalidInput(f"{measurement.label!r} has no finite value", "measure it again")
    try:
        details = json.dumps(dict(measurement.details), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the details of {measurement.label!r} are not plain JSON: {error}") from None
    ends = [None if end is None else float(end) for end in (measurement.low, measurement.high)]
    return (*texts.values(), numbers[0], *ends, details, measurement.measured_at or now)


def every(db: Database, version_id: int) -> list[Measurement]:
    """All measurements of a version, with details, oldest first."""
    rows = db.rows("SELECT * FROM measurements WHERE version_id = ? ORDER BY measured_at, id", version_id)
    return [_measurement(row, details=True) for row in rows]


def newest(db: Database, version_ids: Sequence[int]) -> dict[int, list[Measurement]]:
    """By version: the newest measurement of each label, in the order they were first measured, without details."""
    found: dict[int, dict[str, Measurement]] = {}
    for ids in portions(version_ids):
        for row in db.rows(
            "SELECT version_id, measure, protocol, judge, value, low, high, measured_at FROM measurements "
            f"WHERE version_id IN ({','.join('?' * len(ids))}) ORDER BY version_id, measured_at, id",
            *ids,
        ):
            measurement = _measurement(row, details=False)
            found.setdefault(row["version_id"], {})[measurement.label] = measurement
    return {version_id: list(labels.values()) for version_id, labels in found.items()}


def _measurement(row: Row, *, details: bool) -> Measurement:
    return Measurement(
        row["measure"],
        row["value"],
        row["low"],
        row["high"],
        row["protocol"],
        row["judge"],
        json.loads(row["details"]) if details else {},
        row["measured_at"],
    )
