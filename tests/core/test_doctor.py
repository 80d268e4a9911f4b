"""The report of the doctor: terminal, registry and software, without torch; the command itself with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tireg_cli.main import run
from tiregistry import doctor
from tiregistry.graphics.terminal import Terminal
from tiregistry.graphics.testcard import make_testcard
from tiregistry.registry.registry import Registry


def test_a_terminal_that_does_not_answer_is_a_problem() -> None:
    silent = Terminal("halfblocks", answered=False, in_tmux=True, facts={"passthrough": "no", "sixel": "no"})
    section = doctor.terminal_section(silent)
    assert section.facts["pictures"] == "halfblocks"
    assert section.facts["sixel"] == "no"
    assert any("TIREG_IMAGES" in problem for problem in section.problems)
    assert any("allow-passthrough" in problem for problem in section.problems)


def test_the_registry_as_it_is(tmp_path: Path) -> None:
    assert doctor._registry().facts["words"] == "none yet"
    (tmp_path / "home").mkdir()
    assert doctor._registry().facts["words"] == "none yet"
    with Registry.open() as registry:
        registry.create_concept("gnome", "<gnome>", "object")
        registry.blobs.add(b"a file of a word")
        assert doctor._registry().facts["last backup"].startswith("never")
        registry.backup(tmp_path / "b.zip")
    assert doctor._registry().facts["words"] == "1"
    assert doctor._registry().facts["last backup"] == time.strftime("%Y-%m-%d")
    (tmp_path / "home" / "registry.db").write_bytes(b"no database" * 100)
    assert doctor._registry().problems
    (tmp_path / "home" / "registry.db").unlink()
    assert "missing or empty" in doctor._registry().problems[0]


def test_broken_settings_are_a_part_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "home" / "settings.toml"
    file.parent.mkdir()
    file.write_text("output = 7\n")
    assert run(["doctor", "--json"]) == 0
    (problem,) = json.loads(capsys.readouterr().out)["settings"]["problems"]
    assert "output must be a string" in problem
    assert run(["settings", "unset", "output"]) == 0
    assert run(["settings", "set", "theme", "light"]) == 0
    section = doctor._settings()
    assert (section.facts, section.problems) == ({"file": str(file), "theme": "light"}, ())


def test_each_hub_is_reported_with_the_token_that_it_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HF_ENDPOINT", "TIREG_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert doctor._hub().facts["login"] == "none (what is public needs none) · hf auth login"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert doctor._hub().facts["login"] == "a token is there"
    assert doctor._hub().facts["endpoint"] == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8000/")
    assert doctor._hub().facts["login"] == "none (what is public needs none) · set TIREG_HUB_TOKEN"
    monkeypatch.setenv("TIREG_HUB_TOKEN", "secret")
    assert doctor._hub().facts["login"] == "the token in TIREG_HUB_TOKEN is used"
    assert doctor._hub().facts["endpoint"] == "http://127.0.0.1:8000"
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    assert "is not encrypted" in doctor._hub().problems[0]
    assert "secret" not in str(doctor._hub())


def test_the_test_card_fits_any_size() -> None:
    for size in ((256, 160), (64, 40), (1024, 640)):
        card = make_testcard(*size)
        assert card.size == size
        assert len(card.getcolors(1 << 20) or []) > 50


@pytest.mark.slow
def test_the_command_prints_one_document() -> None:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / "cli"), str(root / "tui")])
    done = subprocess.run(
        [sys.executable, "-m", "tireg_cli", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    report = json.loads(done.stdout)
    assert {"device", "terminal", "registry", "settings", "hub", "software"} == set(report)
    assert report["terminal"]["facts"]["pictures"].startswith("off")
    assert "\x1b" not in done.stdout + done.stderr
