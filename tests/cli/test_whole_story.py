"""From pictures to a word to new pictures, as a user does it: real processes, a real (tiny) model, real signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.models import tiny_sd
from tireg_cli.main import run
from tiregistry.generation.metadata import read_recipe
from tiregistry.registry.registry import Registry

COMMAND = [sys.executable, "-m", "tireg_cli"]
# Says when Ctrl-C is no longer Python's business but ours, which is the first thing that `tireg` sees to.
TELLING = """
import os, signal
from tireg_cli import launch
signal.signal(signal.SIGINT, launch._leave)
os.write(2, b"begun\\n")
launch.main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(3):
        pixels = noise.integers(0, 255, (70 + number, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return folder


def start(*arguments: object, command: Sequence[str] = COMMAND) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr until a line holds `text`; returns that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came; the process ended with {process.wait()}")


def test_learn_keep_compose_repeat(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["train", "gnome", str(pictures), "--init", "cat", "--base", str(model), "--max-steps", "4", "--json"]) == 0
    )
    learned = json.loads(capsys.readouterr().out)
    assert learned["reference"] == "gnome@1"
    assert learned["steps"] == 4

    with Registry.open() as registry:
        version = registry.version("gnome")
        assert version.digest == learned["digest"]
        assert [image.filename for image in version.images] == ["0.jpg", "1.jpg", "2.jpg"]
        assert registry.blobs.read(version.images[0].digest) == (pictures / "0.jpg").read_bytes()
        assert version.base_name == "tiny"
        assert version.fingerprint is not None
        assert version.fingerprint == registry.base("tiny").fingerprint
        record = registry.record(version)
        assert len(record["loss"]) == 4
        assert record["stop_reason"] == "finished"
        assert version.manifest["training"]["recipe"] == "direction"
        assert registry.run(learned["run"]).status == "finished"

    out = tmp_path / "out"
    prompt = "a photo of <gnome> on the beach"
    arguments = [
        "gen",
        prompt,
        "-n",
        "2",
        "--seed",
        "5",
        "--steps",
        "2",
        "--out",
        str(out),
        "--grid",
        str(tmp_path / "g.png"),
    ]
    assert run(arguments) == 0
    paths = [Path(line) for line in capsys.readouterr().out.split("\n") if line]
    assert len(paths) == 2
    recipe = read_recipe(paths[1])
    assert recipe["prompt"] == prompt
    assert recipe["seed"] == 6
    assert recipe["words"][0]["digest"] == learned["digest"]
    assert recipe["base"]["source"] == ""  # a path of this machine stays on it
    assert (tmp_path / "g.png").exists()

    assert run([*arguments, "--json"]) == 0
    again = [Path(entry["path"]) for entry in json.loads(capsys.readouterr().out)]
    assert not set(again) & set(paths)
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in paths]

    # The same request is the same version: nothing is stored twice.
    assert run(["train", "gnome", str(pictures), "--init", "cat", "--base", str(model), "--max-steps", "4"]) == 0
    assert capsys.readouterr().out.strip() == "gnome@1"


def test_what_only_the_model_can_tell(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = [str(pictures), "--base", str(model), "--max-steps", "2"]
    assert run(["train", "a1", *common, "--num-vectors", "64"]) == 0
    assert (
        run(["train", "gnome", *common, "--token", "<gnome>", "--init", "\N{SNOWMAN}\N{GREEK SMALL LETTER PSI}"]) == 2
    )
    assert "initializer" in capsys.readouterr().err
    assert run(["train", "gnome", *common, "--init", "teapott"]) == 2
    assert "did you mean teapot" in capsys.readouterr().err
    assert run(["train", "other", *common, "--token", "<A1>"]) == 4
    assert "belongs" not in (line := capsys.readouterr().err), line
    assert "already the placeholder token of a1" in line
    assert run(["train", "A1", *common]) == 0  # the same concept, however its name is written
    assert capsys.readouterr().out.startswith("a1@")
    assert run(["gen", "a photo of a <gnom>", "--base", str(model)]) == 3
    assert run(["gen", "a <a1> " + "cat " * 90, "--base", str(model), "--steps", "1", "--out", str(pictures)]) in (0, 2)
    with Registry.open() as registry:
        assert [c.name for c in registry.concepts()] == ["a1"]


def test_a_placeholder_that_is_a_vocabulary_word(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_sd(tmp_path / "model")
    vocabulary = json.loads((folder / "tokenizer" / "vocab.json").read_text())
    first = next(token for token, number in vocabulary.items() if number == 0)
    vocabulary["<gnome>"] = vocabulary.pop(first)
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocabulary))
    assert run(["train", "gnome", str(pictures), "--base", str(folder), "--max-steps", "2"]) == 4
    assert "already a word" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["at once", "while loading", "twice"])
