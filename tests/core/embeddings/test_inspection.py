"""Norms and nearest words beside a vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.inspection import Vocabulary, inspect_encoder, nearest_words

TABLE = np.eye(5, 8, dtype=np.float32) * 2
WORDS = Vocabulary("base", ["cat", "dog", "", "teapot", "snow"], TABLE)


def test_nearest_words_by_direction():
    vector = np.array([0.1, 3, 5, 0, 1, 0, 0, 0], np.float32)
    found = nearest_words(vector, WORDS, 2)
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
    assert len(nearest_words(np.zeros(8, np.float32), WORDS)) == 4
