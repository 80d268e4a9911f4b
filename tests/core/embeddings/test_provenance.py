"""The `tireg` block: complete there and back, and nothing in it is believed that is not of the right kind."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.embeddings.samples import small_files
from tiregistry.concepts import Fingerprint
from tiregistry.embeddings.provenance import Provenance
from tiregistry.embeddings.reading import read_embedding

DIGEST = "sha256:" + "ab" * 32
FULL = Provenance(
    embedding=DIGEST,
    version=DIGEST,
    reference="gnome@3",
    placeholder_token="<gnome>",
    concept_type="style",
    base_name="sd15",
    fingerprint=Fingerprint("sd1", DIGEST, DIGEST, DIGEST, DIGEST),
    initializer="garden gnome",
    steps=300,
    images=(DIGEST,),
    created_at=1.5e9,
    part="clip_l",
    manifest={"format": "tireg-manifest/1", "images": [{"caption": "a\u00e4\U0001f600"}]},
)


def test_there_and_back():
    assert Provenance.parse(FULL.to_json()) == FULL
    assert Provenance.parse(Provenance(embedding=DIGEST).to_json()) == Provenance(embedding=DIGEST)
    assert Provenance.parse(replace(FULL, steps=0).to_json()) == replace(FULL, steps=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", "x"), ("concept_type", "thing"), ("steps", -1), ("steps", True), ("steps", 1e9), ("images", "x"),
     ("images", [1, "x"]), ("fingerprint", {"family": "sd9"}), ("fingerprint", [1]), ("created_at", "now"),
     ("fingerprint", {"family": "sd1", "token_embedding": "../x"}), ("part", "../x"), ("part", ["clip_l"]),
     ("reference", {"a": 1}), ("manifest", "x"), ("manifest", [1]), ("manifest", {"a": float("nan")})],
)  # fmt: skip
def test_wrong_fields_are_dropped(field, value):
    block = json.loads(FULL.to_json())
    block[field] = value
    parsed = Provenance.parse(json.dumps(block))
    assert parsed is not None
    assert getattr(parsed, field) in ("", None, (), 0.0)
    assert parsed.embedding == DIGEST


def test_a_block_that_would_be_too_long_goes_without_its_manifest():
    long = replace(FULL, manifest={"caption": "x" * 70_000})
    assert Provenance.parse(long.to_json()) == long
    assert Provenance.parse(long.to_json(65_535)) == replace(long, manifest=None)
    assert len(long.to_json(65_535)) < 65_535


def test_what_is_no_block():
    for text in (None, b"x", 7, "", "[]", "{}", "{", '{"embedding": "x"}', "[" * 100_000, "x" * 10**6):
        assert Provenance.parse(text) is None


def test_texts_are_made_safe():
    block = json.loads(FULL.to_json()) | {"reference": "\x1b[2Jgnome@3", "base_name": "a\nb"}
    parsed = Provenance.parse(json.dumps(block))
    assert parsed is not None
    assert parsed.reference == "\\x1b[2Jgnome@3"
    assert parsed.base_name == "a b"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*json.loads(FULL.to_json())]), JSON))
def test_any_json_is_parsed_or_dropped(block):
    parsed = Provenance.parse(json.dumps(block | {"embedding": DIGEST}))
    assert parsed is not None
    assert Provenance.parse(parsed.to_json()) == parsed


def test_the_block_is_found_in_every_container():
    files = small_files()
    for name in ("told.safetensors", "told.bin"):
        (found,) = read_embedding(files[name], filename=name)
        assert found.provenance is not None
        assert (found.provenance.reference, found.warnings) == ("gnome@2", ())
        assert found.provenance.manifest is not None