def test_ctrl_c_at_other_moments_is_one_line(model: Path, pictures: Path, moment: str) -> None:
    command = [sys.executable, "-c", TELLING]
    process = start("train", "gnome", pictures, "--base", model, "--max-steps", 5000, command=command)
    if moment == "at once":
        wait_for(process, "begun")
    elif moment == "while loading":
        wait_for(process, "loading the base model")
        time.sleep(0.4)  # well into it
    else:
        wait_for(process, "step ")
        process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    with Registry.open() as registry:
        assert all(r.status in ("interrupted", "finished") for r in registry.runs())
        if "Ctrl-C stops and keeps" not in err and moment != "twice":  # unless the signal was so late that steps began
            assert out == ""
            assert not registry.concepts()


@pytest.mark.slow
def test_kill_9_leaves_a_registry_that_goes_on(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start("train", "gnome", pictures, "--base", model, "--max-steps", 5000, "--checkpoint-every", 1)
    wait_for(process, "step ")
    with Registry.open() as registry:
        checkpoint = registry.home / "runs" / registry.last_run().id / "checkpoint.safetensors"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert run(["list"]) == 0
    with Registry.open() as registry:
        assert checkpoint.exists()
        assert not registry.concepts()
    arguments = ["train", "other", str(pictures), "--base", str(model), "--max-steps", "2"]
    assert run(arguments) == 0
    assert capsys.readouterr().out.strip().endswith("other@1")


@pytest.mark.slow
def test_two_trainings_at_once_both_end_well(model: Path, pictures: Path) -> None:
    both = [start("train", name, pictures, "--base", model, "--max-steps", 10) for name in ("gnome", "dwarf")]
    results = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    with Registry.open() as registry:
        assert sorted(concept.name for concept in registry.concepts()) == ["dwarf", "gnome"]
        assert {r.status for r in registry.runs()} == {"finished"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a registry and little else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_a_full_disk_is_one_line_and_loses_nothing(
    model: Path,
    pictures: Path,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIREG_HOME", str(small_disk / "home"))
    arguments = ["train", "gnome", str(pictures), "--base", str(model), "--max-steps", "2"]
    assert run(arguments) == 0
    assert capsys.readouterr().out.strip() == "gnome@1"
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    more = pictures / "more.png"
    Image.effect_noise((128, 128), 90).save(more)
    code = run(["train", "dwarf", str(more), "--base", str(model), "--max-steps", "2"])
    err = capsys.readouterr().err
    assert code == 1
    assert "space" in [line for line in err.splitlines() if line.startswith("tireg:")][-1]
    (small_disk / "filler").unlink()
    with Registry.open() as registry:
        assert [c.name for c in registry.concepts()] == ["gnome"]
        assert registry.embedding(registry.version("gnome")).num_vectors == 1
    assert run(["train", "dwarf", str(more), "--base", str(model), "--max-steps", "2"]) == 0


def test_pictures_on_a_full_disk_leave_no_half_file(
    model: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "out"
    out.mkdir()
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    assert run(["gen", "a photo of a cat", "--base", str(model), "--steps", "1", "--out", str(out)]) == 1
    assert "space" in capsys.readouterr().err
    assert list(out.iterdir()) == []
