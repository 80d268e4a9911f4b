"""Child processes of the TUI end when they are given up, and leave nothing to an event loop that has ended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tireg_tui.processes.line_child import LineChild
from tireg_tui.processes.tireg_process import ChildFailed, output_of_command
from tiregistry.runs.priority import NICENESS


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[list[str]]:
    """A child whose own child outlives it, and holds its pipes."""
    pid = tmp_path / "pid"
    yield ["sh", "-c", f"sleep 60 & echo $! > '{pid}'; echo '{{}}'; wait"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_asked_and_ended(talks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    async def story() -> float:
        child = LineChild(tmp_path)
        await child.start(talks)
        assert await child.receive() == {}
        began = time.monotonic()
        await child.stop()
        return time.monotonic() - began

    assert asyncio.run(story()) < 30
    gc.collect()
    assert complaints == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no niceness")
@pytest.mark.parametrize("gives_way", [False, True])
def test_who_works_hard_gives_way_to_the_keys(gives_way: bool, tmp_path: Path) -> None:
    async def niceness() -> object:
        child = LineChild(tmp_path)
        # It asks when it is told to: by then its parent has gone on.
        tell = "import json, os; input(); print(json.dumps({'nice': os.getpriority(os.PRIO_PROCESS, 0)}), flush=True)"
        await child.start([sys.executable, "-c", tell], gives_way=gives_way)
        await child.send({})
        answer = await child.receive()
        await child.stop()
        return answer["nice"]

    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert asyncio.run(niceness()) == (max(own, NICENESS) if gives_way else own)


def test_given_up(talks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    async def story() -> float:
        asking = asyncio.create_task(output_of_command(talks, tmp_path))
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.05)
        began = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return time.monotonic() - began

    assert asyncio.run(story()) < 30
    gc.collect()
    assert complaints == []


def test_a_child_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo 'a warning of no importance' >&2; echo '{}'; read line; kill -KILL $$"]

    async def story() -> None:
        child = LineChild(tmp_path)
        await child.start(command)
        assert await child.receive() == {}
        await child.send({})
        with pytest.raises(ChildFailed, match="was killed") as caught:
            await child.receive()
        assert "SIGKILL" in caught.value.message
        assert "memory" in caught.value.hint
        await child.stop()

    asyncio.run(story())
