"""Export: what comes out is read again as the version it is, and originals come out as they came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.core.embeddings.samples import (
    Tensor,
    a1111,
    image_bytes,
    safetensors,
    torch_legacy,
    torch_zip,
    vectors,
)
from tests.core.exchange.bringing import bring, file, trained
from tiregistry.errors import AlreadyExists, InvalidInput
from tiregistry.exchange.exporting import FORMATS, choose_format, export_version


@pytest.mark.parametrize("format_id", [f for f in FORMATS if f not in ("original", "sdxl", "sd3", "flux")])
def test_an_exported_file_comes_back_as_the_version_it_is(registry, tmp_path, format_id):
    trained(registry, seed=1)
    version = trained(registry, seed=2)
    out = tmp_path / "out"
    out.mkdir()
    written = export_version(registry, version, out, format_id)
    for path in (out, written[0]):
        (outcome,) = bring(registry, path)
        assert (outcome.status, outcome.version.digest) == ("already there", version.digest)


def test_changed_vectors_are_not_believed_to_be_the_version(registry, tmp_path):
    version = trained(registry)
    (path,) = export_version(registry, version, tmp_path, "diffusers")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    (outcome,) = bring(registry, file(tmp_path, "changed.safetensors", bytes(data)))
    assert outcome.status == "imported"
    assert outcome.version.fingerprint is None
    assert outcome.version.parents == ()
    assert any("not those that tireg exported" in note for note in outcome.notes)


def test_the_original_bytes_come_out_again(registry, tmp_path):
    data = torch_legacy(a1111(vectors()))
    (outcome,) = bring(registry, file(tmp_path, "gnome.pt", data))
    out = tmp_path / "out"
    out.mkdir()
    (path,) = export_version(registry, outcome.version, out, "original")
    assert (path.name, path.read_bytes()) == ("gnome.pt", data)
    with pytest.raises(InvalidInput, match="not imported"):
        export_version(registry, trained(registry, "mine"), out, "original")


def test_every_original_file_comes_out_again(registry, tmp_path):
    pair = {
        "learned_embeds.safetensors": safetensors({"<xl>": vectors(1)}),
        "learned_embeds_2.safetensors": safetensors({"<xl>": vectors(1, 1280)}),
    }
    library = {
        "learned_embeds.bin": torch_zip({"<cat-toy>": Tensor(vectors(1, seed=5)[0])}),
        "token_identifier.txt": b"<cat-toy>",
        "type_of_concept.txt": b"style",
        "README.md": b"# A cat",
    }
    tuned = {
        "embeddings.pti": safetensors({"text_encoders_0": vectors(3, seed=8), "text_encoders_1": vectors(3, 1280)}),
        "special_params.json": b'{"TOK": "<s0><s1>", "HAT": "<s2>"}',
    }
    for name, files in {"xl": pair, "cat": library, "pti": tuned}.items():
        for inside, data in files.items():
            file(tmp_path / name, inside, data)
        for outcome in bring(registry, tmp_path / name):
            out = tmp_path / f"out-{outcome.concept}"
            out.mkdir()
            written = export_version(registry, outcome.version, out, "original")
            assert written[0].name == next(iter(files))
            assert {path.name for path in written} == set(files)
            assert {path.name: path.read_bytes() for path in out.iterdir()} == files
            with pytest.raises(AlreadyExists):
                export_version(registry, outcome.version, out, "original")
    assert {p.name for p in tmp_path.glob("out-*")} >= {"out-TOK", "out-HAT"}


def test_a_pair_given_by_its_second_file_gives_both_back_under_their_names(registry, tmp_path):
    first = safetensors({"<xl>": vectors(1)})
    second = file(tmp_path, "learned_embeds_2.safetensors", safetensors({"<xl>": vectors(1, 1280)}))
    file(tmp_path, "learned_embeds.safetensors", first)
    (outcome,) = bring(registry, second)
    out = tmp_path / "out"
    out.mkdir()
    export_version(registry, outcome.version, out, "original")
    assert (out / "learned_embeds.safetensors").read_bytes() == first
    assert (out / second.name).read_bytes() == second.read_bytes()


def test_exported_pictures_are_only_the_users_when_asked(registry, tmp_path):
    picture = image_bytes(np.full((20, 20, 3), 9, np.uint8))
    digest = registry.blobs.add(picture)
    from tiregistry.concepts import SourceImage

    version = trained(registry, images=(SourceImage(digest, "me.png", 20, 20),))
    (without,) = export_version(registry, version, tmp_path / "a", "sd-concepts")
    assert not (without / "concept_images").exists()
    (with_images,) = export_version(registry, version, tmp_path / "b", "sd-concepts", with_images=True)
    assert (with_images / "concept_images" / "0.png").read_bytes() == picture


def test_a_preview_is_the_face_of_the_a1111_picture(registry, tmp_path):
    from PIL import Image

    version = trained(registry)
    preview = image_bytes(np.full((300, 300, 3), (200, 30, 60), np.uint8))
    registry.attach(version, "preview/0004.png", registry.blobs.add(preview))
    (path,) = export_version(registry, version, tmp_path, "a1111-png")
    picture = Image.open(path).convert("RGB")
    assert picture.getpixel((picture.width // 2, 150)) == (200, 30, 60)
    later = image_bytes(np.full((300, 300, 3), (20, 130, 60), np.uint8))
    registry.attach(version, "preview/10000.png", registry.blobs.add(later))
    registry.attach(version, "preview/9000.png", registry.blobs.add(preview))
    (path,) = export_version(registry, version, tmp_path, "a1111-png", force=True)
    assert Image.open(path).convert("RGB").getpixel((picture.width // 2, 150)) == (20, 130, 60)


def test_without_a_preview_the_a1111_picture_is_a_card_and_comes_back_the_same(registry, tmp_path):
    from PIL import Image

    from tiregistry.embeddings.containers.picture import read_picture_embedding

    version = trained(registry)
    (path,) = export_version(registry, version, tmp_path, "a1111-png")
    picture = Image.open(path).convert("RGB")
    middle = np.asarray(picture)[200:312, picture.width // 2 - 200 : picture.width // 2 + 200]
    assert len(np.unique(middle.reshape(-1, 3), axis=0)) > 2
    bare = image_bytes(np.asarray(picture))  # without the text chunk
    value, from_pixels = read_picture_embedding(bare, "PNG")
    assert from_pixels
    assert value
    (outcome,) = bring(registry, file(tmp_path, "bare.png", bare))
    assert (outcome.status, outcome.version) == ("already there", version)


def test_the_format_follows_the_extension_and_the_encoders(tmp_path):
    assert choose_format(Path("x.pt"), frozenset({"clip_l"})) == "a1111"
    assert choose_format(Path("x.PNG"), frozenset({"clip_l"})) == "a1111-png"
    assert choose_format(Path("x.bin"), frozenset({"clip_l"})) == "diffusers-bin"
    assert choose_format(Path("x.safetensors"), frozenset({"clip_l", "clip_g"})) == "diffusers"
    assert choose_format(tmp_path, frozenset({"clip_l", "t5"})) == "flux"
    assert choose_format(tmp_path, frozenset({"clip_l", "clip_g", "t5"})) == "sd3"
    assert choose_format(tmp_path, frozenset({"t5"})) == "comfyui"
