"""What the writers put into files: the facts that each peer's reader depends on, and files that are never half there.

ComfyUI, A1111, Forge and InvokeAI cannot be installed beside the tests. For them the facts of their formats are
checked one by one, each named where it is checked; diffusers' and torch's own readers run in `test_peers`.
"""

from __future__ import annotations

import base64
import io
import json
import os
import pickletools
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.core.embeddings.samples import find_in_pixels, vectors
from tiregistry.concepts import Fingerprint
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.folders import read_folder
from tiregistry.embeddings.neighbours import read_path
from tiregistry.embeddings.provenance import Provenance
from tiregistry.embeddings.writing import WRITERS, Word, write_embedding
from tiregistry.errors import AlreadyExists, FileMissing, InvalidInput

SHA = "sha256:" + "cd" * 32
SETS = {
    "sd1": {"clip_l": vectors(2)},
    "one": {"clip_l": vectors(1)},
    "embedded": {"clip_l": vectors(1, 192)},
    "sd2": {"clip_h": vectors(2, 1024)},
    "tiny sd2": {"clip_h": vectors(1, 32)},
    "sdxl": {"clip_l": vectors(2), "clip_g": vectors(2, 1280)},
    "tiny sdxl": {"clip_l": vectors(1, 32), "clip_g": vectors(1, 64)},
    "sd3": {"clip_l": vectors(1), "clip_g": vectors(1, 1280), "t5": vectors(1, 4096)},
    "flux": {"clip_l": vectors(1), "t5": vectors(1, 4096)},
}


def word(key: str, **changes: object) -> Word:
    embedding = Embedding(SETS[key])
    provenance = Provenance(
        embedding=embedding.digest,
        version=SHA,
        reference="gnome@3",
        placeholder_token="<gnome>",
        concept_type="style",
        base_name="base",
        fingerprint=Fingerprint("sd1", SHA, SHA, SHA),
        initializer="garden gnome",
        steps=300,
        images=(SHA,),
    )
    fields: dict[str, object] = {
        "embedding": embedding,
        "name": "gnome",
        "placeholder_token": "<gnome>",
        "concept_type": "style",
        "family": "sd1",
        "step": 300,
        "licence": "mit",
        "created_at": 1.7e9,
        "provenance": provenance,
    }
    return Word(**(fields | changes))  # type: ignore[arg-type]


def write(key: str, format_id: str, folder: Path, **changes: object) -> Path:
    return write_embedding(word(key, **changes), format_id, folder)[0]


@pytest.mark.parametrize("format_id", WRITERS)
@pytest.mark.parametrize("key", SETS)
def test_what_is_written_comes_back_as_the_same_vectors(tmp_path, key, format_id):
    if not _writes(key, format_id):
        with pytest.raises(InvalidInput, match=r"\(use --format "):
            write(key, format_id, tmp_path)
        assert list(tmp_path.iterdir()) == []
        return
    write(key, format_id, tmp_path)
    (result,) = read_folder(tmp_path)
    (found,) = result.found
    if format_id == "diffusers-bin":  # diffusers refuses a second key, so this container says nothing but the vectors
        assert [np.array_equal(a, b) for a, b in zip(found.embedding.tensors.values(), SETS[key].values(), strict=True)]
        return
    assert found.embedding == Embedding(SETS[key])
    assert found.provenance is not None
    assert found.provenance.version == SHA
    assert (found.placeholder_token, found.concept_type, found.warnings) == ("<gnome>", "style", ())
    assert found.name == "gnome"


def test_every_word_has_a_format():
    assert {key for key in SETS for format_id in WRITERS if _writes(key, format_id)} == set(SETS)


def _writes(key: str, format_id: str) -> bool:
    try:
        return bool(WRITERS[format_id].write(word(key), "x"))
    except InvalidInput:
        return False


def test_safetensors_metadata_names_base_trigger_and_version(tmp_path):
    from safetensors import safe_open

    with safe_open(write("sd1", "diffusers", tmp_path), "np") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/textual-inversion"
    assert metadata["modelspec.trigger_phrase"] == "<gnome>"
    assert metadata["modelspec.title"] == "gnome"
    assert metadata["modelspec.license"] == "mit"
    assert metadata["modelspec.date"].startswith("2023-11-14T")
    block = json.loads(metadata["tireg"])
    assert block["version"] == SHA
    assert block["fingerprint"]["token_embedding"] == SHA
    assert (block["initializer"], block["steps"], block["images"]) == ("garden gnome", 300, [SHA])


