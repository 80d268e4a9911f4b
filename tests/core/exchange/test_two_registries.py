"""A file exported by one registry is, in another one, the version that it is: the same digest and the same facts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.embeddings.samples import Tensor, a1111, image_bytes, safetensors, torch_zip, vectors
from tiregistry.concepts import Fingerprint, NewVersion, Parent, SourceImage, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import InvalidInput
from tiregistry.exchange.exporting import FORMATS, export_version
from tiregistry.exchange.importing import ImportOptions, Outcome, import_path
from tiregistry.registry.manifest import build, canonical, digest_of, version_of
from tiregistry.registry.registry import Registry

SHA = "sha256:" + "ef" * 32
SINGLE = [f for f in FORMATS if f not in ("original", "sdxl", "sd3", "flux")]
SEVERAL = {
    "sdxl": ({"clip_l": 768, "clip_g": 1280}, ["diffusers", "sdxl", "comfyui", "invokeai"]),
    "sd3": ({"clip_l": 768, "clip_g": 1280, "t5": 4096}, ["sd3", "comfyui"]),
    "flux": ({"clip_l": 768, "t5": 4096}, ["flux", "comfyui"]),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "here") as opened:
        yield opened


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "there") as opened:
        yield opened


def bring(registry: Registry, path: Path, **options: Any) -> Outcome:
    outcomes = [o for o in import_path(registry, path, ImportOptions(**options)) if o.status != "passed over"]
    assert len(outcomes) == 1
    return outcomes[0]


def trained(registry: Registry, widths: dict[str, int] | None = None, seed: int = 0, **changes: Any) -> Version:
    """A word with everything that a version can have."""
    picture = image_bytes(np.full((24, 20, 3), 30 + seed, np.uint8))
    fields: dict[str, Any] = {
        "concept": "gnome",
        "placeholder_token": "<gnome>",
        "concept_type": "style",
        "origin": "trained",
        "fingerprint": Fingerprint("sd1", SHA, SHA, SHA, SHA),
        "base_name": "sd15",
        "images": (SourceImage(registry.blobs.add(picture), "me.png", 20, 24, "a photo of {}"),),
        "training": {"initializer": "garden gnome", "max_steps": 300, "learning_rate": 0.02},
        "parents": (Parent("sha256:" + "77" * 32, "continued"),),
        "record": {"steps": 260},
    }
    tensors = {role: vectors(2, dim, seed) for role, dim in (widths or {"clip_l": 768}).items()}
    return registry.add_version(NewVersion(**fields | changes), Embedding(tensors))


@pytest.mark.parametrize("format_id", SINGLE)
def test_one_encoder(here, there, tmp_path, format_id):
    version = trained(here)
    out = tmp_path / "out"
    out.mkdir()
    written = export_version(here, version, out, format_id)
    for path in (out, written[0]):
        outcome = bring(there, path)
        assert outcome.version is not None
        assert outcome.version.digest == version.digest
    assert [v.reference for v in there.versions("gnome")] == ["gnome@1"]
    again = there.version("gnome@1")
    assert (again.origin, again.base_name, again.concept_type) == ("imported", "sd15", "style")
    assert again.manifest == version.manifest
    assert again.images[0].caption == "a photo of {}"
    # And from there back, and on to a third: it stays what it is.
    (back, *_) = export_version(there, again, tmp_path / f"back{written[0].suffix}", format_id)
    assert bring(here, back).status == "already there"
    with Registry.open(tmp_path / "third") as third:
        told = bring(third, back)
        assert told.version is not None
        assert told.version.digest == version.digest
        assert told.found is not None
        assert told.found.step == 260


@pytest.mark.parametrize(("family", "format_id"), [(f, i) for f, (_, ids) in SEVERAL.items() for i in ids])
def test_several_encoders(here, there, tmp_path, family, format_id):
    version = trained(here, SEVERAL[family][0])
    out = tmp_path / "out"
    out.mkdir()
    written = export_version(here, version, out, format_id)
    assert bring(there, out).version.digest == version.digest
    for path in written:
        assert bring(there, path).status == "already there"
    assert there.embedding(there.version("gnome")) == here.embedding(version)


@pytest.mark.parametrize("format_id", SINGLE)
def test_a_word_that_was_itself_imported(here, there, tmp_path, format_id):
    source = tmp_path / "cat.pt"
    source.write_bytes(torch_zip(a1111(vectors(1), "cat", 900)))
    version = bring(here, source).version
    (path, *_) = export_version(here, version, tmp_path / f"out{_suffix(format_id)}", format_id)
    outcome = bring(there, path)
    assert (outcome.status, outcome.version.digest) == ("imported", version.digest)
    assert outcome.version.parents == ()
    assert outcome.found.step == 900


def _suffix(format_id: str) -> str:
    return {"diffusers-bin": ".bin", "a1111": ".pt", "a1111-png": ".png", "sd-concepts": ""}.get(
        format_id, ".safetensors"
    )


def test_pictures_come_along_only_when_asked_and_are_the_very_ones(here, there, tmp_path):
    version = trained(here)
    (bare,) = export_version(here, version, tmp_path / "bare", "sd-concepts")
    lonely = bring(there, bare).version
    assert lonely.digest == version.digest
    assert lonely.images[0].digest not in there.blobs
    assert (there.verify().damages, there.verify().known_losses) == ([], 1)
    (full,) = export_version(here, version, tmp_path / "full", "sd-concepts", with_images=True)
    (full / "concept_images" / "99.png").write_bytes(image_bytes(np.full((9, 9, 3), 1, np.uint8)))
    with Registry.open(tmp_path / "third") as third:
        complete = bring(third, full).version
        assert complete.digest == version.digest
        assert [(i.width, i.height, i.caption) for i in complete.images] == [(20, 24, "a photo of {}")]
        assert complete.image(0) == here.version("gnome").image(0)
        assert (third.verify().damages, third.verify().known_losses) == ([], 0)


def test_an_export_may_keep_its_origin_to_itself(here, there, tmp_path):
    version = trained(here)
    for format_id in SINGLE:
        out = tmp_path / format_id
        out.mkdir()
        export_version(here, version, out, format_id, provenance=False)
        data = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
        assert b"a photo of" not in data
        assert SHA.encode() not in data
        assert b"sd15" not in data
    assert bring(there, tmp_path / "diffusers").version.parents == ()
    assert bring(here, tmp_path / "diffusers").version.digest == version.digest  # by its vectors


def test_another_token_or_type_makes_another_version_that_says_where_it_is_from(here, there, tmp_path):
    version = trained(here)
    (path,) = export_version(here, version, tmp_path / "x.safetensors", "diffusers")
    named = bring(there, path, name="dwarf")
    assert (named.reference, named.version.digest) == ("dwarf@1", version.digest)  # a name is no part of a version
    for changes in ({"placeholder_token": "<dwarf-x>", "name": "dwarf-x"}, {"concept_type": "object", "name": "thing"}):
        with Registry.open(tmp_path / str(changes["name"])) as other:
            changed = bring(other, path, **changes).version
            assert changed.digest != version.digest
            assert changed.parents == (Parent(version.digest, "imported"),)
            assert changed.fingerprint == version.fingerprint


def test_a_word_of_ones_own_is_not_taken_over(here, there, tmp_path):
    version = trained(here)
    mine = trained(there, seed=5, concept_type="object", parents=())
    (path,) = export_version(here, version, tmp_path / "x.safetensors", "diffusers")
    outcome = bring(there, path)
    assert outcome.reference == "gnome-2@1"
    assert any("another word" in note for note in outcome.notes)
    assert there.version("gnome").digest == mine.digest
    # With the name taken but the token free, it stays the very version.
    with Registry.open(tmp_path / "third") as third:
        trained(third, seed=5, placeholder_token="<mine>", parents=())
        outcome = bring(third, path)
        assert (outcome.reference, outcome.placeholder_token) == ("gnome-2@1", "<gnome>")
        assert outcome.version.digest == version.digest


def test_what_was_continued_elsewhere_comes_home_to_its_concept(here, there, tmp_path):
    first = trained(here)
    (path,) = export_version(here, first, tmp_path / "x.safetensors", "diffusers")
    bring(there, path)
    second = trained(there, seed=1, parents=(Parent(first.digest, "continued"),))
    assert second.reference == "gnome@2"
    (back,) = export_version(there, second, tmp_path / "y.safetensors", "diffusers")
    outcome = bring(here, back)
    assert (outcome.reference, outcome.version.digest) == ("gnome@2", second.digest)
    # The other way round: the ancestor comes after the descendant.
    with Registry.open(tmp_path / "third") as third:
        trained(third, seed=1, parents=(Parent(first.digest, "continued"),))
        late = bring(third, path)
        assert (late.reference, late.version.digest) == ("gnome@2", first.digest)


def test_tokens_that_differ_only_in_case_are_one(here, there, tmp_path):
    for name, token, seed in (("a", "<Cat>", 1), ("b", "<cat>", 2)):
        path = tmp_path / f"{name}.bin"
        path.write_bytes(torch_zip({token: Tensor(vectors(1, seed=seed))}))
        assert bring(there, path).reference == f"Cat@{seed}"
    trained(here, concept="x", placeholder_token="<CAT>")
    outcome = bring(here, tmp_path / "b.bin")
    assert (outcome.status, outcome.placeholder_token) == ("imported", "<x-2>")


@pytest.mark.parametrize(
    "change",
    [
        {"version": "sha256:" + "0" * 64},
        {"training": {"max_steps": 1}},
        {"more": 1},
        {"placeholder_token": 7},
        {"images": [{"sha256": "x", "caption": ""}]},
        {"parents": [{"digest": SHA, "relation": "stolen"}]},
        {"embedding": {}},
        {"base": []},
        {"base": {"family": "sd1"}},
        {"concept_type": "thing"},
        {"format": "tireg-manifest/9"},
    ],
)
def test_a_manifest_that_does_not_prove_itself_is_not_used(here, there, tmp_path, change):
    """The vectors are still imported, and what the block says besides still counts."""
    version = trained(here)
    (path,) = export_version(here, version, tmp_path / "x.safetensors", "diffusers")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    block = json.loads(header["__metadata__"]["tireg"])
    manifest = block["manifest"] | {key: value for key, value in change.items() if key != "version"}
    # A forger also gives the digest that the changed manifest has; only the unchanged one is a version's.
    forged = {"manifest": manifest, "version": change.get("version") or digest_of(canonical(manifest))}
    if change.get("training"):
        forged["version"] = version.digest
    header["__metadata__"]["tireg"] = json.dumps(block | forged)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    outcome = bring(there, path)
    assert outcome.status == "imported"
    assert outcome.version.digest not in (version.digest, forged["version"])
    assert outcome.version.fingerprint == version.fingerprint


def test_a_manifest_is_what_build_gives_again(here):
    version = trained(here)
    again = version_of(version.manifest, version.digest, "gnome", "imported")
    assert build(again, here.embedding(version)) == version.manifest
    assert again == replace(again, absent_images=frozenset(i.digest for i in version.images))
    for manifest in (None, [], "x", {}, {"format": "tireg-manifest/1"}, dict(version.manifest, base=float("nan"))):
        with pytest.raises(ValueError, match="manifest"):
            version_of(manifest, version.digest, "gnome", "imported")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
PARTS = ("format", "placeholder_token", "concept_type", "embedding", "base", "images", "training", "parents")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*PARTS, "more"]), JSON | st.sampled_from(["tireg-manifest/1", "object", None])))
def test_any_json_for_a_manifest_is_a_version_or_an_error(manifest):
    """Also with the digest that it really has: then everything in it is looked at."""
    whole = dict.fromkeys(PARTS) | {"format": "tireg-manifest/1", "concept_type": "object", "images": [], "parents": []}
    for raw in (manifest, whole | manifest):
        with contextlib.suppress(ValueError, InvalidInput):
            version_of(raw, digest_of(canonical(raw)), "gnome", "imported")


# -- facts, not guesses ---------------------------------------------------------------------------------------------


def metadata(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def test_a_family_that_was_guessed_from_a_width_is_not_written(here, there, tmp_path):
    source = tmp_path / "cat.bin"
    source.write_bytes(torch_zip({"<cat>": Tensor(vectors(1))}))
    outcome = bring(here, source)
    assert outcome.found.families[0].family == "sd1"  # the best guess is shown
    (path,) = export_version(here, outcome.version, tmp_path / "out.safetensors", "emb-params")
    said = metadata(path)
    assert not {"modelspec.architecture", "modelspec.implementation", "modelspec.date", "step"} & set(said)
    again = bring(there, path).found
    assert [c.evidence for c in again.families] == [c.evidence for c in outcome.found.families]


def test_what_a_file_said_of_itself_is_passed_on(here, there, tmp_path):
    said = {
        "modelspec.architecture": "stable-diffusion-v2-768-v/textual-inversion",
        "modelspec.author": "somebody",
        "modelspec.date": "2024-01-02",
        "modelspec.is_negative_embedding": "true",
        "modelspec.hash_sha256": "0x1234",
        "modelspec.title": "their title",
    }
    source = tmp_path / "neg.safetensors"
    source.write_bytes(safetensors({"emb_params": vectors(1, 1024)}, said))
    version = bring(here, source).version
    (path,) = export_version(here, version, tmp_path / "out.safetensors", "emb-params")
    now = metadata(path)
    kept = ("architecture", "author", "date", "is_negative_embedding")
    assert all(now[f"modelspec.{key}"] == said[f"modelspec.{key}"] for key in kept)
    assert now["modelspec.title"] == "neg"
    assert "modelspec.hash_sha256" not in now  # it was that of another file
    assert "modelspec.implementation" not in now
    found = bring(there, path).found
    assert (found.families[0].family, "modelspec.architecture" in found.families[0].evidence) == ("sd2", True)


def test_a_checkpoint_hash_is_passed_on(here, there, tmp_path):
    source = tmp_path / "cat.pt"
    source.write_bytes(torch_zip(a1111(vectors(1), "cat")))
    version = bring(here, source).version
    for name in ("out.pt", "out.png"):
        (path,) = export_version(here, version, tmp_path / name)
        with Registry.open(tmp_path / name.replace(".", "-")) as other:
            found = bring(other, path).found
            assert found.details["sd_checkpoint"] == "81761151"
            assert found.families[0].evidence == "checkpoint hash 81761151 is Stable Diffusion 1.5 (emaonly)"


@pytest.mark.parametrize(
    ("family", "widths", "architecture"),
    [
        ("sd1", {"clip_l": 768}, "stable-diffusion-v1"),
        ("sd2", {"clip_h": 1024}, "stable-diffusion-v2"),
        ("sdxl", {"clip_l": 768, "clip_g": 1280}, "stable-diffusion-xl-v1-base"),
        ("sd3", {"clip_l": 768, "clip_g": 1280, "t5": 4096}, "stable-diffusion-3"),
        ("flux", {"clip_l": 768, "t5": 4096}, "flux-1"),
        ("sd1", {"clip_l": 64}, ""),
    ],
)
def test_the_architecture_follows_the_base_model(here, tmp_path, family, widths, architecture):
    version = trained(here, widths, fingerprint=Fingerprint(family, SHA, SHA, SHA))
    (path, *_) = export_version(here, version, tmp_path / "out.safetensors", "comfyui")
    said = metadata(path)
    assert said.get("modelspec.architecture", "") == (f"{architecture}/textual-inversion" if architecture else "")
    assert said["step"] == "260"  # as many as were made; the settings say 300 at most
    assert json.loads(said["tireg"])["steps"] == 260
