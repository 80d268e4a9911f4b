"""Norms and nearest words beside a vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.inspection import Vocabulary, inspect_encoder

TABLE = np.eye(5, 8, dtype=np.float32) * 2
WORDS = Vocabulary("base", ["cat", "dog", "", "teapot", "snow"], TABLE)


def test_nearest_words_by_direction():
    vector = np.array([0.1, 3, 5, 0, 1, 0, 0, 0], np.float32)
    (found,) = WORDS.nearest(vector[None], 2)
    assert [word for word, _ in found] == ["dog", "snow"]  # the nearest row is no whole word
    assert found[0][1] == pytest.approx(3 / np.linalg.norm(vector), rel=1e-5)


def test_norms_with_and_without_a_vocabulary():
    embedding = Embedding({"clip_l": np.array([[3, 4, 0, 0, 0, 0, 0, 0]], np.float32)})
    inspection = inspect_encoder(embedding, "clip_l", WORDS, 1)
    assert inspection.norms == (5.0,)
    assert inspection.vocabulary_norm == 2.0
    assert inspection.as_dict()["nearest"] == [[{"word": "dog", "cosine": 0.8}]]
    for vocabulary in (None, Vocabulary("other", ["a"], np.ones((1, 4), np.float32))):
        alone = inspect_encoder(embedding, "clip_l", vocabulary)
        assert (alone.norms, alone.base_name, alone.nearest) == ((5.0,), "", ())


def test_a_zero_vector_has_no_direction_and_no_trouble():
    assert [len(words) for words in WORDS.nearest(np.zeros((1, 8), np.float32))] == [4]


@pytest.mark.parametrize("kind", ["<f4", "<f2", "bf16"])
def test_tables_of_any_type_and_size_give_the_same(kind):
    """Rows are widened a block at a time; the block's border must not show."""
    table = np.random.default_rng(0).normal(size=(20_000, 16)).astype(np.float32)
    stored = (table.view(np.uint32) >> 16).astype(np.uint16) if kind == "bf16" else table.astype(kind)
    vocabulary = Vocabulary("base", [str(n) for n in range(len(table))], stored)
    vectors = table[[3, 8191, 8192, 19_999]]
    assert [words[0][0] for words in vocabulary.nearest(vectors, 1)] == ["3", "8191", "8192", "19999"]
    assert vocabulary.mean_norm() == pytest.approx(np.linalg.norm(table, axis=1).mean(), rel=1e-2)


def test_what_is_usual_is_told_where_it_is_known():
    for encoder, dim, known in (
        ("clip_l", 768, 0.4),
        ("clip_h", 1024, None),
        ("clip_g", 1280, None),
        ("t5", 4096, None),
    ):
        embedding = Embedding({encoder: np.ones((1, dim), np.float32)})
        assert inspect_encoder(embedding, encoder, None).as_dict()["typical_norm"] == known


def test_without_names_of_the_words_there_is_still_the_norm():
    embedding = Embedding({"clip_l": np.ones((1, 8), np.float32)})
    inspection = inspect_encoder(embedding, "clip_l", Vocabulary("file", [], TABLE))
    assert (inspection.vocabulary_norm, inspection.nearest) == (2.0, ())
