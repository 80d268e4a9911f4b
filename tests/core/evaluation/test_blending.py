"""Versions between versions: the arc and the line, two encoders, parents, names, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.core.registry.making import SD15, SD15_FINE_TUNE, SD21
from tiregistry.concepts import NewVersion, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import Conflict, InvalidInput, WrongBaseModel
from tiregistry.evaluation.blending import blend
from tiregistry.registry.registry import Registry


def put(registry: Registry, name: str, tensors: dict[str, Any], **fields: Any) -> Version:
    new = NewVersion(name, f"<{name}>", "object", "trained", SD15, "sd15")
    arrays = {role: np.asarray(rows, dtype=np.float32) for role, rows in tensors.items()}
    return registry.add_version(replace(new, **fields), Embedding(arrays))


def test_a_third_of_the_way_along_the_arc(registry: Registry) -> None:
    a = put(registry, "a", {"clip_l": [[2.0, 0.0], [0.0, 1.0]], "clip_g": [[1.0, 0.0, 0.0]]})
    b = put(registry, "b", {"clip_l": [[0.0, 4.0], [0.0, 3.0]], "clip_g": [[0.0, 1.0, 0.0]]})
    version, notes = blend(registry, "a", "b", 1 / 3)
    assert notes == []
    assert (version.reference, version.placeholder_token, version.origin) == ("a-b@1", "<a-b>", "blended")
    assert [(p.digest, p.relation) for p in version.parents] == [(a.digest, "blended"), (b.digest, "blended")]
    assert version.fingerprint == SD15
    left = version.embedding().tensors["clip_l"]
    assert np.allclose(np.linalg.norm(left, axis=1), [2 + 2 / 3, 1 + 2 / 3], atol=1e-5)
    assert np.degrees(np.arctan2(left[0, 1], left[0, 0])) == pytest.approx(30, abs=1e-3)
    assert np.linalg.norm(version.embedding().tensors["clip_g"]) == pytest.approx(1, abs=1e-5)
    assert version.record()["blend"] == {"at": 1 / 3, "way": "spherical", "first": "a@1", "second": "b@1"}
    straight, _ = blend(registry, "a", "b", 0.5, linear=True)
    assert straight.reference == "a-b@2"
    assert np.allclose(straight.embedding().tensors["clip_l"][0], [1, 2])
    assert blend(registry, "a", "b", 1 / 3)[0].reference == "a-b@1"  # the same word is the same version


def test_a_name_a_token_and_a_type(registry: Registry) -> None:
    put(registry, "a", {"clip_l": [[1.0, 0.0]]})
    put(registry, "a", {"clip_l": [[0.0, 1.0]]})
    assert blend(registry, "a@1", "a@2", 0.5)[0].concept == "a-1-2"
    version, _ = blend(registry, "a@1", "a@2", 0.4, name="a")
    assert (version.reference, version.placeholder_token) == ("a@3", "<a>")
    version, _ = blend(registry, "a@1", "a@2", 0.4, name="mood", placeholder_token="<m>", concept_type="style")
    assert (version.placeholder_token, version.concept_type) == ("<m>", "style")
    with pytest.raises(Conflict):
        blend(registry, "a@1", "a@2", 0.4, name="mood", placeholder_token="<other>")


@pytest.mark.parametrize(
    ("tensors", "fields", "error", "said"),
    [
        ({"clip_l": [[0.0, 1.0], [1.0, 0.0]]}, {}, WrongBaseModel, "words of 1 and 2 vectors"),
        ({"clip_l": [[0.0, 1.0, 0.0]]}, {}, WrongBaseModel, "width 2 and 3"),
        ({"clip_l": [[0.0, 1.0]], "clip_g": [[1.0]]}, {}, WrongBaseModel, "words for clip_l and for clip_g, clip_l"),
        ({"clip_l": [[0.0, 1.0]]}, {"fingerprint": SD21, "base_name": "sd21"}, WrongBaseModel, "b@1 on sd21"),
        ({"clip_l": [[0.0, 1.0]]}, {"fingerprint": SD15_FINE_TUNE}, WrongBaseModel, "share a vocabulary"),
        ({"clip_l": [[1.0, 0.0]]}, {}, InvalidInput, "have the same vectors"),
    ],
)
def test_what_does_not_belong_together(
    registry: Registry, tensors: Any, fields: Any, error: type[Exception], said: str
) -> None:
    put(registry, "a", {"clip_l": [[1.0, 0.0]]})
    put(registry, "b", tensors, **fields)
    with pytest.raises(error, match=said):
        blend(registry, "a", "b", 0.5)
    assert len(registry.concepts()) == 2


def test_one_vocabulary_on_two_models_by_request_and_unknown_with_a_note(registry: Registry) -> None:
    put(registry, "a", {"clip_l": [[1.0, 0.0]]})
    put(registry, "b", {"clip_l": [[0.0, 1.0]]}, fingerprint=SD15_FINE_TUNE)
    put(registry, "c", {"clip_l": [[0.0, 2.0]]}, fingerprint=None)
    assert blend(registry, "a", "b", 0.5, allow_compatible=True)[0].fingerprint == SD15
    version, notes = blend(registry, "a", "c", 0.5)
    assert version.fingerprint is None
    assert "c@1: its base model is not recorded" in notes[0]
    for at in (0.0, 1.0, -1.0, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="not between the two words"):
            blend(registry, "a", "b", at)
