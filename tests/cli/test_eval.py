"""`tireg eval` on a tiny model: tables, JSON, what is kept, the alias, stopping, and everything that is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Tireg
from tests.core.evaluation.conftest import add_word, base_folder, clip_folder, loaded, picture, registry  # noqa: F401
from tireg_cli.output import width_of
from tiregistry.concepts import Fingerprint, Version
from tiregistry.registry.registry import Registry

FEW = ["--pictures", "2", "--edit-pictures", "2", "--edit", "a {} on the beach", "--device", "cpu"]
Add = Callable[..., Version]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 denoising steps say no more here than two."""
    from tiregistry.evaluation import protocols

    real = protocols.GenerationSettings
    monkeypatch.setattr(protocols, "GenerationSettings", lambda **_: real(num_inference_steps=2))


def test_a_word_is_measured_and_its_scores_are_kept(tireg: Tireg, add_word: Add) -> None:  # noqa: F811
    add_word()
    add_word("imp", 1)
    result = tireg("eval", "gnome", *FEW)
    (line,) = result.lines
    assert line.startswith("gnome@1\t")
    assert len(line.split("\t")) == 4
    name = result.err.partition(":")[0].split()[-1]
    assert name.startswith("custom-")
    assert f"{name}: 4 pictures each on seeing, judged by seeing" in result.err
    shown = tireg("show", "gnome", "--json").json["version"]
    labels = [f"{measure} ({name}, seeing)" for measure in ("image_alignment", "text_alignment", "score")]
    assert list(shown["scores"]) == labels
    tireg("eval", "gnome", *FEW)
    tireg("eval", "gnome", *FEW, "--seed", "7")
    kept = tireg("show", "gnome", "--json").json["version"]
    assert len(kept["measurements"]) == 6, "the same again is not kept again"
    assert len(kept["scores"]) == 6, "another seed hides nothing"
    assert shown["measurements"][0]["details"]["edits"].keys() == {"a {} on the beach"}
    assert f"score ({name}, seeing)" in tireg("show", "gnome").out
    # What a user made up compares with nobody's, so it does not rank.
    assert [row.split("\t")[-1] for row in tireg("list", "--sort", "score").lines] == ["–", "–"]
    tireg("eval", "imp", *FEW, "--no-save")
    assert tireg("show", "imp", "--json").json["version"]["scores"] == {}


def test_comparing_with_the_initializer_as_json_with_pictures(
    tireg: Tireg,
    add_word: Add,  # noqa: F811
    tmp_path: Path,
) -> None:
    add_word()
    folder, grid = tmp_path / "made", tmp_path / "grid.png"
    arguments = [*FEW, "--against", "initializer", "--keep", str(folder), "--grid", str(grid)]
    data = tireg("eval", "gnome", *arguments, "--json").json
    (result,) = data["results"]
    assert data["protocol"]["name"].startswith("custom-")
    assert (result["reference"], result["against"]["subject"]) == ("gnome@1", "“teapot”")
    for measure, difference in result["difference"].items():
        expected = result["measures"][measure]["value"] - result["against"]["measures"][measure]["value"]
        assert difference["value"] == pytest.approx(expected)
        assert difference["clear"] == (difference["low"] > 0 or difference["high"] < 0)
    assert len(list(folder.glob("*.png"))) == 8
    assert grid.stat().st_size > 1000
    lines = tireg("eval", "gnome", *FEW, "--against", "initializer").lines
    assert [line.split("\t")[0] for line in lines] == ["gnome@1", "“teapot”", "difference"]


def test_kinds_are_counted_for_both_that_are_compared(tireg: Tireg, add_word: Add) -> None:  # noqa: F811
    add_word()
    asked = [*FEW, "--against", "initializer", "--kinds", "a {red|blue} teapot"]
    (result,) = tireg("eval", "gnome", *asked, "--json").json["results"]
    for one in (result, result["against"]):
        assert list(one["kinds"]) == ["a red teapot", "a blue teapot"]
        assert sum(one["kinds"].values()) == 2
        assert one["variety"]["value"] in (0, 1)
    assert result["variety_difference"]["clear"] in (True, False)
    out = tireg("eval", "gnome", *asked).out
    assert [line.split("\t")[0] for line in out.splitlines()][3:6] == ["a red teapot", "a blue teapot", "variety"]
    assert "a judge chooses among 2 to 100 kinds" in tireg("eval", "gnome", *FEW, "--kinds", "a teapot", code=2).err


