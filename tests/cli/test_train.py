"""`tireg train` on a tiny model: what it prints, several concepts, the background, Ctrl-C at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tireg_cli.main import run
from tiregistry.registry.registry import Registry
from tiregistry.runs.control import cancel

SHORT = ["--max-steps", "2", "--batch-size", "1", "--no-stop", "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, colour in (("gnome", "red"), ("mug", "blue")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (64, 64), colour).resize((64 + number, 64)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_the_reference_is_all_that_goes_to_stdout(capsys: pytest.CaptureFixture[str], base: str, photos: Path) -> None:
    (photos / "gnome" / "0.txt").write_text("a {} on a shelf")
    code = run(["train", "gnome", str(photos / "gnome"), "--base", base, "--init", "gnome", *SHORT])
    captured = capsys.readouterr()
    assert (code, captured.out) == (0, "gnome@1\n")
    assert "captions from text files for 1 of 2 pictures" in captured.err
    assert 'tireg gen "a photo of <gnome>" --base tiny --show' in captured.err
    with Registry.open() as registry:
        assert [image.caption for image in registry.version("gnome").images] == ["a {} on a shelf", ""]
    code = run(["train", "gnome", str(photos / "gnome"), "--base", base, "--init", "gnome@1", "--json", *SHORT])
    data = json.loads(capsys.readouterr().out)
    assert (code, data["reference"], data["steps"], data["reason"]) == (0, "gnome@2", 2, "finished")
    assert {"digest", "placeholder_token", "seconds", "run"} <= set(data)
    assert run(["show", "gnome"]) == 0
    assert "initializer gnome@1" in capsys.readouterr().out
    assert run(["diff", "gnome@1", "gnome@2"]) == 0
    assert "sha256:" not in capsys.readouterr().out


def test_a_style_is_proposed_as_one(capsys: pytest.CaptureFixture[str], base: str, photos: Path) -> None:
    assert run(["train", "ink", str(photos / "mug"), "--type", "style", "--base", base, *SHORT]) == 0
    assert 'tireg gen "a house in the style of <ink>" --base tiny --show' in capsys.readouterr().err


def test_captions_of_several_concepts_are_told_apart(
    capsys: pytest.CaptureFixture[str], base: str, photos: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "0.txt").write_text("whose is it")  # both concepts have a picture 0.png
    each = ["--each", str(photos / "gnome"), str(photos / "mug"), "--captions", str(texts), "--base", base]
    assert run(["train", *each, "--dry-run"]) == 2
    assert f"--captions {texts} cannot tell '0' of" in capsys.readouterr().err
    for name in ("gnome", "mug"):
        (texts / name).mkdir()
        (texts / name / "0.txt").write_text(f"{{}}, that of {name}")
    assert run(["train", *each, *SHORT]) == 0
    with Registry.open() as registry:
        for name in ("gnome", "mug"):
            assert {image.caption for image in registry.version(name).images} == {f"{{}}, that of {name}", ""}


def test_a_folder_for_each_concept(capsys: pytest.CaptureFixture[str], base: str, photos: Path) -> None:
    code = run(["train", "--each", str(photos / "gnome"), str(photos / "mug"), "--base", base, *SHORT])
    captured = capsys.readouterr()
    assert (code, captured.out.split()) == (0, ["gnome@1", "mug@1"]), captured.err


def test_a_plan(capsys: pytest.CaptureFixture[str], base: str, photos: Path) -> None:
    plan = photos.parent / "plan.toml"
    plan.write_text(
        f"base = '{base}'\ndevice = 'cpu'\n[training]\nmax_steps = 2\nbatch_size = 1\nstopping = 'none'\n"
        "[[concepts]]\nname = 'gnome'\nimages = ['photos/gnome']\ninit = 'gnome'\n"
        "[[concepts]]\nname = 'wash'\nimages = ['photos/mug']\ntype = 'style'\ntoken = '<w>'\nmax_steps = 3\n"
    )
    assert run(["train", "--from", str(plan), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["concept"] for each in told["concepts"]] == ["gnome", "wash"]
    assert told["pass"]["memory"] > max(each["memory"] for each in told["concepts"])
    assert told["pass"]["seconds"] == pytest.approx(sum(each["seconds"] for each in told["concepts"]))
    code = run(["train", "--from", str(plan), "--json"])
    data = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [(d["reference"], d["steps"], d["placeholder_token"]) for d in data] == [
        ("gnome@1", 2, "<gnome>"),
        ("wash@1", 3, "<w>"),
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_pass_has_learned_is_printed_also_when_another_word_of_it_is_cancelled(
    capsys: pytest.CaptureFixture[str], base: str, photos: Path, as_json: bool
) -> None:
    plan = photos.parent / "plan.toml"
    plan.write_text(
        f"base = '{base}'\ndevice = 'cpu'\n[training]\nmax_steps = 2\nbatch_size = 1\nstopping = 'none'\n"
        "[[concepts]]\nname = 'gnome'\nimages = ['photos/gnome']\n"
        "[[concepts]]\nname = 'mug'\nimages = ['photos/mug']\nmax_steps = 100000\n"
    )

    def cancel_mug() -> None:
        with Registry.open() as registry:
            while not registry.runs(concept="gnome", status="finished"):
                time.sleep(0.05)
            cancel(registry, registry.runs(concept="mug")[0])

    helper = threading.Thread(target=cancel_mug)
    helper.start()
    assert run(["train", "--from", str(plan), *(["--json"] if as_json else [])]) == 130
    helper.join()
    captured = capsys.readouterr()
    assert "was cancelled" in captured.err
    if as_json:
        assert [each["reference"] for each in json.loads(captured.out)] == ["gnome@1"]
    else:
        assert captured.out == "gnome@1\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gnome"], "Missing argument 'IMAGES...'"),
        ([], "Missing argument 'NAME'"),
        (["--each"], "--each needs at least one folder"),
        (["--from", "plan.toml", "gnome"], "--from takes its concepts from the plan"),
        (["--from", "plan.toml", "--recipe", "classic"], "--recipe stands in the plan"),
        (["--from", "plan.toml"], "plan.toml does not exist"),
        (["gnome", "PHOTOS", "--set", "min_snr=5"], "did you mean min_snr_gamma?"),
        (["gnome", "PHOTOS", "--set", "seed"], "has no value"),
        (["gnome", "PHOTOS", "--num-vectors", "80"], "num_vectors 80 is out of range"),
        (["gnome", "PHOTOS", "--mask", "nowhere"], "nowhere is not a folder"),
        (["gnome", "PHOTOS", "--mask", "alpha"], "no picture of gnome has transparency"),
        (["gnome", "PHOTOS", "--captions", "PHOTOS"], "has no caption for any of the pictures"),
        (["gnome", "PHOTOS", "--recipe", "quick", "--base", "BASE"], "needs a vision tower"),
        (["gnome", "PHOTOS", "--init", "other@1"], "no concept is named 'other'"),
        (["gnome", "PHOTOS", "--preview", "a photo"], "must contain {} exactly once"),
        (["gnome", "PHOTOS", "--max-steps", "4", "--set", "gradient_accumulation=8"], "is more than max_steps 4"),
    ],
)
def test_what_cannot_work_costs_one_line_and_no_torch(base: str, photos: Path, arguments: list[str], said: str) -> None:
    filled = [a.replace("PHOTOS", str(photos / "gnome")).replace("BASE", base) for a in arguments]
    code = (
        f"import sys\nfrom tireg_cli.main import run\ncode = run(['train', *{filled!r}])\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_environment())
    lines = done.stderr.splitlines()
    assert done.returncode in (2, 3), done.stderr
    assert said in lines[-1]
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tireg_cli.main import run\nrun(['train', '--help']); run(['runs', '--help'])\n"
        "assert not {'torch', 'diffusers', 'numpy', 'PIL'} & set(sys.modules), sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=_environment())
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_ctrl_c_keeps_what_was_learned_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str], base: str, photos: Path
) -> None:
    options = ["--base", base, "--max-steps", "5000", "--batch-size", "1", "--no-stop", "--device", "cpu", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tireg_cli", "train", "part", str(photos / "gnome"), *options],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with Registry.open() as registry:
        _until(lambda: bool(registry.runs()) and registry.last_run().step > 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        stopped = registry.last_run()
        assert process.returncode == 130, err
        assert "tireg runs resume" in err
        learned = json.loads(out)
        assert (learned["reference"], learned["reason"], learned["run"]) == ("part@1", "interrupted", stopped.id)
        assert (stopped.status, stopped.step) == ("interrupted", learned["steps"])
        assert len(registry.record(registry.version("part@1"))["loss"]) == learned["steps"]
        # Only a few steps left to go, or the test would take minutes.
        settings = dict(stopped.config)
        settings["training"] = settings["training"] | {"max_steps": stopped.step + 2}
        registry.update_run(stopped.id, config=settings, max_steps=stopped.step + 2)
    assert run(["runs", "resume", "--last"]) == 0
    assert capsys.readouterr().out == "part@2\n"


def _until(what: Callable[[], bool], seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
