"""kill -9 between any two requests of a push or a pull; the next one completes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.hub.words import learn_history
from tests.hub_server import Fault, HubServer
from tests.hub_server.faults import Request
from tiregistry.hub.client import Hub
from tiregistry.hub.pull import pull_every_version
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.hub.tags import digest_tag
from tiregistry.registry.registry import Registry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked"),
]
ROOT = Path(__file__).parents[3]


class Zygote:
    """Starts work in processes that may be killed."""

    def __init__(self, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TIREG_"))}
        environment |= {"PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.child = 0

    def run(self, *command: str) -> int:
        """Do one thing; return how its process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        self.child = int(self._process.stdout.readline())
        return int(self._process.stdout.readline())

    def kill_child(self, _: Request) -> None:
        """For a fault: the request has come, and nobody waits for the answer any more."""
        while not self.child:
            time.sleep(0.001)
        os.kill(self.child, signal.SIGKILL)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    started = Zygote(tmp_path)
    yield started
    started.close()


def killing(zygote: Zygote, number: int) -> Fault:
    """Kill the process at its request `number`, which the server still carries out."""
    zygote.child = 0
    return Fault("", before=zygote.kill_child, skip=number)  # type: ignore[arg-type]


def test_push_killed_at_every_request(server: HubServer, alice: Hub, here: Registry, zygote: Zygote) -> None:
    (version,) = learn_history(here, 1)
    home = str(here.home)
    assert zygote.run("push", home, server.url, "alices-word", "alice/clean") == 0
    requests = len(server.log)
    expected = {p: f.sha256 for p, f in server.repos["alice/clean"].head.files.items() if p != "README.md"}

    for number in range(requests):
        repo_id = f"alice/try-{number}"
        server.protocol.objects.clear()
        server.faults = [killing(zygote, number)]
        assert zygote.run("push", home, server.url, "alices-word", repo_id) == -signal.SIGKILL, number
        server.faults = []

        push_version(here, version, repo_id, alice, PushOptions(with_images=True))

        repo = server.repos[repo_id]
        assert {p: f.sha256 for p, f in repo.head.files.items() if p != "README.md"} == expected, number
        assert [c.title for c in repo.history(repo.head)] == ["gnome version 1", "initial commit"]
        assert repo.tags == {"v1": repo.head.sha, digest_tag(version.digest): repo.head.sha}, number


def test_pull_killed_at_every_request(
    server: HubServer, alice: Hub, here: Registry, zygote: Zygote, tmp_path: Path
) -> None:
    versions = learn_history(here, 2)
    assert zygote.run("push", str(here.home), server.url, "alices-word", "alice/gnome") == 0
    start = len(server.log)
    assert zygote.run("pull", str(tmp_path / "clean"), server.url, "alices-word", "alice/gnome") == 0
    requests = len(server.log) - start

    for number in range(requests):
        home = tmp_path / f"registry-{number}"
        server.faults = [killing(zygote, number)]
        assert zygote.run("pull", str(home), server.url, "alices-word", "alice/gnome") == -signal.SIGKILL, number
        server.faults = []

        with Registry.open(home) as registry:
            list(pull_every_version(registry, "alice/gnome", alice))
            assert [v.digest for v in registry.versions("gnome")] == [v.digest for v in versions], number
            assert [len(registry.remotes(v)) for v in registry.versions("gnome")] == [1, 1], number
            assert registry.verify(quick=True).damages == []
