"""The commands that look at, curate and keep the registry: data on stdout, talk on stderr, documented exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Tireg
from tests.core.registry.making import SD15, add_version
from tests.core.test_fingerprints import write_model
from tireg_cli.bar import CountingBar
from tiregistry.concepts import Measurement, Parent
from tiregistry.registry.registry import Registry

# -- look ------------------------------------------------------------------------------------------------------------


def test_an_empty_registry_gets_a_hint_and_no_data(tireg: Tireg) -> None:
    result = tireg("list")
    assert result.out == ""
    assert "tireg train" in result.err
    assert tireg("list", "--json").json == []
    assert "nothing matches" in tireg("list", "gnome").err
    assert "bse: is no filter · did you mean base:sd1?" in tireg("list", "bse:sd1").err
    assert "there are tag:, base:" in tireg("list", "colour:red").err
    assert "the trash is empty" in tireg("list", "--trash").err


def test_a_card_as_json_is_one_document(tireg: Tireg, words: Registry) -> None:
    data = tireg("show", "gnome@2", "--card", "--json").json
    assert data == {"reference": "gnome@2", "card": tireg("show", "gnome@2", "--card").out.removesuffix("\n")}


def test_list_in_a_pipe_is_made_for_cut_and_awk(tireg: Tireg, words: Registry) -> None:
    words.tag("gnome", add=["garden"])
    rows = [line.split("\t") for line in tireg("list").lines]
    assert [row[:6] for row in rows] == [
        ["gnome", "<gnome>", "object", "3", "sd15", "trained"],
        ["inky", "<inky>", "style", "1", "sd15", "trained"],
    ]
    assert rows[0][7] == "garden"
    assert [c["name"] for c in tireg("list", "type:style", "--json").json] == ["inky"]
    assert [line.split("\t")[0] for line in tireg("list", "--sort", "versions", "--reverse").lines] == ["inky", "gnome"]
    paged = tireg("list", "--limit", "1", "--offset", "1")
    assert [line.split("\t")[0] for line in paged.lines] == ["inky"]
    assert "--offset 1" in tireg("list", "--limit", "1").err
    assert tireg("list", "since:nonsense", code=2).out == ""


def test_show_tells_how_to_use_a_word_and_how_it_was_learned(tireg: Tireg, words: Registry) -> None:
    words.set_alias("gnome@1", "best")
    words.set_scores(words.version("gnome@1"), {"clip_i": 0.7123})
    shown = tireg("show", "gnome@best").out
    for part in ('tireg gen "a photo of <gnome>"', "gnome@1 (best)", "seed 1 · lr 0.005", "2 → 0.5", "clip_i 0.7123",
                 "picture-100.png 64x48 “a photo of <gnome>”", "sd15 (sd1, table sha256:1111", "1-3", "█"):  # fmt: skip
        assert part in shown, part
    assert "continued gnome@1" in tireg("show", "gnome@2").out
    data = tireg("show", "gnome@best", "--json").json
    assert data["version"]["record"]["loss"] == [2.0, 1.0, 0.5]
    assert data["version"]["manifest"]["format"] == "tireg-manifest/1"
    assert data["concept"]["aliases"] == {"best": 1}
    words.create_concept("empty", "<empty>", "object")
    assert "0 versions" in tireg("show", "empty").out


def test_measured_values_are_shown_sorted_by_and_compared(tireg: Tireg, words: Registry) -> None:
    def measure(reference: str, value: float) -> None:
        score = Measurement("score", value, value - 0.03, value + 0.03, "quick", "embedded", {"pictures": 8})
        words.add_measurements(words.version(reference), [score])

    measure("gnome@1", 0.71)
    measure("gnome@3", 0.81)
    measure("inky", 0.9)
    assert "score (quick, embedded) 0.71 [0.68, 0.74]" in tireg("show", "gnome@1").out
    (told,) = tireg("show", "gnome@1", "--json").json["version"]["measurements"]
    assert (told["value"], told["details"]) == (0.71, {"pictures": 8})
    rows = [line.split("\t") for line in tireg("list", "--sort", "score").lines]
    assert [(row[0], row[-1]) for row in rows] == [("inky", "0.9"), ("gnome", "0.81")]
    assert [c["score"] for c in tireg("list", "--sort", "score", "--reverse", "--json").json] == [0.81, 0.9]
    shown = tireg("diff", "gnome@1", "gnome@3").out
    assert "score (quick, embedded) · clearly apart\t0.71 [0.68, 0.74]\t0.81 [0.78, 0.84]" in shown
    (score,) = tireg("diff", "gnome@2", "gnome@3", "--json").json["scores"]
    assert (score["a"], score["b"]["value"], score["clearly_apart"]) == (None, 0.81, None)


def test_what_does_not_exist_ends_with_3_and_one_line(tireg: Tireg, words: Registry) -> None:
    for line in (
        "show gnom", "show gnome@9", "diff gnome nope", "history nope", "tag nope x", "alias gnome@9 best",
        "rename nope x", "note nope", "remove nope", "restore gnome", "base show nope", "base remove nope",
        "restore --from none.zip", "list --fits nope",
    ):  # fmt: skip
        result = tireg(*line.split(), code=3)
        assert result.out == ""
        assert len(result.err.splitlines()) == 1, result.err
        assert " · " in result.err, result.err  # the next step


def test_wrong_usage_ends_with_2(tireg: Tireg, words: Registry) -> None:
    for line in (
        "show a/b", "rename gnome a:b", "alias gnome latest", "alias gnome --undo", "remove", "shwo",
        "remove gnome --empty-trash", "remove gnome --purge", "restore", "gc --grace soon", "verify --from x",
        "list --sort colour", "note gnome@1 x --licence",
    ):  # fmt: skip
        result = tireg(*line.split(), code=2)
        assert (result.out, len(result.err.splitlines())) == ("", 1), result.err
    assert words.concept("gnome").num_versions == 3


def test_a_word_with_and_one_without_training_differ_in_one_line_of_it(tireg: Tireg, words: Registry) -> None:
    add_version(
        words, "found", 9, training=None, origin="imported", parents=(Parent("sha256:" + "a" * 64, "imported"),)
    )
    rows = [line.split("\t") for line in tireg("diff", "gnome", "found").lines if "\t" in line]
    assert [row for row in rows if row[0].startswith("training")] == [["training", "seed 3 · lr 0.005", "–"]]
    assert ["parents", "–", "imported sha256:" + "a" * 12] in rows  # it is not here: there is no better name
    assert "training.seed" in [change["what"] for change in tireg("diff", "gnome", "found", "--json").json["changes"]]


def test_diff_and_history(tireg: Tireg, words: Registry) -> None:
    assert "training.seed\t1\t2" in tireg("diff", "gnome@1", "gnome@2").out
    data = tireg("diff", "gnome@1", "gnome@2", "--json").json
    assert data["tensors"][0]["distance"] > 0
    assert data["images"]["common"] == 0
    assert "same version" in tireg("diff", "gnome", "gnome@3").err
    drawn = tireg("history", "gnome").lines
    assert [re.sub(r"\d{4}-.*", "", line).rstrip() for line in drawn] == [
        "gnome  <gnome>",
        "├─ @1 trained",
        "│  └─ @2 trained",
        "└─ @3 [latest] trained",
    ]
    tree = tireg("history", "gnome", "--json").json["versions"]
    assert [node["number"] for node in tree] == [1, 3]
    assert tree[0]["children"][0]["parents"][0]["reference"] == "gnome@1"


# -- curate ----------------------------------------------------------------------------------------------------------


def test_curating_by_command(tireg: Tireg, words: Registry) -> None:
    assert tireg("tag", "gnome", "garden", "pottery").lines == ["garden", "pottery"]
    assert tireg("tag", "gnome", "-r", "garden", "--json").json == {"concept": "gnome", "tags": ["pottery"]}
    tireg("alias", "gnome@1", "best")
    tireg("alias", "gnome@2", "best")
    assert tireg("alias", "gnome").lines == ["best\tgnome@2"]
    assert "gnome@1 again" in tireg("alias", "gnome", "best", "--undo").err
    log = tireg("alias", "gnome", "--log", "--json").json["log"]
    assert [entry["new_number"] for entry in log] == [1, 2, 1]
    tireg("alias", "gnome", "best", "--remove")
    assert tireg("alias", "gnome", "--json").json["aliases"] == {}
    tireg("note", "gnome", "first line")
    tireg("note", "gnome", "second line", "--append")
    assert tireg("note", "gnome").out == "first line\nsecond line\n"
    tireg("note", "gnome@1", "only this version")
    assert tireg("note", "gnome@1").lines == ["only this version"]
    tireg("note", "gnome", "CC0-1.0", "--licence")
    assert tireg("note", "gnome", "--json").json["licence"] == "CC0-1.0"
    tireg("note", "gnome", "--clear")
    assert tireg("note", "gnome").out == ""
    assert tireg("rename", "gnome", "dwarf").lines == ["dwarf"]
    assert tireg("show", "gnome@1").lines[0].split() == ["concept", "dwarf", "(object)"]
    tireg("rename", "dwarf", "inky", code=4)


def test_trash_by_command(tireg: Tireg, words: Registry) -> None:
    assert tireg("remove", "gnome@3", "inky").lines == ["gnome@3", "inky"]
    assert {line.split("\t")[0] for line in tireg("list", "--trash").lines} == {"gnome@3", "inky"}
    assert "tireg restore inky" in tireg("show", "inky", code=3).err
    assert tireg("restore", "gnome@3", "inky").lines == ["gnome@3", "inky"]
    tireg("remove", "inky")
    words.create_concept("inky", "<new>", "style")
    tireg("restore", "inky", code=4)
    assert tireg("restore", "inky", "--as", "old-inky").lines == ["old-inky"]
    assert tireg("remove", "old-inky", "--purge", "--yes", "--json").json == {"removed": ["old-inky"], "purged": True}
    tireg("remove", "gnome@1")
    assert tireg("remove", "--empty-trash", "--older-than", "30d", "--yes").out == ""
    assert tireg("remove", "--empty-trash", "--yes").lines == ["gnome@1"]
    assert tireg("remove", "--empty-trash", "--yes").err == "the trash is empty\n"
    assert "the trash is empty" in tireg("list", "--trash").err


def test_several_things_are_removed_and_restored_together_or_not_at_all(tireg: Tireg, words: Registry) -> None:
    failed = tireg("remove", "gnome@3", "nothing", code=3)
    assert (failed.out, failed.err.count("\n")) == ("", 1)
    assert "'nothing'; nothing was removed" in failed.err
    assert tireg("list", "--trash").out == ""
    tireg("remove", "gnome@3", "inky", "inky")
    assert "nothing was restored" in tireg("restore", "inky", "gnome@2", code=3).err
    assert "nothing was removed" in tireg("remove", "inky", "nothing", "--purge", "--yes", code=3).err
    assert [line.split("\t")[0] for line in tireg("list", "--trash", "type:style").lines] == ["inky"]
    assert tireg("list", "--trash", "absent").out == ""
    assert len(tireg("list", "--trash", "--limit", "1").lines) == 1


def test_a_taken_token_has_a_way_out(tireg: Tireg, words: Registry) -> None:
    tireg("remove", "inky")
    words.create_concept("thief", "<inky>", "style")
    refused = tireg("restore", "inky", code=4).err
    assert "tireg restore inky --token '<OTHER>'" in refused
    restored = tireg("restore", "inky", "--token", "<ink>")
    assert (restored.lines, "<ink>" in restored.err) == (["inky"], True)
    shown = tireg("show", "inky").out
    assert 'in the style of <ink>"' in shown
    assert re.search(r"learned as +<inky>", shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alias", "gnome", ""), "cannot be an alias: it is empty"),
        (("alias", "gnome@3", "best", "--undo"), "tireg alias gnome best --undo"),
        (("alias", "gnome@3"), "tireg alias gnome"),
        (("alias", "gnome", "best", "--undo", "--remove"), "do not go together"),
        (("note", "gnome", "text", "--clear"), "--clear"),
        (("note", "gnome", "--append"), "which?"),
        (("tag", "gnome", "a", "-r", "A"), "add 'a' or remove it?"),
        (("list", "--trash", "--fits", "embedded"), "--trash"),
        (("list", "type:foo"), "type:object, type:style"),
        (("remove", "--empty-trash", "--purge"), "--purge"),
        (("restore", "gnome@3", "--as", "other"), "comes back into its own word"),
        (("base", "add", "FOLDER", "--revision", "main"), "only a Hub id has revisions"),
    ],
)
def test_arguments_that_would_be_ignored_are_refused(
    tireg: Tireg, words: Registry, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    folder = str(write_model(tmp_path / "tiny")) if "FOLDER" in arguments else ""
    failed = tireg(*(folder if part == "FOLDER" else part for part in arguments), code=2)
    assert (failed.out, failed.err.count("\n")) == ("", 1)
    assert said in failed.err


def test_small_things_are_said(tireg: Tireg, words: Registry, tmp_path: Path) -> None:
    assert "gnome had no tag absent" in tireg("tag", "gnome", "-r", "absent").err
    assert tireg("alias", "gnome@1", "best", "--json").err == ""
    missing = tireg("backup", str(tmp_path / "none" / "b.zip"), code=3).err
    assert f"the folder {tmp_path / 'none'} does not exist" in missing
    assert "what needs them then fails" in tireg("gc", "--apply", "--grace", "0s").err
    assert "warning" not in tireg("gc", "--apply").err
    stray = words.blobs.path(words.blobs.add(b"stray"))
    os.utime(stray, (0, 0))
    assert "1 file in blobs/ belongs to no word" in tireg("verify").err
    assert "1 of them was never known to this database" in tireg("gc", "--grace", "1h").err
    folder = tireg("restore", "--from", str(tmp_path), code=2).err
    assert f"tireg verify --repair --from {tmp_path}" in folder


def test_a_list_that_is_empty_beside_files_of_words_says_so(tireg: Tireg, words: Registry) -> None:
    for file in (words.home / "blobs").glob("??/*"):
        os.utime(file, (0, 0))
    words.database.path.unlink()
    Registry.open(anew=True).close()
    assert "tireg verify" in tireg("list").err
    assert "the database they belong to" in tireg("verify", code=6).out


def test_base_models_by_command(tireg: Tireg, words: Registry, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    assert "default is embedded" in tireg("base", "list").err
    assert tireg("base", "add", str(folder), "--name", "mine", "--default").lines == ["mine"]
    assert tireg("base", "default").lines == ["mine"]
    add_version(words, "fitting", 9, fingerprint=words.base("mine").fingerprint)
    assert tireg("base", "list").lines[0].split("\t")[:3] == ["mine", "sd1", "64"]
    data = tireg("base", "show", "mine", "--json").json
    assert (data["words"], data["default"]) == ({"fitting": "exact", "gnome": "other", "inky": "other"}, True)
    assert tireg("list", "--fits", "mine").lines[0].split("\t")[-1] == "exact"
    assert [c["fit"] for c in tireg("list", "--fits", str(folder), "--json").json] == ["exact"]
    add_version(words, "fitting", 10)  # a later version of another base model is the one that a prompt uses
    assert tireg("list", "--fits", "mine").lines[0].split("\t")[-1] == "exact (fitting@1)"
    assert [c["fitting_version"] for c in tireg("list", "--fits", "mine", "--json").json] == ["fitting@1"]
    (tmp_path / "file.txt").write_text("hello")
    tireg("base", "add", str(tmp_path), code=2)
    tireg("base", "add", str(tmp_path / "file.txt"), code=2)
    other = write_model(tmp_path / "other", change="unet")
    tireg("base", "add", str(other), "--name", "mine", code=4)
    assert tireg("base", "remove", "mine").lines == ["mine"]
    assert SD15.family == "sd1"


# -- the contract ----------------------------------------------------------------------------------------------------


def test_a_terminal_gets_a_header_and_is_asked_before_a_purge(words: Registry) -> None:
    """Through a real pseudo-terminal."""

    def talk(*arguments: str, answer: bytes = b"", columns: int = 60) -> tuple[str, int]:
        shown = b""
        child, terminal = pty.fork()
        if child == 0:
            os.environ |= {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
            os.execv(sys.executable, [sys.executable, "-m", "tireg_cli", *arguments])
        if answer:
            os.write(terminal, answer)
        while True:
            try:
                piece = os.read(terminal, 10_000)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2] / "cli"), str(Path(__file__).parents[2])])
    shown, code = talk("list")
    assert code == 0
    assert shown.splitlines()[0].startswith("NAME ")
    assert all(len(line) <= 60 for line in shown.splitlines())
    shown, code = talk("list", columns=20)  # too narrow for all columns, and what is there is whole
    assert shown.split() == ["NAME", "TOKEN", "gnome", "<gnome>", "inky", "<inky>"]
    shown, code = talk("remove", "inky", "--purge", answer=b"n\n")
    assert code == 130
    assert words.version("inky").number == 1
    shown, code = talk("remove", "inky", "--purge", answer=b"y\n")
    assert code == 0
    assert [item.reference for item in words.trash()] == []


def test_an_interrupted_check_says_how_it_goes_on(
    tireg: Tireg, words: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tiregistry.registry.verify._check_versions", interrupted)
        assert "tireg verify --resume" in tireg("verify", code=130).err
    blob = words.blobs.path(words.version("inky").images[0].digest)
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))
    resumed = tireg("verify", "--resume", code=6)  # what was written to since is read again
    assert "1 damage: 1 file (7 more checked before)" in resumed.err
    assert "1 damage: 8 files" in tireg("verify", "--resume", code=6).err  # nothing is left to go on with


@pytest.mark.parametrize(("columns", "shown"), [(20, "files 1,200/5,000"), (80, "checking files █████░")])
def test_the_bar_fits_the_terminal(
    columns: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for done, total, what in ((0, 0, "the database"), (1200, 5000, "files")):
        with CountingBar("checking") as bar:
            bar(done, total, what)
        drawn = capsys.readouterr().err.replace("\x1b[K", "").split("\r")
        assert all(len(line) < columns for line in drawn)
        assert not "".join(drawn[2:]).strip()  # wiped
    assert drawn[1].startswith(shown)


def test_a_key_of_no_act_is_refused_with_the_nearest(tireg: Tireg) -> None:
    assert "did you mean library.filter?" in tireg("settings", "set", "keys.libary.filter", "f", code=2).err
    tireg("settings", "set", "keys.library.filter", "f")
    assert "there is no theme nordd · did you mean nord?" in tireg("settings", "set", "theme", "nordd", code=2).err
    tireg("settings", "set", "theme", "nord")
    assert tireg("settings", "get", "keys.library.filter").out == "f\n"


def test_a_reader_that_goes_away_is_no_error(words: Registry) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2] / "cli"), str(Path(__file__).parents[2])])
    }
    command = f"{sys.executable} -m tireg_cli list --json | head -c 5"
    run = subprocess.run(command, shell=True, capture_output=True, env=environment, text=True)
    assert (run.stdout, run.stderr) == ("[\n  {", "")
    assert json.loads(run.stdout + "}]") == [{}]
