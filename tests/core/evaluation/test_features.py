"""The store of features: what was added comes back, whatever happened to the end of the file."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from tiregistry.evaluation.features import FeatureStore
from tiregistry.evaluation.measures import unit

WAY = {"judge": "tiny", "subject": "sha256:1"}


def row(value: float) -> np.ndarray:
    """A unit vector that depends on `value`."""
    found = np.array([1, value, 0, 0], dtype=np.float32)
    unit: np.ndarray = found / np.linalg.norm(found)
    return unit


def test_what_was_added_comes_back_bit_for_bit(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, WAY)
    feature = unit(np.random.default_rng(0).normal(size=(1, 7)))[0]
    store.add([("a <gnome@1> “x”\n", 2**60, feature)])
    again = FeatureStore(tmp_path, WAY)
    found = again.get("a <gnome@1> “x”\n", 2**60)
    assert found is not None
    assert found.tobytes() == feature.tobytes()
    assert again.get("a", 2**60) is None
    assert FeatureStore(tmp_path, WAY | {"judge": "other"}).get("a <gnome@1> “x”\n", 2**60) is None


@pytest.mark.parametrize("cut", [1, 3, 30])
def test_a_killed_writer_loses_one_picture(tmp_path: Path, cut: int) -> None:
    FeatureStore(tmp_path, WAY).add([("a", 1, row(1)), ("b", 2, row(2))])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    store = FeatureStore(tmp_path, WAY)
    assert store.get("a", 1) is not None
    store.add([("c", 3, row(3))])
    whole = FeatureStore(tmp_path, WAY)
    assert [whole.get(*key) is not None for key in (("a", 1), ("c", 3))] == [True, True]
    assert (whole.get("b", 2) is not None) == (cut == 1)  # only its line's end was missing


def test_lines_that_mean_nothing_are_passed_over(tmp_path: Path) -> None:
    FeatureStore(tmp_path, WAY).add([("a", 1, row(1))])
    (path,) = tmp_path.iterdir()
    with open(path, "ab") as file:
        file.write(b'\xff\xfe\n[]\n{"prompt": "b", "seed": "x", "feature": "AAAA"}\n')
        file.write(b'{"prompt": "n", "seed": 1, "feature": "AADAfw=="}\n')  # not a number
        whole = base64.b64encode(row(1).tobytes())
        damaged = (b'"prompt": "b", "seed": "x"', b'"seed": 2', b'"prompt": "b", "seed": 1e999')
        file.writelines(b'{%s, "feature": "%s"}\n' % (fields, whole) for fields in damaged)
        shorter = base64.b64encode(np.ones(1, dtype=np.float32).tobytes())
        file.write(b'{"prompt": "short", "seed": 1, "feature": "%s"}\n' % shorter)
        file.write(b'{"prompt": "zero", "seed": 1, "feature": "%s"}\n' % base64.b64encode(bytes(16)))
    store = FeatureStore(tmp_path, WAY)
    assert store.get("a", 1) is not None
    assert [store.get(prompt, 1) for prompt in ("n", "b", "short", "zero")] == [None] * 4


def test_two_writers_and_memory_only(tmp_path: Path) -> None:
    one, two = FeatureStore(tmp_path, WAY), FeatureStore(tmp_path, WAY)
    one.add([("a", 1, row(1))])
    two.add([("b", 2, row(2))])
    both = FeatureStore(tmp_path, WAY)
    assert both.get("a", 1) is not None
    assert both.get("b", 2) is not None
    memory = FeatureStore(None, WAY)
    memory.add([("a", 1, row(1))])
    assert memory.get("a", 1) is not None
