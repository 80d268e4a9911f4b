"""Versions: the manifest and its digest, idempotence, tensor identity, clashes, references."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from tests.core.registry.making import SD15, SD15_FINE_TUNE, SD21, add_version, make_embedding, make_image
from tiregistry.concepts import NewVersion, Parent
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import (
    ConceptNotFound,
    Conflict,
    Damaged,
    InvalidInput,
    InvalidPlaceholder,
    InvalidReference,
    PlaceholderTaken,
    VersionNotFound,
)
from tiregistry.registry.manifest import build, canonical, digest_of
from tiregistry.registry.registry import Registry


def test_the_digest_of_a_known_manifest_never_changes() -> None:
    """The digest is a promise to other registries: a change of this value breaks every version ever shared."""
    new = NewVersion("gnome", "<gnome>", "object", "trained", SD15, training={"lr": 0.005, "name": "é"})
    embedding = Embedding({"clip_l": np.arange(4, dtype=np.float32).reshape(1, 4)})
    text = canonical(build(new, embedding))
    assert text == (
        '{"base":{"denoiser":"sha256:' + "3" * 64 + '","family":"sd1","text_encoder":"sha256:' + "2" * 64 + '",'
        '"token_embedding":"sha256:' + "1" * 64 + '","vae":"sha256:' + "4" * 64 + '"},"concept_type":"object",'
        '"embedding":{"clip_l":{"dtype":"F32","sha256":'
        '"4c9c4f354e74153db012329d71c8562ec23e498148174b2c49de58f45d47cdbe","shape":[1,4]}},'
        '"format":"tireg-manifest/1","images":[],"parents":[],"placeholder_token":"<gnome>",'
        '"training":{"lr":0.005,"name":"\\u00e9"}}'
    )
    assert hashlib.sha256(struct.pack("<4f", 0, 1, 2, 3)).hexdigest() in text  # little-endian fp32, row by row
    assert digest_of(text) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_a_version_proves_itself(registry: Registry) -> None:
    version = add_version(registry, caption="a photo of <gnome>")
    stored = registry.database.value("SELECT manifest FROM versions")
    assert digest_of(stored) == version.digest
    assert json.loads(stored) == version.manifest
    assert version.embedding().manifest() == version.manifest["embedding"]
    assert version.manifest["images"] == [
        {"sha256": version.images[0].digest.removeprefix("sha256:"), "caption": "a photo of <gnome>"}
    ]
    assert version.image(0).startswith(b"picture 0")


def test_a_picture_whose_name_is_no_valid_text_is_kept_under_one_that_is(registry: Registry) -> None:
    image = replace(make_image(registry), filename="cat\udcff\x1b.png")
    new = NewVersion("gnome", "<gnome>", "object", "trained", images=(image,))
    version = registry.add_version(new, make_embedding())
    assert version.images[0].filename == r"cat\udcff\x1b.png"
    assert version.image(0) == registry.blobs.read(image.digest)


def test_the_same_content_is_the_same_version(registry: Registry) -> None:
    first = add_version(registry, record={"loss": [3.0, 1.0]})
    again = add_version(registry, record={"loss": [9.0]})
    assert again.id == first.id
    assert first.record() == {"loss": [3.0, 1.0]}
    assert registry.concept("gnome").num_versions == 1
    assert add_version(registry, seed=1).number == 2


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"lr": 0.1}},
        {"fingerprint": SD15_FINE_TUNE},
        {"parents": (Parent("sha256:" + "a" * 64, "continued"),)},
        {"images": ()},
    ],
)
def test_every_part_of_the_manifest_makes_another_version(registry: Registry, change: dict[str, object]) -> None:
    first = add_version(registry)
    new = NewVersion(
        "gnome", "<gnome>", "object", "trained", SD15, "sd15", first.images, training=dict(first.manifest["training"])
    )
    assert registry.add_version(new, make_embedding()).id == first.id
    assert registry.add_version(replace(new, **change), make_embedding()).number == 2  # type: ignore[arg-type]


def test_tensor_identity_is_independent_of_everything_else(registry: Registry) -> None:
    first = add_version(registry, "gnome", 1)
    second = add_version(registry, "dwarf", 1, concept_type="style")
    assert first.embedding_digest == second.embedding_digest
    assert first.digest != second.digest
    found = registry.versions_with(embedding_digest=make_embedding(1).digest)
    assert [version.reference for version in found] == ["gnome@1", "dwarf@1"]


def test_numbers_are_never_reused(registry: Registry) -> None:
    add_version(registry, seed=1)
    registry.remove(add_version(registry, seed=2).reference)
    registry.purge()
    assert add_version(registry, seed=3).number == 3


def test_clashes_of_token_and_type_are_refused(registry: Registry) -> None:
    add_version(registry)
    new = NewVersion("gnome", "<gnome>", "object", "trained")
    with pytest.raises(Conflict, match="type object"):
        registry.add_version(replace(new, concept_type="style"), make_embedding(5))
    with pytest.raises(Conflict, match="is written <gnome>"):
        registry.add_version(replace(new, placeholder_token="<other>"), make_embedding(5))
    with pytest.raises(PlaceholderTaken, match="'gnome'"):
        registry.add_version(replace(new, concept="dwarf", placeholder_token="<GNOME>"), make_embedding(5))
    with pytest.raises(InvalidPlaceholder):
        registry.add_version(replace(new, concept="dwarf", placeholder_token="<a b>"), make_embedding(5))
    with pytest.raises(InvalidReference):
        registry.add_version(replace(new, concept="a/b", placeholder_token="<x>"), make_embedding(5))
    with pytest.raises(InvalidInput, match="plain JSON"):
        registry.add_version(replace(new, training={"lr": float("nan")}), make_embedding(5))
    assert registry.concepts() == [registry.concept("gnome")]


def test_an_image_must_be_in_the_store_first(registry: Registry) -> None:
    image = replace(make_image(registry), digest="sha256:" + "e" * 64)
    new = NewVersion("gnome", "<gnome>", "object", "trained", images=(image,))
    with pytest.raises(Damaged, match="missing"):
        registry.add_version(new, make_embedding())
    assert registry.concepts() == []  # nothing half done


def test_references_name_versions(registry: Registry) -> None:
    first, second = add_version(registry, seed=1), add_version(registry, seed=2)
    registry.set_alias("gnome@1", "best")
    for text, expected in {
        "gnome": second,
        "GNOME": second,
        "gnome@latest": second,
        "gnome@1": first,
        "gnome@best": first,
        "<gnome>": second,
        "<gnome@1>": first,
        f"gnome@{first.digest}": first,
        f"gnome@{second.digest[:14]}": second,
    }.items():
        assert registry.version(text).id == expected.id, text
    assert registry.concept("gnome").version(1).id == first.id
    assert registry.concept("gnome").version("best").id == first.id
    assert [version.number for version in registry.concept("gnome").versions] == [1, 2]


def test_what_does_not_exist_is_answered_with_what_does(registry: Registry) -> None:
    add_version(registry)
    registry.create_concept("empty", "<empty>", "style")
    for text, error, advice in [
        ("gnomee", ConceptNotFound, "gnome"),
        ("gnome@7", VersionNotFound, "gnome@1"),
        ("gnome@best", VersionNotFound, "latest"),
        ("empty", VersionNotFound, "tireg train"),
        ("gnome@sha256:0000", VersionNotFound, "gnome@1"),
    ]:
        with pytest.raises(error) as caught:
            registry.version(text)
        assert advice in caught.value.hint, text


def test_fits_tells_exact_compatible_other_and_unknown(registry: Registry) -> None:
    exact, other = add_version(registry, "a", 1), add_version(registry, "b", 2, fingerprint=SD21)
    unknown = add_version(registry, "c", 3, fingerprint=None)
    assert (exact.fit(SD15), exact.fit(SD15_FINE_TUNE), other.fit(SD15), unknown.fit(SD15)) == (
        "exact",
        "compatible",
        "other",
        "unknown",
    )
    assert [concept.name for concept in registry.concepts(fits=SD15_FINE_TUNE)] == ["a"]
    assert registry.best_fit(registry.concept("a"), SD15_FINE_TUNE) == ("compatible", 1)
    add_version(registry, "a", 4, fingerprint=SD15_FINE_TUNE)
    assert registry.best_fit(registry.concept("a"), SD15) == ("compatible", 2)  # the one that <a> is in a prompt
    add_version(registry, "a", 5, fingerprint=SD21)
    assert registry.best_fit(registry.concept("a"), SD15) == ("exact", 1)
    assert registry.best_fit(registry.concept("b"), SD15) == ("other", 1)


def test_scores_notes_and_attachments_do_not_change_the_digest(registry: Registry) -> None:
    version = add_version(registry)
    registry.attach(version, "original", registry.blobs.add(b"the imported file"))
    registry.set_scores(version, {"clip_i": 0.7})
    changed = registry.set_version_notes(version, "good at night")
    assert changed.digest == version.digest
    assert changed.scores == {"clip_i": 0.7}
    assert changed.notes == "good at night"
    assert registry.blobs.read(changed.attachments()["original"]) == b"the imported file"


def test_the_public_api_reads_as_documented(registry: Registry) -> None:
    from tiregistry import Registry as PublicRegistry

    add_version(registry)
    with PublicRegistry.open() as opened:
        embedding = opened.concept("gnome").latest.embedding()
    assert embedding.tensors["clip_l"].shape == (1, 8)
    assert not embedding.tensors["clip_l"].flags.writeable


def test_what_is_handed_out_shows_itself_in_one_line(registry: Registry) -> None:
    version = add_version(registry)
    assert repr(registry.concept("gnome")) == "<Concept gnome <gnome> (object), 1 version>"
    assert repr(version) == f"<Version gnome@1 {version.digest[:19]}… trained on sd15>"
