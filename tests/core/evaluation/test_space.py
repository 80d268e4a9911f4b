"""Neighbours, lengths, relatives, near-duplicates and the map, on vectors whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tiregistry.concepts import Fingerprint, NewVersion, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.evaluation.space import _comparable, analyse, duplicates, similarity, vocabularies
from tiregistry.evaluation.space_map import SpaceMap
from tiregistry.registry.registry import Registry


@pytest.fixture
def put(registry: Registry, loaded: Any) -> Callable[..., Version]:
    registry.add_base(loaded.identity)

    def build(name: str, vectors: Any, fingerprint: Any = loaded.identity.fingerprint, **fields: Any) -> Version:
        new = NewVersion(name, f"<{name}>", "object", "trained", fingerprint, "seeing", **fields)
        return registry.add_version(new, Embedding({"clip_l": np.asarray(vectors, dtype=np.float32)}))

    return build


def row(loaded: Any, word: str) -> Any:
    tower = loaded.towers[0]
    return tower.words.table.weight[tower.text_ids(word)[0]].detach().numpy()


def test_a_scaled_vocabulary_word_is_found_longer_and_at_its_initializer(
    registry: Registry, loaded: Any, put: Callable[..., Version]
) -> None:
    word = put("kitty", [row(loaded, "cat") * 3, row(loaded, "dog")], training={"initializer": "cat dog"})
    space = analyse(registry, word, count=3)
    first, second = space.vectors
    assert first.nearest[0] == ("cat", pytest.approx(1, abs=1e-5))
    assert first.percentile == 1.0
    assert second.percentile is not None
    assert 0 < second.percentile < 1
    assert [(p.initializer, p.to_initializer) for p in space.vectors] == [
        ("cat", pytest.approx(1, abs=1e-5)),
        ("dog", pytest.approx(1, abs=1e-5)),
    ]
    mean, low, high = space.vocabulary["clip_l"]
    assert low < mean < high


def test_outputs_find_the_word_itself_too(registry: Registry, loaded: Any, put: Callable[..., Version]) -> None:
    word = put("kitty", [row(loaded, "cat")])
    seen: list[int] = []
    space = analyse(registry, word, outputs=True, progress=lambda done, total, what: seen.append(total - done))
    assert space.vectors[0].nearest_outputs[0] == ("cat", pytest.approx(1, abs=1e-4))
    assert seen[-1] == 0


def test_relatives_and_near_duplicates(registry: Registry, put: Callable[..., Version]) -> None:
    source = np.random.default_rng(0)
    vector, other = source.normal(size=(2, 1, 32))
    near = vector + 0.05 * source.normal(size=(1, 32))
    put("gnome", other)
    gnome = put("gnome", vector)
    put("twin", near)
    put("far", other)
    put("stranger", vector, Fingerprint("sd1", "sha256:" + "1" * 64, "", ""))
    put("unknown", vector * 2, None)
    space = analyse(registry, gnome)
    found = [(r.reference, r.is_same_concept) for r in space.relatives]
    assert found[0] == ("gnome@1", True)
    assert {name for name, _ in found} == {"gnome@1", "twin@1", "far@1", "unknown@1"}
    assert {r.reference for r in space.duplicates} == {"twin@1", "unknown@1"}
    assert space.relatives[1].degrees == pytest.approx(0, abs=0.1)
    pairs = {frozenset((a, b)) for a, b, _ in duplicates(registry)}
    assert frozenset(("gnome@2", "twin@1")) in pairs
    assert frozenset(("gnome@2", "stranger@1")) not in pairs
    assert duplicates(registry, 0.9999999)[0][2] == pytest.approx(1)


def test_all_pairs_at_once_are_those_of_one_at_a_time(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    source = np.random.default_rng(1)
    tables = [Fingerprint("sd1", "sha256:" + digit * 64, "", "") for digit in "12"]
    base = source.normal(size=(3, 8))
    for number in range(40):
        rows = base[: 1 + number % 3] + source.normal(size=(1 + number % 3, 8)) * (number % 5) / 4
        tensors = {"clip_l": rows.astype(np.float32)}
        if number % 4 == 0:
            tensors["clip_g"] = source.normal(size=(1, 4)).astype(np.float32)
        if number % 7 == 0:
            tensors = {"t5": tensors["clip_l"]}
        new = NewVersion(f"w{number}", f"<w{number}>", "object", "trained", (*tables, None)[number % 3])
        registry.add_version(new, Embedding(tensors))
    words = [concept.latest for concept in registry.concepts()]
    monkeypatch.setattr("tiregistry.evaluation.similar_pairs._MOST_COSINES", 60)  # so that there are many parts
    seen: list[tuple[int, int, str]] = []
    for at_least in (-1, 0.5, 0.9, 0.98):
        expected = {}
        for number, a in enumerate(words):
            for b in words[number + 1 :]:
                cosine = similarity(a.embedding(), b.embedding())
                if cosine is not None and cosine >= at_least and _comparable(a, b):
                    expected[a.reference, b.reference] = cosine
        found = duplicates(registry, at_least, lambda *step: seen.append(step))
        assert {(a, b): cosine for a, b, cosine in found} == expected
        assert len(expected) > 5
        assert [cosine for *_, cosine in found] == sorted(expected.values(), reverse=True)
    assert (seen[39], seen[-1]) == ((40, 40, "words read"), (40, 40, "words"))


def test_words_of_different_numbers_of_vectors() -> None:
    a, b = np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32)[:2]
    assert similarity(Embedding({"clip_l": a}), Embedding({"clip_l": b})) == pytest.approx(0.75)
    assert similarity(Embedding({"clip_l": a}), Embedding({"clip_g": b})) is None


def test_without_the_base_model_the_rest_is_told(registry: Registry, put: Callable[..., Version]) -> None:
    word = put("gnome", np.ones((1, 19)), None)
    space = analyse(registry, word, outputs=True)
    assert space.vectors[0].percentile is None
    assert len(space.notes) == 2
    assert vocabularies(registry, word) == {}
    assert SpaceMap(registry, space).picture().size == (960, 720)


def test_the_map_holds_everything_once(registry: Registry, loaded: Any, put: Callable[..., Version]) -> None:
    put("imp", [row(loaded, "beach")])
    word = put("kitty", [row(loaded, "cat"), row(loaded, "dog")], training={"initializer": "teapot"})
    drawn = SpaceMap(registry, analyse(registry, word))
    labels = [mark.label for mark in drawn.marks]
    assert labels[:3] == ["kitty@1[1]", "kitty@1[2]", "teapot"]
    assert len(set(labels)) == len(labels)
    assert "imp@1" in labels
    assert 0 < drawn.shown <= 1
    lines = drawn.text(60, 15)
    assert len(lines) == 15
    assert all(len(line) <= 60 for line in lines)
    assert sum(line.count("*") for line in lines) == 2
    assert any("imp@1" in line for line in drawn.text(50, 14))
