"""Folders: what belongs together is joined, what is no embedding is passed over, what is refused is reported."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.embeddings.samples import (
    Tensor,
    a1111,
    a1111_json,
    image_bytes,
    png_with_chunk,
    safetensors,
    torch_zip,
    vectors,
)
from tiregistry.embeddings import folders
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.folders import concept_images, read_folder
from tiregistry.embeddings.neighbours import read_path
from tiregistry.embeddings.provenance import Provenance
from tiregistry.errors import UnreadableEmbedding

SIDECARS = [
    "special_params.json", "token_identifier.txt", "type_of_concept.txt", "tireg.json", "model_index.json", "README.md",
    "learned_embeds_2.bin", "embeddings_2.pti",
]  # fmt: skip
L, G = vectors(2, 768), vectors(2, 1280, 1)


def lay(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(folder: Path) -> list[str]:
    return [result.path.name for result in read_folder(folder) if not result.passed_over]


def test_sdxl_pairs_are_one_word(tmp_path):
    lay(
        tmp_path,
        **{
            "learned_embeds.safetensors": safetensors({"<g>": L}),
            "learned_embeds_2.safetensors": safetensors({"<g>": G}),
        },
    )
    (result,) = read_folder(tmp_path)
    (found,) = result.found
    assert found.format == "diffusers-pair"
    assert np.array_equal(found.embedding.tensors["clip_l"], L)
    assert np.array_equal(found.embedding.tensors["clip_g"], G)
    assert found.families[0].family == "sdxl"
    assert list(found.files) == ["learned_embeds.safetensors", "learned_embeds_2.safetensors"]
    for name in ("learned_embeds.safetensors", "learned_embeds_2.safetensors"):
        (direct,) = read_path(tmp_path / name)
        assert direct.embedding == found.embedding


def test_step_snapshots_pair_up_and_keep_their_step(tmp_path):
    for step in (500, 1000):
        lay(
            tmp_path,
            **{
                f"learned_embeds-steps-{step}.safetensors": safetensors({"<g>": L + step}),
                f"learned_embeds_2-steps-{step}.safetensors": safetensors({"<g>": G + step}),
            },
        )
    found = [item for result in read_folder(tmp_path) for item in result.found]
    assert [(item.step, item.name, len(item.embedding.tensors)) for item in found] == [(500, "g", 2), (1000, "g", 2)]


def test_files_that_only_look_like_a_pair_stay_apart(tmp_path):
    lay(tmp_path, **{"cat.safetensors": safetensors({"<cat>": L}), "cat_2.safetensors": safetensors({"<cat2>": L + 1})})
    assert [item.placeholder_token for result in read_folder(tmp_path) for item in result.found] == ["<cat>", "<cat2>"]


def test_concept_library_folder(tmp_path):
    picture = image_bytes(np.full((32, 32, 3), 50, np.uint8))
    lay(
        tmp_path / "repo-name",
        **{
            "learned_embeds.bin": torch_zip({"<cat-toy>": Tensor(L[0])}),
            "token_identifier.txt": b"<cat-toy>",
            "type_of_concept.txt": b"style",
            "README.md": b"# hi",
            "concept_images__1.png": picture,
            "concept_images__0.png": picture,
        },
    )
    (result,) = read_folder(tmp_path)
    (found,) = result.found
    assert (found.format, found.placeholder_token, found.concept_type, found.name) == (
        "sd-concepts",
        "<cat-toy>",
        "style",
        "cat-toy",
    )
    assert [path.name for path in concept_images(result.path)] == ["0.png", "1.png"]
    assert set(found.files) == {"learned_embeds.bin", "token_identifier.txt", "type_of_concept.txt", "README.md"}


def test_token_identifier_that_disagrees_or_fills_in(tmp_path):
    lay(tmp_path / "a", **{"learned_embeds.bin": torch_zip({"<real>": Tensor(L)}), "token_identifier.txt": b"<other>"})
    (found,) = read_path(tmp_path / "a" / "learned_embeds.bin")
    assert found.placeholder_token == "<real>"
    assert "<other>" in found.warnings[0]
    lay(tmp_path / "b", **{"emb.safetensors": safetensors({"emb_params": L}), "token_identifier.txt": b"<other>\n"})
    (found,) = read_path(tmp_path / "b" / "emb.safetensors")
    assert found.placeholder_token == "<other>"


def test_special_params_split_the_rows(tmp_path):
    rows, more = vectors(3, 768), vectors(3, 1280)
    lay(
        tmp_path,
        **{
            "embeddings.pti": safetensors({"text_encoders_0": rows, "text_encoders_1": more}),
            "special_params.json": json.dumps({"TOK": "<s0><s1>", "DOG": "<s2>", "bad": "<s9>", "worse": 7}).encode(),
        },
    )
    tok, dog = read_path(tmp_path / "embeddings.pti")
    assert (tok.placeholder_token, dog.placeholder_token) == ("TOK", "DOG")
    assert np.array_equal(tok.embedding.tensors["clip_l"], rows[:2])
    assert np.array_equal(dog.embedding.tensors["clip_g"], more[2:])


def test_neti_decoys_are_refused(tmp_path):
    lay(
        tmp_path,
        **{"learned_embeds-steps-500.bin": torch_zip({"<g>": Tensor(L)}), "mapper-steps-500.pt": b"\x80\x02N."},
    )
    with pytest.raises(UnreadableEmbedding, match="mapper"):
        read_path(tmp_path / "learned_embeds-steps-500.bin")
    errors = [result.error.message for result in read_folder(tmp_path) if result.error]
    assert any("NeTI" in message for message in errors)


def test_a_web_ui_folder(tmp_path):
    plain = image_bytes(np.full((32, 32, 3), 50, np.uint8))
    lay(
        tmp_path,
        **{
            "style-10.pt": torch_zip(a1111(L, "style-10", 10)),
            "style-9.pt": torch_zip(a1111(L + 1, "style-9", 9)),
            "style-10.pt.optim": torch_zip({"hash": "a", "optimizer_state_dict": {}}),
            "shared.png": png_with_chunk(a1111_json(L + 2)),
            "style-10.preview.png": png_with_chunk(a1111_json(L + 3)),
            "photo.png": plain,
            "notes.txt": b"(dp0\n.",
            ".hidden.pt": torch_zip(a1111(L)),
            "._mac.pt": b"junk",
            "sub__deep__word.safetensors": safetensors({"emb_params": L + 4}),
            "archive.zip": torch_zip(a1111(L)),
            "broken.pt": torch_zip(a1111(L))[:200],
            "virus.pt": b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.",
        },
    )
    every = list(read_folder(tmp_path))
    results = [result for result in every if not result.passed_over]
    assert [r.path.name for r in results] == [
        "broken.pt",
        "shared.png",
        "style-9.pt",
        "style-10.pt",
        "virus.pt",
        "word.safetensors",
    ]
    assert {r.path.name: r.passed_over for r in every if r.passed_over} == {
        "style-10.pt.optim": "optimizer state",
        "style-10.preview.png": "preview picture",
        "photo.png": "picture without an embedding",
        "notes.txt": "text",
        ".hidden.pt": "hidden file",
        "._mac.pt": "hidden file",
        "archive.zip": "file of another kind",
    }
    failed = {r.path.name: r.error.message for r in results if r.error}
    assert set(failed) == {"broken.pt", "virus.pt"}
    assert "os.system" in failed["virus.pt"]
    assert [item.name for r in results for item in r.found] == ["gnome", "style", "style", "word"]


def test_pipelines_and_links(tmp_path):
    lay(
        tmp_path / "run",
        **{
            "model_index.json": json.dumps(
                {"unet": ["diffusers", "X"], "text_encoder": ["transformers", "Y"]}
            ).encode(),
            "learned_embeds.safetensors": safetensors({"<g>": L}),
            "unet__model.safetensors": safetensors({"a.weight": L}),
            "text_encoder__model.safetensors": safetensors({"a.weight": L}),
            "other__g.safetensors": safetensors({"<h>": L}),
        },
    )
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "run" / "learned_embeds.safetensors")
    assert names(tmp_path) == ["link.safetensors", "learned_embeds.safetensors", "g.safetensors"]
    assert {r.path.name: r.passed_over for r in read_folder(tmp_path) if r.passed_over} == {
        "loop": "linked folder",
        "unet": "part of a whole pipeline",
        "text_encoder": "part of a whole pipeline",
        "model_index.json": "text",
    }


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a system without /proc")
def test_what_the_system_shows_as_files_is_not_read(tmp_path):
    (tmp_path / "linked").symlink_to("/proc/self")
    (tmp_path / "proc" / "mine").mkdir(parents=True)
    lay(tmp_path / "proc" / "mine", **{"g.safetensors": safetensors({"<g>": L})})
    for folder in (Path("/proc"), Path("/proc/self/task"), tmp_path / "linked"):
        (result,) = read_folder(folder)
        assert result.passed_over == "folder of the system"
    assert names(tmp_path) == ["g.safetensors"]  # one of the same name is a folder like any other


def test_a_folder_without_end_is_read_so_far_and_said_to_be_larger(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    for folder in (tmp_path / "d", deep):
        lay(folder, **{"g.safetensors": safetensors({"<g>": L})})
    first, second = read_folder(tmp_path)
    assert (first.path, len(first.found)) == (tmp_path / "d" / "g.safetensors", 1)
    assert second.passed_over == "folder within 32 others"
    monkeypatch.setattr(folders, "_MAX_ENTRIES", 5)
    first, second = read_folder(tmp_path)
    assert len(first.found) == 1
    assert "only the first 5 files and folders" in second.error.message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may read everything")
def test_a_closed_folder_is_an_error_and_not_silence(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    (result,) = read_folder(tmp_path)
    assert result.error is not None
    assert "permission" in f"{result.error.message} {result.error.hint}".lower()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(SIDECARS))
def test_whatever_lies_beside_a_file_does_no_harm(tmp_path_factory, content, sidecar):
    folder = tmp_path_factory.mktemp("beside")
    lay(folder, **{"embeddings.pti": safetensors({"text_encoders_0": L, "text_encoders_1": G}), sidecar: content})
    lay(folder, **{"learned_embeds.bin": torch_zip({"<g>": Tensor(L)})})
    for result in read_folder(folder):
        assert result.error is None or result.path.name == sidecar


def test_tireg_json_beside_a_file(tmp_path):
    embedding = Embedding({"clip_h": vectors(1, 32)})
    block = Provenance(embedding=embedding.digest, version="sha256:" + "1" * 64, reference="g@2", part="clip_h")
    lay(
        tmp_path,
        **{"learned_embeds.bin": torch_zip({"<g>": Tensor(vectors(1, 32)[0])}), "token_identifier.txt": b"<g>",
           "tireg.json": block.to_json().encode()},
    )  # fmt: skip
    (found,) = read_path(tmp_path / "learned_embeds.bin")
    assert found.embedding == embedding
    assert found.provenance == block
    lay(tmp_path, **{"learned_embeds.bin": torch_zip({"<g>": Tensor(vectors(1, 32)[0] + 1)})})
    (changed,) = read_path(tmp_path / "learned_embeds.bin")
    assert changed.provenance is None
