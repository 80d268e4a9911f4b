"""`tireg export`: files where the user wants them, nothing overwritten, errors that name the next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import tireg
from tests.core.embeddings.samples import Tensor, safetensors, torch_zip, vectors


@pytest.fixture
def gnome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A registry with `gnome`; gives an empty folder to export to."""
    path = tmp_path / "gnome.bin"
    path.write_bytes(torch_zip({"<gnome>": Tensor(vectors(2))}))
    assert tireg(capsys, "import", path)[0] == 0
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_to_a_file_to_a_folder_and_back(gnome, capsys):
    code, out, err = tireg(capsys, "export", "gnome", gnome)
    assert (code, out, err) == (0, f"{gnome / 'gnome.safetensors'}\n", "")
    code, out, _ = tireg(capsys, "export", "<gnome>", gnome / "my.pt", "--json")
    document = json.loads(out)
    assert (code, document["format"], document["files"]) == (0, "a1111", [str(gnome / "my.pt")])
    code, out, _ = tireg(capsys, "import", gnome)
    assert code == 0
    assert [line.split("\t")[:2] for line in out.splitlines()] == [["already there", "gnome@1"]] * 2


@pytest.mark.parametrize(
    ("format_id", "name"),
    [
        ("diffusers", "gnome.safetensors"),
        ("diffusers-bin", "gnome.bin"),
        ("sd-concepts", "gnome"),
        ("a1111", "gnome.pt"),
        ("a1111-png", "gnome.png"),
        ("emb-params", "gnome.safetensors"),
        ("invokeai", "gnome.safetensors"),
        ("comfyui", "gnome.safetensors"),
        ("original", "gnome.bin"),
    ],
)
def test_every_format_that_holds_the_word(gnome, capsys, format_id, name):
    code, out, _ = tireg(capsys, "export", "gnome@1", gnome, "--format", format_id)
    assert (code, out) == (0, f"{gnome / name}\n")
    assert (gnome / name).exists()


def test_a_folder_with_a_final_slash_is_made(gnome, capsys):
    code, out, _ = tireg(capsys, "export", "gnome", f"{gnome}/new/deep/")
    assert (code, out) == (0, f"{gnome}/new/deep/gnome.safetensors\n")
    assert tireg(capsys, "export", "gnome", "")[0] == 2


def test_a_format_that_is_a_folder_is_put_into_folders_like_a_file(gnome, capsys):
    into = ("export", "gnome", f"{gnome}/new/", "--format", "sd-concepts")
    code, out, _ = tireg(capsys, *into)
    assert (code, out) == (0, f"{gnome}/new/gnome\n")
    assert (gnome / "new" / "gnome" / "token_identifier.txt").is_file()
    code, out, err = tireg(capsys, *into)
    assert (code, out) == (4, "")
    assert f"{gnome}/new/gnome exists" in err
    assert tireg(capsys, *into, "--force")[:2] == (0, f"{gnome}/new/gnome\n")
    assert [path.name for path in (gnome / "new").iterdir()] == ["gnome"]
    code, out, _ = tireg(capsys, "export", "gnome", gnome / "itself", "--format", "sd-concepts")
    assert (code, out) == (0, f"{gnome / 'itself'}\n")


def test_originals_are_all_given_back_into_a_folder(gnome, tmp_path, capsys):
    pair = ("learned_embeds.safetensors", "learned_embeds_2.safetensors")
    for name, width in zip(pair, (768, 1280), strict=True):
        (tmp_path / name).write_bytes(safetensors({"<xl>": vectors(1, width)}))
    assert tireg(capsys, "import", tmp_path / pair[0], "--name", "xl")[0] == 0
    code, out, _ = tireg(capsys, "export", "xl", f"{gnome}/originals/", "--format", "original", "--json")
    assert (code, json.loads(out)["files"]) == (0, [str(gnome / "originals" / name) for name in pair])
    for name in pair:
        assert (gnome / "originals" / name).read_bytes() == (tmp_path / name).read_bytes()
    code, out, err = tireg(capsys, "export", "xl", gnome / "one.safetensors", "--format", "original")
    assert (code, out) == (0, f"{gnome / 'one.safetensors'}\n")
    assert "learned_embeds_2.safetensors" in err
    assert "give a folder as PATH" in err


def test_a_pair_names_both_files(gnome, tmp_path, capsys):
    path = tmp_path / "xl.safetensors"
    path.write_bytes(safetensors({"clip_l": vectors(1), "clip_g": vectors(1, 1280)}))
    assert tireg(capsys, "import", path)[0] == 0
    code, out, _ = tireg(capsys, "export", "xl", gnome)
    assert (code, out.splitlines()) == (0, [str(gnome / "xl.safetensors"), str(gnome / "xl_2.safetensors")])


def test_errors_name_the_next_step(gnome, capsys):
    assert tireg(capsys, "export", "gnome", gnome)[0] == 0
    code, out, err = tireg(capsys, "export", "gnome", gnome)
    assert (code, out) == (4, "")
    assert "--force" in err
    assert tireg(capsys, "export", "gnome", gnome, "--force")[0] == 0
    code, _, err = tireg(capsys, "export", "gnome", gnome, "--format", "sdxl")
    assert code == 2
    assert "use --format diffusers" in err
    assert "sdxl holds clip_l and clip_g, gnome has clip_l" in err
    code, _, err = tireg(capsys, "export", "gnome", gnome / "x.webp")
    assert (code, err.count("\n")) == (2, 1)
    assert "x.webp: no format for a word has files that end in .webp · one of .safetensors, .pt, .png, .bin" in err
    code, _, err = tireg(capsys, "export", "gnome", gnome / "x.pt", "--format", "diffusers")
    assert code == 2
    assert ".safetensors" in err
    assert tireg(capsys, "export", "gnome", gnome, "--format", "nothing")[0] == 2
    assert tireg(capsys, "export", "nobody", gnome)[0] == 3
    assert tireg(capsys, "export", "gnome", gnome / "no" / "x.safetensors")[0] == 3


def test_an_export_that_fails_leaves_no_folder(gnome, capsys):
    (gnome / "kept").mkdir()
    for place, format_id in (("new/deep/", "sdxl"), ("kept/new/", "flux"), ("words/imp/", "sd3")):
        code, out, _ = tireg(capsys, "export", "gnome", f"{gnome}/{place}", "--format", format_id)
        assert (code, out) == (2, "")
    assert [path.name for path in gnome.iterdir()] == ["kept"]
    assert not any((gnome / "kept").iterdir())
