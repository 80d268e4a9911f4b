"""`tireg import` as a user meets it: what is on stdout, on stderr, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import tireg
from tests.core.embeddings.samples import Tensor, a1111, safetensors, torch_zip, vectors
from tireg_cli.output import emit_json
from tiregistry.errors import DiskFull
from tiregistry.registry.registry import Registry


def last(text: str) -> str:
    """The last line: a slow machine may show progress before it."""
    return text.splitlines()[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "embeddings"
    (path / "deep").mkdir(parents=True)
    (path / "gnome.pt").write_bytes(torch_zip(a1111(vectors(1), "gnome", 300)))
    (path / "deep" / "cat.bin").write_bytes(torch_zip({"<cat-toy>": Tensor(vectors(2, seed=1))}))
    (path / "notes.txt").write_text("hello")
    return path


def test_one_file_in_full(folder, capsys):
    code, out, err = tireg(capsys, "import", folder / "gnome.pt")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "gnome@1"
    facts = dict(line.split(maxsplit=1) for line in lines[1:])
    assert facts["status"] == "imported"
    assert facts["token"] == "<gnome>"
    assert facts["format"] == "a1111"
    assert facts["vectors"] == "clip_l 1x768"
    assert facts["dtype"] == "F32"
    assert facts["family"].startswith("sd1 (checkpoint hash 81761151")
    assert facts["norm"].startswith("clip_l 0.8")
    assert facts["step"] == "300"
    assert facts["program"] == "A1111 web UI on v1-5-pruned-emaonly"
    assert facts["digest"].startswith("sha256:")
    assert err == ""


def test_a_folder_ends_with_a_table_and_a_second_time_changes_nothing(folder, capsys):
    code, out, err = tireg(capsys, "import", folder)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert sorted(rows) == [
        ["imported", "cat-toy@1", "<cat-toy>", "diffusers", "clip_l 2x768", "sd1/flux/sdxl", "deep/cat.bin", ""],
        ["imported", "gnome@1", "<gnome>", "a1111", "clip_l 1x768", "sd1", "gnome.pt", ""],
    ]
    assert last(err) == "2 imported, 0 already there, 0 refused"
    code, out, err = tireg(capsys, "import", folder)
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["already there"] * 2
    assert last(err) == "0 imported, 2 already there, 0 refused"


def test_refused_files_in_a_folder_do_not_stop_it_but_show_in_the_exit_code(folder, capsys):
    (folder / "aa-virus.pt").write_bytes(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.")
    code, out, err = tireg(capsys, "import", folder)
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == ["imported", "imported", "refused"]
    assert "os.system" in out.splitlines()[-1]
    assert last(err) == "2 imported, 0 already there, 1 refused"


@pytest.mark.parametrize("columns", [20, 80])
def test_on_a_terminal_reasons_are_whole_sentences(folder, capsys, monkeypatch, columns):
    (folder / "deep" / "virus.pt").write_bytes(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    code, out, _ = tireg(capsys, "import", folder)
    assert code == 2
    table, _, below = out.partition("\n\n")
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["imported"] * 2
    assert all(len(line) <= columns for line in lines)
    reason = " ".join(below.split())
    assert reason.startswith("refused deep/virus.pt the file asks for os.system, which could run code; it was not run")
    assert all(len(line) <= columns for line in below.splitlines()[1:])


def test_what_was_passed_over_is_said(folder, capsys):
    for name in ("a.md", "b.md", "c.md", ".DS_Store"):
        (folder / name).write_text("x")
    code, _, err = tireg(capsys, "import", folder)
    assert code == 0
    assert "passed over: 1 hidden file (.DS_Store); 4 texts (a.md, b.md, c.md, …)\n" in err
    document = json.loads(tireg(capsys, "import", folder, "--json")[1])
    assert {Path(entry["path"]).name: entry["reason"] for entry in document["passed_over"]} == {
        ".DS_Store": "hidden file", "a.md": "text", "b.md": "text", "c.md": "text", "notes.txt": "text",
    }  # fmt: skip
    assert [result["status"] for result in document["results"]] == ["already there"] * 2


def test_show_tells_what_the_file_was_found_to_be(folder, tmp_path, capsys):
    path = tmp_path / "two.safetensors"
    path.write_bytes(safetensors({"<two>": vectors(2, 1024)}))
    for source, name in ((folder / "gnome.pt", "gnome"), (path, "two")):
        said = {line.split("  ")[0]: line for line in tireg(capsys, "import", source)[1].splitlines()}
        shown = {line.split("  ")[0]: line for line in tireg(capsys, "show", name)[1].splitlines()}
        assert f"{source.name} ({'a1111' if name == 'gnome' else 'diffusers'})" in shown["imported from"]
        for fact in ("dtype", "family", "norm", *(("step", "program") if name == "gnome" else ())):
            assert shown[fact].split(maxsplit=1)[1] == said[fact].split(maxsplit=1)[1]
    assert shown["norm"].endswith("(no base model with this vocabulary here to compare with)")
    record = json.loads(tireg(capsys, "show", "two", "--json")[1])["version"]["record"]["import"]
    assert len(record["inspection"]["clip_h"]["norms"]) == 2


def test_one_refused_file_is_one_line(tmp_path, capsys):
    bad = tmp_path / "model.safetensors"
    bad.write_bytes(safetensors({"model.a.weight": vectors(), "model.a.bias": vectors(1)[0]}))
    code, out, err = tireg(capsys, "import", bad)
    assert (code, out) == (2, "")
    assert err == "tireg: model.safetensors: this is a model's weights, not a learned word · give an embedding file\n"
    evil = tmp_path / "evil.pt"
    evil.write_bytes(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.")
    assert tireg(capsys, "import", evil)[2].startswith("tireg: evil.pt asks for posix.system, which could run code")
    cut = tmp_path / "cut.pt"
    cut.write_bytes(torch_zip(a1111(vectors(1), "gnome", 300))[:-40])
    assert tireg(capsys, "import", cut)[2].startswith("tireg: cut.pt")
    code, out, err = tireg(capsys, "import", tmp_path / "nothing.pt")
    assert (code, out) == (3, "")
    assert "does not exist" in err


def test_of_several_paths_a_refused_one_ends_it_unless_told_to_keep_going(folder, tmp_path, capsys):
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"nothing of the kind")
    code, out, err = tireg(capsys, "import", bad, folder)
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == ["refused"]
    assert "--keep-going" in err
    code, out, _ = tireg(capsys, "import", bad, folder, "--keep-going")
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == ["imported", "imported", "refused"]


def test_json_says_everything(folder, capsys):
    (folder / "bad.pt").write_bytes(b"PK\x03\x04 cut off")
    code, out, _ = tireg(capsys, "import", folder, "--json")
    document = json.loads(out)
    assert code == 2
    assert (document["imported"], document["already_there"], document["refused"]) == (2, 0, 1)
    by_name = {Path(result["path"]).name: result for result in document["results"]}
    assert "cut off" in by_name["bad.pt"]["reason"]
    gnome = by_name["gnome.pt"]
    assert gnome["reference"] == "gnome@1"
    assert gnome["found"]["encoders"] == {"clip_l": {"num_vectors": 1, "dim": 768, "dtype": "F32"}}
    assert len(gnome["inspection"]["clip_l"]["norms"]) == 1
    assert gnome["found"]["families"][0] == {
        "family": "sd1",
        "evidence": "checkpoint hash 81761151 is Stable Diffusion 1.5 (emaonly)",
    }


def test_names_types_and_dry_runs(folder, capsys):
    code, out, _ = tireg(capsys, "import", folder / "gnome.pt", "--name", "dwarf", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, "dwarf (dry run)")
    code, out, _ = tireg(
        capsys, "import", folder / "gnome.pt", "--name", "dwarf", "--token", "<d>", "--type", "style", "--json"
    )
    (result,) = json.loads(out)["results"]
    assert (code, result["reference"], result["token"]) == (0, "dwarf@1", "<d>")
    assert tireg(capsys, "import", folder, folder, "--name", "x")[0] == 2
    assert tireg(capsys, "import", folder, "--name", "x")[0] == 2
    assert tireg(capsys, "import")[0] == 2


def test_hostile_text_does_not_reach_the_terminal(tmp_path, capsys):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors({"\x1b]0;owned\x07": vectors()}, {"modelspec.title": "\x1b[2J", "step": "\x1b"}))
    for arguments in (("import", path), ("import", tmp_path), ("import", path, "--json")):
        _, out, err = tireg(capsys, *arguments)
        assert "\x1b" not in out + err
        assert "\x07" not in out + err


def test_an_empty_folder_is_said(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    code, out, err = tireg(capsys, "import", tmp_path / "empty")
    assert (code, out, err) == (0, "", "no embeddings found\n")


def test_import_loads_no_torch(folder, tmp_path):
    script = (
        "import sys; from tireg_cli.main import run\n"
        f"code = run(['import', {str(folder)!r}])\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'textual'} & set(sys.modules)\n"
        "sys.exit(code or sorted(heavy) or 0)\n"
    )
    environment = dict(os.environ, TIREG_HOME=str(tmp_path / "h"), PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_empty_path_is_not_the_current_folder(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    for arguments in (("import", ""), ("import", "gnome.pt", ""), ("train", "x", "", "--init", "cat")):
        code, out, err = tireg(capsys, *arguments)
        assert (code, out) == (2, "")
        assert 'the path is empty; "." is the current folder' in err
    assert tireg(capsys, "list")[1] == ""


def test_a_registry_among_the_folders_is_passed_over(folder, capsys, monkeypatch):
    monkeypatch.setenv("TIREG_HOME", str(folder / "home"))
    tireg(capsys, "import", folder / "gnome.pt")
    assert (folder / "home" / "registry.db").is_file()
    code, out, err = tireg(capsys, "import", folder, "--json")
    assert code == 0
    assert {Path(entry["path"]).name: entry["reason"] for entry in json.loads(out)["passed_over"]} == {
        "home": "registry", "notes.txt": "text",
    }  # fmt: skip
    code, out, err = tireg(capsys, "import", folder)
    assert (code, len(out.splitlines())) == (0, 2)
    assert "passed over: 1 registry (home); 1 text (notes.txt)\n" in err
    assert "tireg restore --from" in err


def test_what_is_no_word_is_not_offered_as_one(tmp_path, capsys):
    plus = tmp_path / "plus.bin"
    plus.write_bytes(torch_zip({f"<plus>-{n}": Tensor(vectors(1, 768, n)[0]) for n in range(16)}))
    assert tireg(capsys, "import", plus)[0] == 0
    shown = tireg(capsys, "show", "plus")[1]
    assert "tireg gen" not in shown
    assert "no prompt can: it has one vector per attention layer (P+/XTI)" in shown
    for prompt in ("a photo of <plus>", "a photo of <plus@1>"):
        code, _, err = tireg(capsys, "gen", prompt)
        assert (code, len(err.splitlines())) == (4, 1)
        assert err.startswith("tireg: plus@1 is kept, but no prompt can use it: it has one vector per attention layer")
        assert "tireg export plus@1 FILE --format original" in err


def test_the_parts_of_a_registry_are_no_embeddings_to_import(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TIREG_HOME", str(tmp_path / "home"))
    assert tireg(capsys, "import", folder / "gnome.pt")[0] == 0
    blobs = tmp_path / "home" / "blobs"
    blob = next(path for path in blobs.rglob("*") if path.is_file())
    for place in (blobs, blob.parent):
        code, out, err = tireg(capsys, "import", place)
        assert (code, out) == (0, "")
        assert f"passed over: 1 registry ({place.name})" in err
        assert "no embeddings found" in err
    code, out, err = tireg(capsys, "import", blob)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert f"is a part of the registry {tmp_path / 'home'}, which alone knows its words · tireg backup" in err
    monkeypatch.setenv("TIREG_HOME", str(tmp_path / "other"))
    assert tireg(capsys, "import", blobs)[:2] == (0, "")


def test_words_that_lack_what_a_base_model_needs_are_refused_by_name(tmp_path, capsys):
    for name, tensors in (("half", {"clip_g": vectors(1, 1280)}), ("wide", {"clip_l": vectors(1)})):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(safetensors(tensors))
        assert tireg(capsys, "import", path)[0] == 0
    code, _, err = tireg(capsys, "gen", "a <half>", "--base", "embedded")
    assert (code, len(err.splitlines())) == (4, 1)
    assert "half@1 has vectors for clip_g and none for clip_l, which embedded needs" in err


@pytest.mark.slow
def test_words_of_another_width_are_refused_by_name(tmp_path, capsys):
    path = tmp_path / "wide.safetensors"
    path.write_bytes(safetensors({"<wide>": vectors(1)}))
    assert tireg(capsys, "import", path)[0] == 0
    code, _, err = tireg(capsys, "gen", "a <wide>", "--base", "embedded")
    assert code == 4
    assert "<wide> has vectors of width 768 for clip_l, this base model needs vectors of width " in last(err)
    assert "it belongs to another base model" in last(err)


@pytest.mark.filterwarnings("error")
def test_huge_values_are_numbers_in_json_and_no_warnings(tmp_path, capsys):
    huge = vectors(1)
    huge[0, :2] = 1e30, 3e38
    path = tmp_path / "big.pt"
    path.write_bytes(torch_zip(a1111(huge, "big")))
    small = tmp_path / "small.pt"
    small.write_bytes(torch_zip(a1111(vectors(1, seed=1), "small")))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    for arguments in (
        ["import", path, "--json"],
        ["show", "big", "--json"],
        ["import", small, "--json"],
        ["diff", "big", "small", "--json"],
        ["space", "big", "--json"],
    ):
        code, out, err = tireg(capsys, *arguments)
        assert code == 0, err
        json.loads(out, parse_constant=refuse)
    code, out, _ = tireg(capsys, "show", "big", "--json")
    assert json.loads(out)["version"]["record"]["import"]["inspection"]["clip_l"]["norms"][0] > 1e38


def test_what_json_has_no_word_for_is_null(capsys):
    emit_json({"a": [float("inf"), 1.5, (float("nan"),)], "b": "Infinity"})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5, [None]], "b": "Infinity"}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt, 130, "the import was interrupted at"),
        (partial(DiskFull, "no space left in home"), 1, "no space left in home; the import stopped at"),
    ],
)
def test_an_import_that_is_cut_short_says_what_it_did(tmp_path, capsys, monkeypatch, error, code, told, as_json):
    for seed in range(3):
        (tmp_path / f"w{seed}.pt").write_bytes(torch_zip(a1111(vectors(1, seed=seed), f"w{seed}")))
    real = Registry.add_version

    def cut_short(registry: Registry, new: Any, embedding: Any) -> Any:
        if new.concept == "w1":
            raise error()
        return real(registry, new, embedding)

    monkeypatch.setattr(Registry, "add_version", cut_short)
    actual, out, err = tireg(capsys, "import", tmp_path, *["--json"] * as_json)
    assert actual == code
    assert f"{told} {tmp_path / 'w1.pt'}" in err
    if as_json:
        document = json.loads(out)
        assert (document["imported"], "w1.pt" in document["stopped"]) == (1, True)
        assert [result["reference"] for result in document["results"]] == ["w0@1"]
    else:
        assert "w0@1" in out


def test_paths_in_json_are_those_of_the_files(tmp_path, capsys):
    (tmp_path / "words").mkdir()
    folder = os.fsencode(tmp_path / "words")
    good, bad, other = folder + b"/a\nb\xff.pt", folder + b"/c\x1b\xfe.bin", folder + b"/d\n\xfd.txt"
    contents = {good: torch_zip(a1111(vectors(1), "gnome", 1)), bad: b"\x80\x02cos\nsystem\n.", other: b"hello"}
    for path, content in contents.items():
        try:
            Path(os.fsdecode(path)).write_bytes(content)
        except OSError:
            pytest.skip("the file system allows no such names")
    code, out, _ = tireg(capsys, "import", tmp_path / "words", "--json")
    assert code == 2
    assert out.isascii()
    said = json.loads(out)
    assert sorted(os.fsencode(result["path"]) for result in said["results"]) == [good, bad]
    assert [os.fsencode(result["path"]) for result in said["passed_over"]] == [other]
    code, out, err = tireg(capsys, "import", tmp_path / "words")
    assert "\x1b" not in out + err
