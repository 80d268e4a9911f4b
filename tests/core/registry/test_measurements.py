"""The record of what was measured: only added to, the newest counts, sorted by, carried along."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.registry.making import add_version
from tiregistry.concepts import Measurement
from tiregistry.errors import InvalidInput
from tiregistry.registry.registry import Registry


def test_measurements_are_only_added_and_the_newest_of_a_label_counts(registry: Registry) -> None:
    version = add_version(registry)
    first = Measurement("score", 0.4, 0.3, 0.5, "quick", "embedded", {"pictures": 72}, 10.0)
    registry.add_measurements(version, [first, Measurement("score", 0.7, protocol="paper", judge="openai/clip")])
    changed = registry.add_measurements(version, [Measurement("score", 0.45, 0.4, 0.5, "quick", "embedded")])
    assert changed.scores == {"score (quick, embedded)": 0.45, "score (paper, openai/clip)": 0.7}
    assert [(m.low, m.high) for m in changed.measurements] == [(0.4, 0.5), (None, None)]
    assert changed.digest == version.digest
    record = registry.measurements(version)
    assert record[0] == first
    assert [m.value for m in record] == [0.4, 0.7, 0.45]


@pytest.mark.parametrize("label", ["image", "score (quick, embedded)", "a (b", "x (y)", " (a, b)", "a (b, c) d"])
def test_a_label_leads_back_to_what_it_names(label: str) -> None:
    assert Measurement.from_label(label, 1.0).label == label


def test_values_that_are_known_already_are_not_added_again(registry: Registry) -> None:
    version = add_version(registry)
    for _ in range(2):
        version = registry.set_scores(version, {"score (quick, embedded)": 0.5, "image": 0.75})
    assert [(m.measure, m.protocol, m.judge) for m in registry.measurements(version)] == [
        ("score", "quick", "embedded"),
        ("image", "", ""),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        Measurement("score", float("nan")),
        Measurement("score", 0.5, low=float("-inf")),
        Measurement("", 0.5),
        Measurement("score", 0.5, details={"a": object()}),
        Measurement("score", 0.5, judge="\udcff"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_of_it_stays(registry: Registry, bad: Measurement) -> None:
    version = add_version(registry)
    with pytest.raises(InvalidInput):
        registry.add_measurements(version, [Measurement("score", 0.5), bad])
    assert registry.measurements(version) == []


def test_words_are_sorted_by_the_score_of_their_latest_version(registry: Registry) -> None:
    for seed, (name, score) in enumerate([("a", 0.2), ("b", None), ("c", 0.9), ("d", 0.5)]):
        version = add_version(registry, name, seed)
        if score is not None:
            registry.add_measurements(
                version, [Measurement("score", 9.0, measured_at=1.0), Measurement("score", score)]
            )
    assert [(c.name, c.score) for c in registry.concepts(sort="score")] == [
        ("c", 0.9),
        ("d", 0.5),
        ("a", 0.2),
        ("b", None),
    ]
    assert [c.name for c in registry.concepts(sort="-score")] == ["a", "d", "c", "b"]
    add_version(registry, "c", 50)  # a newer version that nobody measured
    assert [c.name for c in registry.concepts(sort="score")] == ["d", "a", "b", "c"]


def test_the_scores_of_the_first_schema_come_along(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "schemas" / "1.sql").read_text(encoding="utf-8"))
        connection.execute("INSERT INTO scores SELECT id, 'clip_i', 0.5, 12.0 FROM versions")
        connection.commit()
    with Registry.open(tmp_path) as registry:
        (measured,) = registry.measurements(registry.version("gnome"))
        assert measured == Measurement("clip_i", 0.5, measured_at=12.0)


def test_a_backup_brings_measurements_that_are_not_here(registry: Registry, tmp_path: Path) -> None:
    version = add_version(registry)
    registry.add_measurements(version, [Measurement("score", 0.4, measured_at=1.0)])
    registry.backup(tmp_path / "b.zip")
    with Registry.open(tmp_path / "other") as other:
        same = add_version(other)
        other.add_measurements(same, [Measurement("score", 0.6, measured_at=2.0)])
        for _ in range(2):
            other.merge_backup(tmp_path / "b.zip")
        assert [m.value for m in other.measurements(same)] == [0.4, 0.6]
