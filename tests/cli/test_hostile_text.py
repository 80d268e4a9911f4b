"""Hostile text, put wherever foreign text can come from, through every command: nothing reaches the terminal raw."""

from __future__ import annotations

import os
import pty
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from tests.cli.running import Tireg
from tests.core.registry.making import SD15, make_embedding
from tests.core.test_text import HOSTILE, acts_on_a_terminal
from tireg_cli.main import COMMANDS, run
from tiregistry.concepts import BaseModel, NewVersion, Parent, Remote, SourceImage
from tiregistry.registry.registry import Registry

# Everything at once, without what SQLite or the system cannot hold (lone surrogates in the database, NUL in names).
EVIL = "".join(HOSTILE).replace("\udc9b", "").replace("\x00", "")
EVIL_ARGUMENT = EVIL.replace("\n", "")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def evil() -> Iterator[Registry]:
    """A registry that holds hostile text in every field that takes any text."""
    with Registry.open() as registry:
        image = SourceImage(registry.blobs.add(b"picture"), f"{EVIL}.png", 1, 1, f"a photo {EVIL}")
        for seed in range(2):
            new = NewVersion(
                concept="gnome",
                placeholder_token="<gnome>",
                concept_type="object",
                origin="trained",
                fingerprint=SD15,
                base_name=EVIL,
                images=(image,),
                training={EVIL: EVIL, "note": EVIL, "seed": seed},
                parents=(Parent(EVIL, "continued"),),
                record={"loss": [1.0, 0.5], EVIL: EVIL},
                attachments={EVIL: registry.blobs.add(b"original")},
                description=EVIL,
                licence=EVIL,
            )
            version = registry.add_version(new, make_embedding(seed))
            registry.set_scores(version, {EVIL: 0.5 + seed})
            registry.set_version_notes(version, EVIL)
            registry.add_remote(version, Remote("", "", "push", EVIL, EVIL, EVIL, EVIL))
        registry.describe("gnome", notes=EVIL)
        registry.set_alias("gnome@1", "best")
        registry.add_base(BaseModel("mine", f"/models/{EVIL}", SD15, EVIL))
        run_ = registry.create_run("gnome", {EVIL: EVIL}, 10)
        registry.update_run(run_.id, status="failed", message=EVIL)
        registry.add_picture(f"/{EVIL}.png", EVIL, {EVIL: EVIL}, words=[version.digest], base_name=EVIL)
        yield registry


LOOKS = (
    "list", "list gnome", "list base:mine", "show gnome", "show gnome@best", "diff gnome@1 gnome@2", "history gnome",
    "tag gnome", "alias gnome", "alias gnome --log", "note gnome", "note gnome@1", "note gnome --description",
    "note gnome --licence", "base list", "base show mine", "runs", "runs show --last", "gallery list", "verify", "gc",
)  # fmt: skip


def check(*texts: str) -> None:
    """Fail when a text holds a character that a terminal would act on."""
    for text in texts:
        raw = [ascii(c) for c in text if acts_on_a_terminal(c) and c not in "\n\t"]
        assert not raw, (raw[:5], ascii(text[:500]))


@pytest.mark.parametrize("line", LOOKS)
def test_what_the_registry_holds_is_shown_safely(capsys: pytest.CaptureFixture[str], evil: Registry, line: str) -> None:
    capsys.readouterr()
    assert run(line.split()) == 0, capsys.readouterr().err
    caught = capsys.readouterr()
    check(caught.out, caught.err)


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "show gnome",
        "diff gnome@1 gnome@2",
        "history gnome",
        "base show mine",
        "note gnome",
        "gallery list",
        "runs",
    ],
)
def test_json_is_ascii(tireg: Tireg, evil: Registry, line: str) -> None:
    result = tireg(*line.split(), "--json")
    assert result.out.isascii()
    check(result.out)
    assert result.json


def test_damage_with_hostile_names_is_reported_safely(tireg: Tireg, evil: Registry) -> None:
    evil.blobs.path(evil.version("gnome").images[0].digest).unlink()
    result = tireg("verify", code=6)
    assert "image" in result.out
    check(result.out, result.err)


