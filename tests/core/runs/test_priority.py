"""Real processes that give way: how nice they are afterwards, and that nothing keeps them from going on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiregistry.runs import priority

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no niceness")
_TELL = (
    "import os; from tiregistry.runs.priority import give_way; give_way(); print(os.getpriority(os.PRIO_PROCESS, 0));"
    "print(open('/proc/self/autogroup').read() if os.path.exists('/proc/self/autogroup') else '')"
)


def told(prefix: list[str], *, own_session: bool) -> tuple[int, str]:
    """Niceness and autogroup of a process that has given way."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _TELL],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=own_session,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    niceness, _, group = done.stdout.partition("\n")
    return int(niceness), group.strip()


def autogroup() -> str:
    path = Path("/proc/self/autogroup")
    return path.read_text().strip() if path.exists() else ""


def test_a_process_with_its_own_session_gives_way_to_other_sessions() -> None:
    niceness, group = told([], own_session=True)
    assert niceness >= priority.NICENESS
    if group:
        assert group.endswith(f" nice {priority.NICENESS}")


def test_the_session_of_somebody_else_stays_as_it_is() -> None:
    before = autogroup()
    niceness, group = told([], own_session=False)
    assert niceness >= priority.NICENESS
    assert group == before == autogroup()


def test_a_process_that_is_nicer_already_stays_so() -> None:
    assert told(["nice", "-n", "15"], own_session=False)[0] >= 15


@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES, errno.EIO, errno.EAGAIN])
def test_a_system_that_refuses_is_no_failure(code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "setpriority", refuse)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    monkeypatch.setattr(priority, "_BETWEEN_SECONDS", 0.0)
    monkeypatch.setattr(priority, "_AUTOGROUP", tmp_path / "none")
    monkeypatch.setattr(Path, "write_text", refuse)
    priority.give_way()
    monkeypatch.undo()


def test_a_system_without_priorities_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "setpriority")
    priority.give_way()