def test_equal_words_give_equal_files(tmp_path):
    for format_id in ("diffusers", "a1111", "a1111-png", "comfyui"):
        first = write("sd1", format_id, tmp_path, name=format_id).read_bytes()
        target = tmp_path / f"again{WRITERS[format_id].suffix}"
        (again,) = write_embedding(word("sd1", name=format_id), format_id, target)
        assert again.read_bytes() == first
        again.unlink()


# -- A1111 and Forge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_id", ["a1111", "diffusers-bin", "sd-concepts"])
def test_a1111_accepts_the_archive_members(tmp_path, format_id):
    """A1111's checker allows `<folder>/data.pkl`, `<folder>/version` and `<folder>/data/<number>` and nothing else;
    that of 2022 only with `archive` for the folder."""
    path = write("sd1", format_id, tmp_path)
    with zipfile.ZipFile(path / "learned_embeds.bin" if path.is_dir() else path) as archive:
        names = archive.namelist()
        stream = archive.read("archive/data.pkl")
        comment = archive.comment
    assert all(re.fullmatch(r"archive/(data\.pkl|version|data/\d+)", name) for name in names)
    assert (comment == b"") == (format_id == "a1111")  # its block is inside
    assert format_id == "a1111" or json.loads(comment)["version"] == SHA
    # Its restricted unpickler allows these globals among a few others.
    asked = {argument for op, argument, _ in pickletools.genops(stream) if op.name == "GLOBAL"}
    assert asked == {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"}


def test_a1111_document(tmp_path):
    """A1111 reads `string_to_param` with exactly one entry, `name`, `step` and `sd_checkpoint`."""
    import torch

    loaded = torch.load(write("sd1", "a1111", tmp_path), weights_only=True)
    assert list(loaded["string_to_param"]) == ["*"]
    assert loaded["string_to_token"] == {"*": 265}
    assert loaded["string_to_param"]["*"].shape == (2, 768)
    assert loaded["string_to_param"]["*"].dtype == torch.float32
    assert (loaded["name"], loaded["step"], loaded["sd_checkpoint"]) == ("gnome", 300, None)


@pytest.mark.parametrize("preview", [None, (64, 48), (2048, 300), (3, 3)])
def test_a1111_picture_holds_the_document_twice(tmp_path, preview):
    """The text chunk `sd-ti-embedding` is base64 JSON; the pixels hold the same JSON (an independent decoder says)."""
    shown = Image.effect_noise(preview, 90).convert("RGB") if preview else None
    path = write("sd1", "a1111-png", tmp_path, preview=shown)
    picture = Image.open(path)
    chunk = json.loads(base64.b64decode(picture.text["sd-ti-embedding"]))
    assert np.array_equal(np.array(chunk["string_to_param"]["*"]["TORCHTENSOR"], np.float32), SETS["sd1"]["clip_l"])
    pixels = np.asarray(picture.convert("RGB"))
    assert json.loads(find_in_pixels(pixels)) == chunk
    # Cropping the black border must take nothing away: some pixel of each outer row and column is lit throughout.
    lit = (pixels > 0).all(axis=2)
    assert lit[0].any()
    assert lit[-1].any()
    assert lit[:, 0].any()
    assert lit[:, -1].any()
    # Recompressed without the text chunk, as image hosts do, the pixels are enough.
    stripped = tmp_path / "stripped.png"
    Image.fromarray(pixels).save(stripped)
    (found,) = read_path(stripped)
    assert (found.format, found.embedding) == ("a1111-pixels", Embedding(SETS["sd1"]))


def test_a1111_pixel_code_of_many_words(tmp_path):
    """No hidden column may look black: tried on many vectors and sizes."""
    for seed in range(12):
        embedding = Embedding({"clip_l": vectors(1 + seed % 3, 32 + 5 * seed, seed)})
        shown = Image.new("RGB", (256 + seed, 256), (seed, 0, 0))
        path = write("one", "a1111-png", tmp_path, embedding=embedding, name=f"w{seed}", preview=shown, provenance=None)
        pixels = np.asarray(Image.open(path).convert("RGB"))
        document = json.loads(find_in_pixels(pixels))
        assert document["name"] == f"w{seed}"


# -- ComfyUI --------------------------------------------------------------------------------------------------------


def test_comfyui_keys(tmp_path):
    """ComfyUI looks up clip_l, clip_g, clip_h and t5xxl; without its key it takes the first tensor, in sorted order."""
    for key, format_id, expected in (
        ("sd1", "comfyui", {"clip_l"}),
        ("sd2", "comfyui", {"clip_h"}),
        ("sdxl", "comfyui", {"clip_l", "clip_g"}),
        ("flux", "comfyui", {"clip_l", "t5", "t5xxl"}),
        ("flux", "flux", {"clip_l", "t5", "t5xxl"}),
        ("sd3", "comfyui", {"clip_l", "clip_g", "t5", "t5xxl"}),
        ("sd3", "sd3", {"clip_l", "clip_g", "t5", "t5xxl"}),
    ):
        tensors = load_file(write(key, format_id, tmp_path, name=f"{key}-{format_id}"))
        assert set(tensors) == expected
        if "t5" in expected:
            assert np.array_equal(tensors["t5"], tensors["t5xxl"])
        assert all(array.ndim == 2 for array in tensors.values())


# -- InvokeAI -------------------------------------------------------------------------------------------------------


def test_invokeai_layouts(tmp_path):
    """InvokeAI tells the base by `shape[0]` of an unknown key, by the width of `emb_params`, SDXL by clip_g."""
    one = load_file(write("one", "invokeai", tmp_path, name="one"))
    assert {key: array.shape for key, array in one.items()} == {"<gnome>": (768,)}
    two = load_file(write("sd1", "invokeai", tmp_path, name="two"))
    assert {key: array.shape for key, array in two.items()} == {"emb_params": (2, 768)}
    assert set(load_file(write("sdxl", "invokeai", tmp_path, name="xl"))) == {"clip_l", "clip_g"}


# -- the concept library --------------------------------------------------------------------------------------------


def test_concept_library_folder(tmp_path):
    images = [("Photo One.JPG", b"a"), ("weird\nname.p/ng", b"b"), ("x.png", b"c")]
    folder = write("one", "sd-concepts", tmp_path, images=images)
    assert (folder / "token_identifier.txt").read_bytes() == b"<gnome>"  # no final newline
    assert (folder / "type_of_concept.txt").read_bytes() == b"style"
    assert sorted(p.name for p in (folder / "concept_images").iterdir()) == ["0.jpg", "1.jpeg", "2.png"]
    assert "textual_inversion" in (folder / "README.md").read_text()
    import torch

    loaded = torch.load(folder / "learned_embeds.bin", weights_only=True)
    assert {key: tuple(value.shape) for key, value in loaded.items()} == {"<gnome>": (768,)}


# -- files on disk --------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_without_force(tmp_path):
    path = write("sd1", "diffusers", tmp_path)
    before = path.read_bytes()
    with pytest.raises(AlreadyExists, match="exists"):
        write("one", "diffusers", tmp_path)
    assert path.read_bytes() == before
    write_embedding(word("one"), "diffusers", tmp_path, force=True)
    assert path.read_bytes() != before
    folder = write("sd1", "sd-concepts", tmp_path)
    (folder / "mine.txt").write_text("x")
    with pytest.raises(AlreadyExists):
        write("sd1", "sd-concepts", tmp_path)
    write_embedding(word("sd1"), "sd-concepts", tmp_path, force=True)
    assert not (folder / "mine.txt").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".tireg") or "replaced" in p.name]