HOSTILE_ARGUMENTS = (
    ["list", EVIL], ["list", f"since:{EVIL}"], ["list", f"from:{EVIL}"], ["list", "--fits", EVIL],
    ["show", EVIL], ["show", f"gnome@{EVIL}"], ["diff", EVIL, EVIL], ["history", EVIL], ["tag", "gnome", EVIL],
    ["tag", EVIL, "x"], ["alias", "gnome", EVIL], ["rename", "gnome", EVIL], ["rename", EVIL, "x"], ["note", EVIL, "x"],
    ["remove", EVIL], ["remove", "--empty-trash", "--older-than", EVIL], ["remove", EVIL, "--purge"], ["restore", EVIL],
    ["restore", "gnome", "--as", EVIL], ["restore", "--from", EVIL], ["verify", "--repair", "--from", EVIL],
    ["gc", "--grace", EVIL], ["backup", f"/nowhere/{EVIL}"], ["base", "add", EVIL], ["base", "show", EVIL],
    ["base", "default", EVIL], ["base", "remove", EVIL], ["import", EVIL], ["export", EVIL, "/nowhere/x"],
    ["export", "gnome", f"/nowhere/{EVIL}"], ["runs", "show", EVIL], [EVIL], ["--" + EVIL],
)  # fmt: skip


@pytest.mark.parametrize("arguments", HOSTILE_ARGUMENTS, ids=lambda a: ascii(" ".join(a))[1:25])
def test_errors_repeat_hostile_arguments_safely(
    capsys: pytest.CaptureFixture[str], evil: Registry, arguments: list[str]
) -> None:
    capsys.readouterr()
    run([argument.replace("\n", "") for argument in arguments])
    caught = capsys.readouterr()
    check(caught.out, caught.err)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_refuses_hostile_options_safely(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run([name, f"--{EVIL_ARGUMENT}"]) == 2
    caught = capsys.readouterr()
    check(caught.out, caught.err)
    assert len(caught.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", EVIL_ARGUMENT, "/nowhere"],
        ["train", "gnome", f"/nowhere/{EVIL_ARGUMENT}"],
        ["train", "gnome", "/nowhere", "--base", EVIL_ARGUMENT],
        ["gen", f"a photo of <{EVIL_ARGUMENT}>"],
        ["gen", "a photo", "--base", EVIL_ARGUMENT],
    ],
    ids=lambda a: a[0],
)
def test_training_and_generating_with_hostile_arguments(
    capsys: pytest.CaptureFixture[str], evil: Registry, arguments: list[str]
) -> None:
    assert run(arguments) in (2, 3, 5)
    caught = capsys.readouterr()
    check(caught.out, caught.err)


def test_files_with_hostile_names_and_contents(tireg: Tireg, tmp_path: Path) -> None:
    name = EVIL_ARGUMENT.replace("/", "")[:60]
    bad = tmp_path / name
    bad.mkdir()
    for file in (bad / f"{name}.png", bad / f"{name}.safetensors", bad / f"{name}.pt"):
        file.write_bytes(f"not what it says {EVIL}".encode("utf-8", "replace"))
    save_file({EVIL_ARGUMENT: make_embedding().tensors["clip_l"]}, bad / "good.safetensors", {EVIL: EVIL})
    for arguments in (["import", str(bad)], ["import", str(bad / "good.safetensors")], ["base", "add", str(bad)],
                      ["verify", "--repair", "--from", str(bad)], ["backup", str(bad)]):  # fmt: skip
        tireg._capture.readouterr()
        run(arguments)
        caught = tireg._capture.readouterr()
        check(caught.out, caught.err)


@pytest.mark.parametrize("line", ["list", "show gnome", "verify", "diff gnome@1 gnome@2", "base list"])
def test_on_a_real_terminal_only_our_own_colours_remain(evil: Registry, line: str) -> None:
    """Through a pseudo-terminal, colours on: after taking out SGR, cursor moves of the progress bar and CR, nothing."""
    import re

    shown = b""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT}"}
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, "-m", "tireg_cli", *line.split()])
    while True:
        try:
            piece = os.read(terminal, 10_000)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.waitpid(child, 0)
    text = re.sub(r"\x1b\[(?:0|1|2|31|33|39|22)m|\x1b\[K|\r", "", shown.decode())
    assert "gnome" in text or line in ("verify", "base list")
    check(text)
    shutil.rmtree(evil.home, ignore_errors=True)
