"""`tireg push`, `pull` and `hub search` against the loopback Hub: output, exit codes, and the documentation's story."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.core.hub.words import BASE, SD15, SDXL, learn, vectors
from tests.hub_server import Fault, HubServer
from tireg_cli.main import run
from tiregistry.bases.identify import identify
from tiregistry.concepts import BaseModel, Parent
from tiregistry.embeddings.writing import Word, writer_for
from tiregistry.hub.client import Hub
from tiregistry.hub.endpoints import choose_endpoint
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.registry.registry import Registry

DOCUMENT = Path(__file__).parents[2] / "docs" / "sharing.md"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process may ask, as Alice."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("TIREG_HUB_TOKEN", "alices-word")
        monkeypatch.setenv("TIREG_HUB_TIMEOUT", "20")
        yield running


class Person:
    """Somebody with a registry of their own and a token."""

    def __init__(self, home: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.token, self._monkeypatch = home, token, monkeypatch

    def tireg(self, *arguments: str) -> int:
        self._monkeypatch.setenv("TIREG_HOME", str(self.home))
        self._monkeypatch.setenv("TIREG_HUB_TOKEN", self.token)
        return run(list(arguments))

    def digests(self) -> list[str]:
        with Registry.open(self.home) as registry:
            return [version.digest for version in registry.versions("gnome")]


@pytest.fixture
def alice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(tmp_path / "alice", "alices-word", monkeypatch)


@pytest.fixture
def bob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(tmp_path / "bob", "bobs-word", monkeypatch)


def documented(section: str) -> list[list[str]]:
    """The `tireg` commands of a section of docs/sharing.md, as lists of arguments."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [line.split("#")[0].split()[1:] for line in lines if line.startswith("tireg ")]