def test_a_pair_is_refused_whole(tmp_path):
    (tmp_path / "gnome_2.safetensors").write_bytes(b"mine")
    with pytest.raises(AlreadyExists, match="gnome_2"):
        write("sdxl", "diffusers", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["gnome_2.safetensors"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write("sd1", "diffusers", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_paths_and_names_that_cannot_work(tmp_path):
    with pytest.raises(InvalidInput, match="end in"):
        write_embedding(word("sd1"), "diffusers", tmp_path / "gnome.pt")
    with pytest.raises(InvalidInput, match="no export format"):
        write_embedding(word("sd1"), "a111", tmp_path)
    with pytest.raises(FileMissing, match="folder"):
        write_embedding(word("sd1"), "diffusers", tmp_path / "no" / "gnome.safetensors")


def test_vectors_that_are_no_word_only_leave_as_they_came(tmp_path):
    for tensors in (
        {"clip_l.IN01": vectors(1)},
        {"bert": vectors(1, 1280)},
        {"clip_l": vectors(1), "llama": vectors(1, 4096)},
    ):
        for format_id in WRITERS:
            with pytest.raises(InvalidInput, match="use --format original"):
                write("one", format_id, tmp_path, embedding=Embedding(tensors))


def test_the_file_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        path = write("sd1", "diffusers", tmp_path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


def test_values_that_no_container_can_hold():
    from tiregistry.embeddings.containers.torch_writer import write_torch

    data = write_torch({"a": [None][0], "b": True, "c": 2**70, "d": -(2**40), "e": 1.5, "f": "ü", "g": {"h": 1}})
    import torch

    assert torch.load(io.BytesIO(data), weights_only=True) == {
        "a": None, "b": True, "c": 2**70, "d": -(2**40), "e": 1.5, "f": "ü", "g": {"h": 1},
    }  # fmt: skip
    with pytest.raises(TypeError):
        write_torch({"a": object()})
