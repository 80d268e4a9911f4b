"""Hostile text, put wherever foreign text can come from, through every command: nothing reaches the terminal raw."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from safetensors.numpy import save_file

from tests.cli.running import Tireg
from tests.cli.test_help import ALL, IDS
from tests.core.registry.making import make_embedding
from tests.hostile import EVIL, EVIL_ARGUMENT, EVIL_NAME, EVIL_SHORT, check, evil_picture, fill
from tests.hub_server import Fault, HubServer
from tireg_cli.main import run
from tiregistry.registry.registry import Registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry that holds hostile text in every field that takes any text."""
    folder = tmp_path_factory.mktemp("evil")
    with Registry.open(folder / "home") as registry:
        fill(registry, folder)
    return folder


@pytest.fixture
def evil(filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    """A registry of one's own that is full of hostile text, and an empty working folder."""
    shutil.copytree(filled / "home", os.environ["TIREG_HOME"])
    monkeypatch.chdir(tmp_path)
    with Registry.open() as registry:
        yield registry


# -- what the registry holds ------------------------------------------------------------------------------------------

LOOKS = (
    "list", "list gnome", "list base:mine", "list --sort score", "show gnome", "show gnome@best",
    "diff gnome@1 gnome@2", "history gnome", "tag gnome", "alias gnome", "alias gnome --log", "note gnome",
    "note gnome@1", "note gnome --description", "note gnome --licence", "base list", "base show mine", "runs",
    "runs show --last", "gallery list", "gallery show 1", "gallery show 2", "verify", "gc",
)  # fmt: skip


@pytest.mark.parametrize("line", LOOKS)
def test_what_the_registry_holds_is_shown_safely(capsys: pytest.CaptureFixture[str], evil: Registry, line: str) -> None:
    capsys.readouterr()
    code = run(line.split())
    caught = capsys.readouterr()
    # Hostile text stands where digests belong, and verify has to say so.
    assert code == (6 if line == "verify" else 0), caught.err
    check(caught.out, caught.err)


JSON = (
    "list", "show gnome", "diff gnome@1 gnome@2", "history gnome", "base show mine", "base list", "note gnome",
    "gallery list", "gallery show 1", "runs", "runs show --last",
)  # fmt: skip


@pytest.mark.parametrize("line", JSON)
def test_json_is_ascii(tireg: Tireg, evil: Registry, line: str) -> None:
    result = tireg(*line.split(), "--json")
    assert result.out.isascii()
    check(result.out)
    assert result.json


def test_a_run_is_watched_safely(tireg: Tireg, evil: Registry) -> None:
    (failed,) = evil.runs(status="failed")
    result = tireg("runs", "watch", failed.id, code=1)
    assert "owned" in result.err  # what the run said was shown
    check(result.out, result.err)


def test_damage_with_hostile_names_is_reported_safely(tireg: Tireg, evil: Registry) -> None:
    evil.blobs.path(evil.version("gnome").images[0].digest).unlink()
    result = tireg("verify", code=6)
    assert "image" in result.out
    check(result.out, result.err)


# -- what is typed, or comes from a script ----------------------------------------------------------------------------

ORDINARY = {"gen": "a <nobody>", "demo": "nobody", "import": "nowhere.bin", "train": "nowhere"}
"""What arguments are where another one is hostile; without these, `nobody`. Each ends before anything heavy begins."""
LEFT_OUT = {("demo", "out"), ("tui", "images")}
"""A demo would be made in a folder of that name, and a TUI opened; see the tests of these."""


def hostile_calls(path: tuple[str, ...], command: click.Command) -> Iterator[list[str]]:
    """Calls of a command with hostile text in one place after the other."""
    usual = ORDINARY.get(path[0], "nobody")
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    for hostile in arguments:
        yield [EVIL_ARGUMENT if p is hostile else usual for p in arguments]
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag and (path[0], option.name) not in LEFT_OUT:
            yield [usual for _ in arguments] + [option.opts[0], EVIL_ARGUMENT]
    yield [f"--{EVIL_ARGUMENT}"]


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_every_argument_and_option_may_be_hostile(
    capsys: pytest.CaptureFixture[str], evil: Registry, path: tuple[str, ...], command: click.Command
) -> None:
    for arguments in hostile_calls(path, command):
        capsys.readouterr()
        code = run([*path, *arguments])
        caught = capsys.readouterr()
        check(caught.out, caught.err)
        assert "unexpected" not in caught.err, (arguments, caught.err)
        assert code in (0, 1, 2, 3, 4, 5, 6), arguments
    assert run([*path, f"--{EVIL_ARGUMENT}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


MORE = (
    ["list", f"since:{EVIL}"], ["list", f"from:{EVIL}"], ["show", f"gnome@{EVIL}"], ["tag", "gnome", EVIL],
    ["alias", "gnome", EVIL], ["rename", "gnome", EVIL], ["remove", "--empty-trash", "--older-than", EVIL, "--yes"],
    ["restore", "gnome", "--as", EVIL], ["verify", "--repair", "--from", EVIL], ["export", "gnome", f"/nowhere/{EVIL}"],
    ["train", "gnome", f"/nowhere/{EVIL}"], ["gen", f"a photo of <{EVIL}>"], ["gen", "a photo", "--base", EVIL], [EVIL],
    ["demo", "--out", f"/proc/{EVIL_NAME}"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", MORE, ids=lambda a: ascii(" ".join(a))[1:25])
def test_hostile_text_where_only_a_part_is_foreign(
    capsys: pytest.CaptureFixture[str], evil: Registry, arguments: list[str]
) -> None:
    capsys.readouterr()
    assert run([argument.replace("\n", "") for argument in arguments]) in (1, 2, 3, 4)
    caught = capsys.readouterr()
    check(caught.out, caught.err)
    assert "unexpected" not in caught.err, caught.err


# -- what files say ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a hostile name, full of files with hostile names, contents and metadata."""
    folder = tmp_path / EVIL_NAME
    folder.mkdir()
    for suffix in ("png", "safetensors", "pt", "bin", "zip", "webp"):
        (folder / f"{EVIL_NAME}.{suffix}").write_bytes(f"not what it says {EVIL}".encode("utf-8", "replace"))
    save_file({EVIL_ARGUMENT: make_embedding().tensors["clip_l"]}, folder / "good.safetensors", {EVIL: EVIL})
    (folder / "sharing.json").write_text(json.dumps({"name": EVIL}))
    (folder / "README.md").write_text(f"---\ntags: [{json.dumps(EVIL)}]\n---\n{EVIL}\n")
    (folder / "learned_embeds.json").write_text(json.dumps({"description": EVIL}))
    return folder


def test_files_with_hostile_names_and_contents(tireg: Tireg, folder: Path) -> None:
    for arguments in (
        ["import", str(folder)],
        ["import", str(folder), "--dry-run"],
        ["import", str(folder), "--json"],
        ["import", str(folder / "good.safetensors")],
        ["import", str(folder / f"{EVIL_NAME}.pt")],
        ["show", "good"],
        ["base", "add", str(folder)],
        ["verify", "--repair", "--from", str(folder)],
        ["restore", "--from", str(folder / f"{EVIL_NAME}.zip")],
        ["gen", "--like", str(folder / f"{EVIL_NAME}.png")],
        ["train", "gnome", str(folder)],
        ["backup", str(folder)],
        ["list"],
    ):
        tireg._capture.readouterr()
        run(arguments)
        caught = tireg._capture.readouterr()
        check(caught.out, caught.err)
        assert "unexpected" not in caught.err, (arguments, caught.err)


def test_a_home_and_an_environment_with_hostile_names(
    tireg: Tireg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / EVIL_NAME
    for name in ("HF_ENDPOINT", "TERM_PROGRAM", "TIREG_IMAGES", "TMUX", "EDITOR"):
        monkeypatch.setenv(name, EVIL_ARGUMENT)
    monkeypatch.setenv("TIREG_HOME", str(home))
    for arguments in (
        ["list"],
        ["doctor", "--no-show"],
        ["backup"],
        ["verify"],
        ["hub", "search", "x"],
        ["pull", "a/b"],
    ):
        tireg._capture.readouterr()
        monkeypatch.chdir(home if home.exists() else tmp_path)
        run(arguments)
        caught = tireg._capture.readouterr()
        check(caught.out, caught.err)
        assert "unexpected" not in caught.err, (arguments, caught.err)
    (home / "settings.toml").write_text(f"base = {json.dumps(EVIL)}\nimages = {json.dumps(EVIL)}\n")
    for arguments in (["doctor", "--no-show"], ["gen", "a house"], ["base", "default"]):
        run(arguments)
        caught = tireg._capture.readouterr()
        check(caught.out, caught.err)
    (home / "registry.db").write_bytes(b"no database")
    assert "damaged" in tireg("list", code=6).err


@pytest.mark.slow
def test_learning_and_generating_with_hostile_files_and_prompts(tireg: Tireg, tmp_path: Path) -> None:
    """The whole way with the embedded base: pictures with hostile names, EXIF and captions, then hostile prompts."""
    photos = tmp_path / EVIL_NAME
    photos.mkdir()
    (photos / f"{EVIL_NAME}.jpg").write_bytes(evil_picture("JPEG"))
    (photos / f"{EVIL_NAME}.txt").write_text(f"a photo {EVIL_SHORT}")
    words = ["--max-steps", "1", "--init", "teapot", "--preview", f"{{}} {EVIL_SHORT}"]
    (photos / "other.png").write_bytes(evil_picture())
    out = tmp_path / f"{EVIL_NAME} made"
    tireg._capture.readouterr()
    for arguments in (
        ["train", "gnome", str(photos), *words],
        ["show", "gnome"],
        ["runs", "show", "--last"],
        ["runs", "watch", "--last"],
        ["gen", "<gnome> abc\u202egnp", "--negative", "\u2066x", "--steps", "1", "--out", str(out)],
        ["gallery", "list"],
        ["gallery", "show", "1"],
        ["export", "gnome", str(out / f"{EVIL_NAME}.safetensors")],
    ):
        assert run(arguments) == 0, (arguments, tireg._capture.readouterr().err)
        caught = tireg._capture.readouterr()
        check(caught.out, caught.err)
        assert caught.out
    (made,) = out.glob("*.png")
    assert run(["gen", "--like", str(made), "--out", str(out)]) == 0
    caught = tireg._capture.readouterr()
    check(caught.out, caught.err)


# -- what servers say -------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process may ask."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("tiregistry.hub.transport._PAUSES", (0.01, 0.02))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("TIREG_HUB_TOKEN", "alices-word")
        monkeypatch.setenv("TIREG_HUB_TIMEOUT", "20")
        yield running


def test_a_hostile_hub(tireg: Tireg, evil: Registry, server: HubServer) -> None:
    def talk(*arguments: str) -> str:
        tireg._capture.readouterr()
        run(list(arguments))
        caught = tireg._capture.readouterr()
        check(caught.out, caught.err)
        assert "unexpected" not in caught.err, (arguments, caught.err)
        return caught.out + caught.err

    assert "alice/gnome" in talk("push", "gnome", "alice/gnome")  # cards, messages: all that the words hold
    card = server.repos["alice/gnome"].head.files["README.md"].data.decode()
    check(card)
    server.faults = [Fault.edit("GET /api/models$", lambda found: [_hostile(entry) for entry in found])]
    assert "owned" in talk("hub", "search", "gnome")
    server.faults = []
    talk("show", "gnome")
    server.repos["alice/gnome"].put("README.md", f"---\nbase_model: {json.dumps(EVIL)}\n---\n{EVIL}".encode())
    for line in ("pull alice/gnome", "pull alice/gnome --dry-run", "pull alice/gnome --json", "hub search gnome"):
        talk(*line.split())
    foreign = {"learned_embeds.bin": b"\x80\x02" + EVIL.encode(), f"{EVIL_NAME}.pt": EVIL.encode()}
    foreign |= {"token_identifier.txt": EVIL.encode(), "README.md": f"{EVIL}".encode()}
    server.add_repo("bob/foreign", foreign)
    server.repos["bob/foreign"].commit("main", dict(server.repos["bob/foreign"].head.files), EVIL, EVIL)
    for line in ("pull bob/foreign", f"pull bob/foreign@{EVIL_NAME}", "push gnome bob/foreign"):
        talk(*line.split(" ", 2))
    for path in ("/api/models", "/tree/", "/api/whoami", "/resolve/", "/preupload", "/commit/", "/api/"):
        for status in (401, 403, 404, 409, 500):
            server.faults = [Fault.status(path, status, error=EVIL, times=None)]
            for line in ("pull alice/gnome", "push gnome alice/gnome", "hub search gnome")[status % 3 :]:
                talk(*line.split())


def _hostile(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {
        "id": f"owned{EVIL_SHORT}{entry['id']}",
        "author": EVIL,
        "tags": [EVIL],
        "cardData": {"base_model": EVIL},
    }


# -- on a real terminal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["list", "show gnome", "verify", "diff gnome@1 gnome@2", "base list", "gallery list"])
def test_on_a_real_terminal_only_our_own_colours_remain(evil: Registry, line: str) -> None:
    """Through a pseudo-terminal, colours on: after taking out SGR, cursor moves of the progress bar and CR, nothing."""
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
    assert "gnome" in text or line in ("verify", "base list", "gallery list")
    check(text)


def test_a_traceback_asked_for_is_safe_too(tireg: Tireg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIREG_DEBUG", "1")
    result = tireg("restore", "--from", EVIL_ARGUMENT, code=3)
    assert "Traceback" in result.err
    check(result.err)
