"""`tireg train` with everything that cannot work: one clear line, the documented exit code, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.flow_models import tiny_flow
from tests.models import tiny_sd
from tireg_cli.main import run
from tiregistry.registry.registry import Registry


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (80 * number, 30, 200)).save(folder / f"{number}.png")
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and the one line on stderr; nothing may stand on stdout."""
    code = run(["train", *arguments])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "loading" not in captured.err
    lines = [line for line in captured.err.splitlines() if line.startswith("tireg:")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return code, lines[0]


def nothing_was_registered() -> bool:
    with Registry.open() as registry:
        return not registry.concepts() and not registry.runs()


def test_a_missing_path(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = refused(capsys, "gnome", "nowhere/at-all")
    assert code == 3
    assert "nowhere/at-all does not exist" in line


def test_an_empty_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, line = refused(capsys, "gnome", str(tmp_path))
    assert code == 2
    assert "no pictures in" in line


def test_damaged_pictures_among_good_ones_are_all_named(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (pictures / "zero.png").write_bytes(b"")
    (pictures / "zone.png").write_bytes(b"text")
    (pictures / "zoo.png").symlink_to("nowhere.png")
    code, line = refused(capsys, "gnome", str(pictures))
    assert code == 2
    assert "broken.jpg is damaged" in line
    assert "; nor can zero.png, zone.png, zoo.png be used" in line
    assert nothing_was_registered()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--token", "cat"], 2, "angle brackets"),
        (["--token", "<a b>"], 2, "placeholder"),
        (["--max-steps", "0"], 2, "max_steps 0"),
        (["--num-vectors", "80"], 2, "num_vectors 80"),
        (["--resolution", "500"], 2, "not a multiple of 8"),
        (["--lr", "-1"], 2, "learning_rate"),
        (["--recipe", "magic"], 2, "magic"),
        (["--base", "no-such-model"], 3, "no base model"),
        (["--init", "tepot"], 2, "not a word of the base model's vocabulary · did you mean teapot"),
        (["--precision", "fp16", "--device", "cpu"], 2, "fp16 does not work on a CPU"),
        (["--device", "toaster"], 2, "device 'toaster' cannot be used here"),
        (["--recipe", "quick", "--set", "weight_decay=0.1"], 2, "weight_decay only works with the recipe classic"),
        (["--max-steps", "3", "--set", "gradient_accumulation=4"], 2, "gradient_accumulation 4 is more than max_steps"),
        (["--lr", "0.1", "--set", "learning_rate=0.2"], 2, "learning_rate is given twice"),
        (["--no-stop", "--set", "stopping=dvar"], 2, "stopping is given twice"),
        (["--no-stop", "--set", "stop_every=5"], 2, "stop_every says when to stop, and stopping is none"),
        (["--set", "min_timestep=300", "--set", "max_timestep=300"], 2, "no timestep to train"),
        (["--set", "lr=0.1"], 2, "unknown training setting 'lr' · did you mean learning_rate?"),
        (["--set", "vectors=2"], 2, "did you mean num_vectors?"),
        (["--set", "min_timestep=1000"], 2, "min_timestep 1000 is beyond the 1000 timesteps of embedded"),
        (["--init", "words/gnome.bin"], 2, "tireg import FILE reads a word from a file"),
        (["--set", "max_timestep=5000"], 2, "max_timestep 5000 is beyond the 1000 timesteps of embedded"),
        (["--init", "cat " * 40], 2, "40 vectors and the caption"),
        (["--set", "max_steps"], 2, "write --set max_steps=VALUE"),
        (["--seed", "-1"], 2, "from 0 to 9,223,372,036,854,775,807"),
        (["--init", "toy", "--set", "progressive_steps=10"], 2, "progressive_steps needs more than one vector"),
        (["--preview-every", "5"], 2, "preview_every is about previews, and there are none"),
        (["--set", "preview_seed=5"], 2, "preview_seed is about previews, and there are none"),
        (
            ["--init", "gnome@1", "--set", "magnitude=9"],
            2,
            "magnitude 9 has no effect: a word that goes on from a version",
        ),
        (["--preview", f"{'very ' * 80}old {{}}", "--dry-run"], 2, "need 82 tokens, 30 fit embedded"),
    ],
)
def test_bad_options(
    capsys: pytest.CaptureFixture[str], pictures: Path, options: list[str], code: int, says: str
) -> None:
    got, line = refused(capsys, "gnome", str(pictures), *options)
    assert says in line
    assert got == code
    assert nothing_was_registered()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--each", "PICTURES", "--token", "<x>"], "--token names one word"),
        (["--from", "PLAN", "--token", "<x>"], "--token stands in the plan"),
        (["--from", "PLAN", "--no-stop"], "--no-stop stands in the plan"),
        (["--from", "PLAN", "--lr", "0.1"], "--lr stands in the plan"),
        (["--from", "PLAN"], "stop_every says when to stop, and stopping is none"),
    ],
)
def test_options_that_would_be_ignored(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[concepts]]\nname = "a"\nimages = ["pictures"]\nstopping = "none"\nstop_every = 5\n')
    places = {"PICTURES": str(pictures), "PLAN": str(plan)}
    code, line = refused(capsys, *(places.get(option, option) for option in options))
    assert code == 2
    assert says in line