@pytest.mark.parametrize("columns", [100, 80, 60, 30])
def test_no_number_is_cut_on_any_terminal(
    columns: int,
    tireg: Tireg,
    add_word: Add,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_word()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    asked = [*FEW, "--against", "initializer", "--kinds", "a {red|blue} teapot"]
    alone = tireg("eval", "gnome", *FEW).out
    both = tireg("eval", "gnome", *asked).out
    for out, intervals in ((alone, 3), (both, 12)):
        assert "…" not in out
        assert all(width_of(line) <= columns for line in out.splitlines())
        found = re.findall(r"[+-]?\d\.\d{3,4} \[[+-]?\d\.\d{3,4}, [+-]?\d\.\d{3,4}\]", " ".join(out.split()))
        assert len(found) == intervals
    # The usual width takes a table, with fewer decimals.
    assert (len(alone.splitlines()) == 2) == (columns >= 80)


def test_versions_compete_for_the_alias(tireg: Tireg, add_word: Add) -> None:  # noqa: F811
    add_word(seed=1)
    add_word(seed=2)
    data = tireg("eval", "gnome@1", "gnome@2", *FEW, "--best", "--json").json
    scores = {r["reference"]: r["measures"]["score"]["value"] for r in data["results"]}
    assert data["best"] == max(scores, key=lambda name: scores[name])
    with Registry.open() as opened:
        assert opened.version("gnome@best").reference == data["best"]


def test_every_checkpoint_of_a_run(tireg: Tireg, base_folder: Path, tmp_path: Path) -> None:  # noqa: F811
    photos = tmp_path / "photos"
    photos.mkdir()
    picture(1).save(photos / "a.png")
    short = ["--max-steps", "3", "--batch-size", "1", "--no-stop", "--device", "cpu", "--checkpoint-every", "1"]
    tireg("train", "pot", str(photos), "--base", str(base_folder), "--init", "teapot", *short)
    lines = tireg("eval", "--run", "last", *FEW).lines
    assert [line.split("\t")[0] for line in lines] == ["step 1", "step 2", "step 3"]
    data = tireg("eval", "--run", "last", "--most", "2", *FEW, "--best", "--json").json
    best = max(data["results"], key=lambda r: r["measures"]["score"]["value"])
    assert [r["step"] for r in data["results"]] == [2, 3]
    assert data["best"] == ("pot@1" if best["step"] == 3 else "pot@2")
    with Registry.open() as opened:
        version = opened.version("pot@best")
        assert version.reference == data["best"]
        (score,) = [value for label, value in version.scores.items() if label.startswith("score (custom-")]
        assert score == pytest.approx(best["measures"]["score"]["value"])
    assert "versions and a run are not measured together" in tireg("eval", "pot", "--run", "last", code=2).err
    tireg("train", "pan", str(photos), "--base", str(base_folder), "--init", "teapot", *short[:-1], "3")
    refused = tireg("eval", "--run", "last", *FEW, "--best", code=2)
    assert "has only one checkpoint" in refused.err


def test_ctrl_c_and_the_same_command_again(
    tireg: Tireg,
    add_word: Add,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tiregistry.generation.generator import Generator

    add_word()
    render = Generator.render_all
    made: list[int] = []

    def stopping(self: Generator, jobs: Any, **options: Any) -> Any:
        if len(made) == 2:
            made.append(-1)
            raise KeyboardInterrupt
        made.extend(seed for _, seed in jobs)
        return render(self, jobs, **options)

    monkeypatch.setattr(Generator, "render_all", stopping)
    result = tireg("eval", "gnome", *FEW, "--batch-size", "2", code=130)
    assert result.out == ""
    assert "the same command goes on" in result.err
    tireg("eval", "gnome", *FEW, "--batch-size", "2")
    assert made == [0, 1, -1, 2, 3]


def test_another_judge_and_pictures_of_ones_own(
    tireg: Tireg,
    add_word: Add,  # noqa: F811
    clip_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    add_word(pictures=0, origin="imported", training=None)
    picture(3).save(tmp_path / "own.png")
    result = tireg("eval", "gnome", *FEW, "--clip", str(clip_folder), "--images", str(tmp_path / "own.png"), "--json")
    assert result.json["judge"].startswith("tiny-clip-")
    assert result.json["results"][0]["source_pictures"] == 1
    only = tireg("eval", "gnome", *FEW, "--text-only", "--json").json["results"][0]
    assert list(only["measures"]) == ["text_alignment"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody"], 3, "no concept is named 'nobody'"),
        ([], 2, "nothing is named to measure · name a word: tireg eval gnome, or a run: tireg eval --run last"),
        (["gnome", "--run", "last"], 3, "nothing has been trained"),
        (["bare"], 2, "bare@1 has no source pictures (it was imported)"),
        (["bare", "--text-only", "--against", "initializer"], 2, "has no initializer"),
        (["stranger"], 4, "stranger@1 was learned on sd15, which is not known here"),
        (["gnome", "--pictures", "1"], 2, "1 pictures are out of range"),
        (["gnome", "--pictures", "0"], 2, "0 pictures are out of range"),
        (["gnome", "--prompt", ""], 2, "not one place for the word"),
        (["gnome", "--edit", "a photo"], 2, "not one place for the word"),
        (["gnome", "--best"], 2, "--best chooses among versions"),
        (["gnome", "--most", "3"], 2, "--most chooses among a run's checkpoints"),
        (["gnome", "--clip", "some/clip"], 5, "some/clip is not on this disk and HF_HUB_OFFLINE is set"),
        (["gnome", "--dino"], 5, "facebook/dino-vits16 is not on this disk"),
        (["gnome", "--clip", "nowhere"], 3, "there is no judge 'nowhere'"),
        (["gnome", "--grid", "nowhere/x.png"], 2, "cannot be saved"),
        (["gnome", "--images", "nowhere"], 3, "nowhere does not exist"),
        (["gnome", "--base", "gone"], 3, "gone"),
    ],
)
def test_what_is_refused_in_one_line(
    tireg: Tireg,
    add_word: Add,  # noqa: F811
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    add_word()
    add_word("bare", 1, pictures=0, origin="imported", training=None)
    strange = Fingerprint("sd1", "sha256:" + "1" * 64, "", "")
    add_word("stranger", 2, fingerprint=strange, base_name="sd15")
    result = tireg("eval", *arguments, "--device", "cpu", code=code)
    assert said in result.err
    assert result.out == ""
    assert len([line for line in result.err.splitlines() if line.startswith("tireg:")]) == 1