def test_the_story_in_the_documentation(
    server: HubServer, alice: Person, bob: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(alice.home) as registry:
        first = learn(registry)
        learn(registry, 1, parents=(Parent(first.digest, "continued"),))
    push_all, pull_all, history, show, push_back, check, pull = documented("Two people, one word")

    assert alice.tireg(*push_all) == 0
    assert server.repos["alice/gnome"].private
    server.protocol.users["bobs-word"] = "alice"  # Alice lets Bob in
    assert bob.tireg(*pull_all) == 0
    assert bob.digests() == alice.digests()
    assert bob.tireg(*history) == 0
    assert bob.tireg(*show) == 0

    with Registry.open(bob.home) as registry:
        learn(registry, 2, parents=(Parent(bob.digests()[1], "continued"),))
    assert bob.tireg(*push_back) == 0
    capsys.readouterr()
    assert alice.tireg(*check) == 0
    assert capsys.readouterr().out.split("\t")[:3] == ["alice/gnome", "gnome", "newer"]
    assert alice.tireg(*pull) == 0
    assert alice.digests() == bob.digests()
    assert len(alice.digests()) == 3


def test_push_says_what_becomes_readable_and_prints_data_apart(
    server: HubServer, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
    assert alice.tireg("push", "gnome", "--public", "--with-images", "--json") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["status"], document["repo_id"], document["private"]) == ("pushed", "alice/gnome", False)
    assert err.startswith("everybody will be able to read: the vectors")
    assert "2 source pictures, without their metadata" in err
    assert alice.tireg("push", "gnome") == 0
    assert "already there, nothing to send" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["push", "elf"], 3, "no concept is named 'elf'"),
        (["push", "gnome", "a/b/c"], 2, "is not a repository"),
        (["push", "gnome", "--all", "--pr"], 2, "do not go together"),
        (["push", "gnome", "--private", "--public"], 2, "--private and --public do not go together"),
        (["push", "gnome", "--with-images", "--without-images"], 2, "do not go together"),
        (["push", "gnome", "bob/gnome"], 5, "don't have the rights"),
        (["pull"], 2, "give a REPO"),
        (["pull", "alice/nothing"], 3, "there is no alice/nothing"),
        (["pull", "alice/gnome@v9"], 3, "does not exist"),
        (["pull", "alice/gnome", "--endpoint", "ftp://x"], 2, "is not the address of a Hub"),
        (["pull", "alice/gnome", "--endpoint", "http://127.0.0.1:9"], 5, "cannot be reached"),
        (["pull", "alice/broken"], 6, "alice/broken/tireg.json contradicts itself"),
        (["pull", "alice/cut"], 6, "alice/cut/tireg.json is damaged: it is cut off, or no JSON"),
        (["hub", "search", "--limit", "0"], 2, "out of range"),
        (["hub", "search", "--base", "nowhere"], 2, "is no base model of the Hub"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    arguments: list[str], code: int, line: str, server: HubServer, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
    server.add_repo("alice/gnome", {"a.txt": b"x"})
    server.add_repo("alice/cut", {"tireg.json": b'{"repository": "tireg-rep', "learned_embeds.bin": b"x"})
    server.add_repo("alice/broken", {"tireg.json": b'{"repository": "tireg-repository/1", "manifest": {}}'})
    assert alice.tireg(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert len(err.strip().splitlines()) == 1


class _Anything(BaseHTTPRequestHandler):
    """A server that says the same to everybody."""

    def do_GET(self) -> None:
        status, kind, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class _Files(SimpleHTTPRequestHandler):
    """`python3 -m http.server`."""

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], answer: tuple[int, str, bytes] | None = None) -> Iterator[str]:
    """The address of a web server that is no Hub."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.answer = answer  # type: ignore[attr-defined]
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize(
    ("handler", "answer"),
    [
        (_Files, None),
        (_Anything, (200, "text/html", b"<html>please sign in</html>")),
        (_Anything, (200, "application/json", b'{"status": "ok"}')),
        (_Anything, (200, "application/json", b'"ok"')),
    ],
    ids=["http.server", "a page", "another API", "a text"],
)
def test_what_is_no_hub_is_said_to_be_none(
    handler: type[BaseHTTPRequestHandler],
    answer: tuple[int, str, bytes] | None,
    server: HubServer,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
    with serving(handler, answer) as host:
        for arguments in (["hub", "search", "cat"], ["push", "gnome"], ["push", "gnome", "a/b"], ["pull", "a/b"]):
            monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
            assert alice.tireg(*arguments) == 5
            assert capsys.readouterr().err == f"tireg: {host} does not answer like a Hub · check HF_ENDPOINT\n"
        assert alice.tireg("pull", "a/b", "--endpoint", f"http://{host}/x") == 5
        assert capsys.readouterr().err == f"tireg: {host}/x does not answer like a Hub · check the address\n"


def test_only_what_can_be_drawn_is_proposed(
    server: HubServer, alice: Person, bob: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(repository: str) -> str:
        capsys.readouterr()
        assert bob.tireg("pull", repository) == 0
        return capsys.readouterr().err.strip()

    embedded = identify("embedded").fingerprint
    with Registry.open(tmp_path / "maker") as maker:
        learned = [
            learn(maker, 1, "elf"),  # on Stable Diffusion, which has a Hub id
            learn(maker, 2, "orc", fingerprint=SDXL, embedding=vectors(2, clip_l=768, clip_g=1280), base_name="mine"),
            learn(
                maker,
                3,
                "imp",
                fingerprint=embedded,
                embedding=vectors(3, clip_l=192),
                base_name="embedded",
                concept_type="style",
            ),
        ]
        for version in learned:
            push_version(maker, version, f"alice/{version.concept}", Hub(choose_endpoint()), PushOptions(private=False))
        bare = Word(embedding=vectors(4), name="cat", placeholder_token="<cat>")
        server.add_repo("alice/cat", writer_for("diffusers-bin").write(bare, "learned_embeds"))

    assert told("alice/elf").endswith(f'which is not here yet: tireg gen "a photo of <elf>" --base {BASE}')
    missing = "its base model is not here: tireg show {} tells what is known of it, gen --base names one"
    assert told("alice/orc") == missing.format("orc")
    assert told("alice/cat") == missing.format("cat")
    assert bob.tireg("gen", "<cat>", "--out", str(tmp_path)) == 4  # so this is not proposed
    assert told("alice/imp") == 'try it: tireg gen "a house in the style of <imp>"'
    with Registry.open(bob.home) as registry:
        registry.add_base(BaseModel("sd15", BASE, SD15))
        registry.remove("elf")
    assert told("alice/elf") == 'try it: tireg gen "a photo of <elf>"'


def test_a_moved_head_is_exit_code_4(server: HubServer, alice: Person, capsys: pytest.CaptureFixture[str]) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
    server.add_repo("alice/gnome", {"learned_embeds.bin": b"x"})
    assert alice.tireg("push", "gnome") == 4
    assert "--force puts yours on top" in capsys.readouterr().err


def test_a_search_without_a_text_does_not_speak_of_names(
    server: HubServer, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alice.tireg("hub", "search", "", "--author", "nobody-at-all") == 0
    assert capsys.readouterr().err.strip() == "nothing found"
    assert alice.tireg("hub", "search", "xyzzy") == 0
    assert "names of repositories" in capsys.readouterr().err


def test_another_word_takes_a_place_only_when_forced_and_says_what_goes(
    server: HubServer, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
        learn(registry, 1, "bigword")
    assert alice.tireg("push", "gnome", "--with-images") == 0
    before = server.repos["alice/gnome"].head.sha
    capsys.readouterr()
    assert alice.tireg("push", "bigword", "alice/gnome") == 4
    err = capsys.readouterr().err
    assert "holds another word, gnome (<gnome>), not bigword (<bigword>)" in err
    assert "tireg push bigword@1 OWNER/bigword" in err
    assert server.repos["alice/gnome"].head.sha == before
    assert alice.tireg("push", "bigword", "alice/gnome", "--force", "--dry-run") == 0
    assert "would take the place of another word, gnome (<gnome>)" in capsys.readouterr().err
    assert alice.tireg("push", "bigword", "alice/gnome", "--force") == 0
    assert f"they stay at {before[:12]} in the history" in " ".join(capsys.readouterr().err.split())


def test_a_conflict_shows_both_sides_each_on_its_line(
    server: HubServer, alice: Person, bob: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(alice.home) as registry:
        first = learn(registry)
    assert alice.tireg("push", "gnome") == 0
    server.protocol.users["bobs-word"] = "alice"
    assert bob.tireg("pull", "alice/gnome") == 0
    with Registry.open(bob.home) as registry:
        theirs = learn(registry, 1, parents=(Parent(first.digest, "continued"),))
    assert bob.tireg("push", "gnome") == 0
    with Registry.open(alice.home) as registry:
        ours = learn(registry, 2, parents=(Parent(first.digest, "continued"),))
    capsys.readouterr()

    assert alice.tireg("push", "gnome") == 4

    summary, there, here = capsys.readouterr().err.splitlines()
    assert summary.startswith("tireg: alice/gnome has moved; nothing was sent · tireg pull alice/gnome, then")
    head = server.repos["alice/gnome"].head.sha[:12]
    assert there == f"  there: version 2 ({theirs.digest[:19]}…) at {head}"
    assert here.startswith(f"  here:  gnome@2 ({ours.digest[:19]}…), seen last at ")
    assert here.endswith(" with gnome@1")


def test_pictures_that_were_not_shared_are_no_damage(
    server: HubServer, alice: Person, bob: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
    assert alice.tireg("push", "gnome", "--public") == 0
    assert bob.tireg("pull", "alice/gnome") == 0
    capsys.readouterr()
    assert bob.tireg("verify") == 0
    err = capsys.readouterr().err
    assert "originals of 2 files are not here (not shared with a word, or given up)" in err
    assert "everything is as it was" in err
    assert alice.tireg("verify") == 0
    assert "originals of" not in capsys.readouterr().err


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan", "inf"])
def test_a_time_limit_that_is_none_is_told(
    text: str, server: HubServer, alice: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIREG_HUB_TIMEOUT", text)
    assert alice.tireg("hub", "search", "gnome") == 0
    (warning, _) = capsys.readouterr().err.splitlines()
    assert warning == f"warning: TIREG_HUB_TIMEOUT={text} is no number of seconds above 0; 60 are used"


def test_switched_off_is_exit_code_5(
    server: HubServer, alice: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for arguments in (["hub", "search", "x"], ["pull", "a/b"], ["pull", "--check"]):
        assert alice.tireg(*arguments) == 5
        assert capsys.readouterr().err == (
            "tireg: the Hub is switched off by HF_HUB_OFFLINE · unset HF_HUB_OFFLINE to use it\n"
        )
    assert server.log == []


def test_a_rate_limit_is_announced(
    server: HubServer, alice: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = [Fault.status("GET /api/models$", 429, Retry_After="1")]
    assert alice.tireg("hub", "search", "gnome") == 0
    assert "the Hub's rate limit: going on in 1 s" in capsys.readouterr().err


def test_search_as_data_and_as_lines(server: HubServer, alice: Person, capsys: pytest.CaptureFixture[str]) -> None:
    with Registry.open(alice.home) as registry:
        learn(registry)
    assert alice.tireg("push", "gnome", "--public") == 0
    capsys.readouterr()
    assert alice.tireg("hub", "search", "gno", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["repo_id"], found["token"], found["here"]) == ("alice/gnome", "<gnome>", ["gnome@1"])
    assert alice.tireg("hub", "search", "gno") == 0
    assert capsys.readouterr().out.split("\t")[0] == "alice/gnome"


def test_a_repository_s_name_is_cut_last_and_what_is_here_is_told_newest_first(
    server: HubServer, alice: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "alice/a-gnome-with-a-rather-long-name-of-its-own"
    with Registry.open(alice.home) as registry:
        for seed in range(10):
            learn(registry, seed)
    assert alice.tireg("push", "gnome@9", name) == 0
    assert alice.tireg("push", "gnome@10", name) == 0
    capsys.readouterr()
    assert alice.tireg("hub", "search", "gnome", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["here"] == ["gnome@10", "gnome@9"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    assert alice.tireg("hub", "search", "gnome") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert row.startswith(f"{name}  <")
    assert "HERE" in header
    assert len(row) <= 100