def test_a_caption_that_is_no_file(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    (pictures / "1.txt").mkdir()
    code, line = refused(capsys, "gnome", str(pictures))
    assert code == 2
    assert "1.txt is not a text file" in line


@pytest.mark.parametrize("name", ["a@b", "../up", "a/b", "", " ", "<x>", "latest"])
def test_bad_names(capsys: pytest.CaptureFixture[str], pictures: Path, name: str) -> None:
    code, _ = refused(capsys, name, str(pictures))
    assert code == 2
    assert nothing_was_registered()


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("unet/config.json", b"{", "has no unet/config.json that can be read"),
        ("text_encoder/config.json", b"[]", "has no text_encoder/config.json that can be read"),
        ("scheduler/scheduler_config.json", b"{", "has no scheduler/scheduler_config.json that can be read"),
        ("unet/diffusion_pytorch_model.safetensors", b"", "is not a safetensors file, or is truncated"),
        ("text_encoder/model.safetensors", b"x" * 1000, "is not a safetensors file, or is truncated"),
    ],
)
@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_a_base_model_with_a_broken_part_is_refused_before_it_is_loaded(
    capsys: pytest.CaptureFixture[str],
    pictures: Path,
    tmp_path: Path,
    file: str,
    data: bytes,
    says: str,
    more: list[str],
) -> None:
    base = tiny_sd(tmp_path / "broken")
    (base / file).write_bytes(data)
    code, line = refused(capsys, "gnome", str(pictures), "--base", str(base), *more)
    assert code in (2, 6)
    assert says in line


@pytest.mark.parametrize(
    ("part", "setting", "value", "says"),
    [
        ("text_encoder", "hidden_size", 64, "are of different models: its text encoders make states of width 64"),
        ("unet", "in_channels", 9, "makes pictures from more than a text: its unet takes 9 channels"),
    ],
)
def test_parts_of_several_models(
    capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path, part: str, setting: str, value: int, says: str
) -> None:
    base = tiny_sd(tmp_path / "mixed")
    config = base / part / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {setting: value}))
    code, line = refused(capsys, "gnome", str(pictures), "--base", str(base), "--init", "cat")
    assert code == 2
    assert says in line
    assert nothing_was_registered()


@pytest.mark.parametrize(
    ("family", "part", "settings", "says"),
    [
        ("sd3", "transformer", {}, "resolution 272 is more than"),
        ("flux", "transformer", {"in_channels": 384}, "takes 384 channels, its latents have 64"),
        (
            "sd2",
            "unet",
            {"class_embed_type": "projection"},
            "its unet has class_embed_type projection",
        ),
        ("sd1", "scheduler", {"prediction_type": "sample"}, "predicts 'sample', which cannot be trained"),
        ("sdxl", "scheduler", {"sigma_data": 0.5}, "was trained in the EDM formulation"),
    ],
)
@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_models_that_no_word_can_be_learned_on(
    capsys: pytest.CaptureFixture[str],
    pictures: Path,
    tmp_path: Path,
    family: str,
    part: str,
    settings: dict[str, Any],
    says: str,
    more: list[str],
) -> None:
    """Said before anything is loaded, and by --dry-run; nothing is left of it in the list of runs."""
    make = tiny_flow if family in ("sd3", "flux") else tiny_sd
    base = make(tmp_path / "base", family)
    config = base / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    arguments = ("gnome", str(pictures), "--base", str(base), "--init", "cat", "--resolution", "272")
    code, line = refused(capsys, *arguments, *more)
    assert code == 2
    assert says in line
    assert nothing_was_registered()


def test_a_vocabulary_in_another_file(capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path) -> None:
    base = tiny_sd(tmp_path / "newer")
    folder = base / "tokenizer"
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary}}))
    (folder / "vocab.json").unlink()
    code, line = refused(capsys, "gnome", str(pictures), "--base", str(base), "--init", "tepot", "--dry-run")
    assert code == 2
    assert "'tepot' is not a word of the base model's vocabulary" in line


def test_a_base_model_without_a_tokenizer(capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path) -> None:
    base = tiny_sd(tmp_path / "mute")
    for file in (base / "tokenizer").iterdir():
        file.unlink()
    code, line = refused(capsys, "gnome", str(pictures), "--base", str(base), "--init", "cat")
    assert code == 2
    assert "has no tokenizer in its folder tokenizer" in line
    assert nothing_was_registered()


def test_a_folder_that_is_no_model(capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path) -> None:
    code, line = refused(capsys, "gnome", str(pictures), "--base", str(tmp_path))
    assert code == 2
    assert "model_index.json" in line


def test_a_damaged_model_index(capsys: pytest.CaptureFixture[str], pictures: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model_index.json").write_text("{")
    code, line = refused(capsys, "gnome", str(pictures), "--base", str(model))
    assert code == 2
    assert "model_index.json cannot be read" in line


def test_a_hub_model_without_network(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    code, line = refused(capsys, "gnome", str(pictures), "--base", "someone/some-model")
    assert code == 5
    # The client reads the variable once a process: when an earlier test loaded it, the network is found missing.
    assert "HF_HUB_OFFLINE" in line or "cannot be reached" in line


def test_an_unknown_device(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    code, line = refused(capsys, "gnome", str(pictures), "--device", "abacus")
    assert code == 2
    assert "abacus" in line


def test_help_and_refusals_need_no_torch(pictures: Path) -> None:
    script = (
        "import sys; from tireg_cli.main import run\n"
        "assert run(['train', '--help']) == 0\n"
        f"assert run(['train', 'gnome', {str(pictures)!r}, '--token', 'cat']) == 2\n"
        f"assert run(['train', 'gnome', {str(pictures)!r}, '--base', 'no-such-model']) == 3\n"
        f"assert run(['train', 'gnome', {str(pictures)!r}, '--device', 'toaster']) == 2\n"
        f"assert run(['train', 'gnome', {str(pictures)!r}, '--device', 'cpu', '--precision', 'fp16']) == 2\n"
        "loaded = {'torch', 'diffusers', 'transformers', 'textual'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
