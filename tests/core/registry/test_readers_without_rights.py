"""Long-lived readers that may not write, beside an owner who does: never stale, never a false report of damage."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.core.registry.making import add_version
from tiregistry.registry.registry import Registry
from tiregistry.registry.unlocked import UnlockedFile

pytestmark = pytest.mark.skipif(
    os.name != "posix" or getattr(os, "geteuid", lambda: 1)() != 0, reason="another user's rights need root"
)
NOBODY = 65534


class Reader:
    """A process of a user who may only read, with a registry that stays open."""

    def __init__(self, home: Path) -> None:
        context = multiprocessing.get_context("fork")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, home))
        self._process.start()

    def ask(self, question: Callable[[Registry], Any] | str) -> Any:
        """What an expression over `registry` gives, or the text of its error."""
        self._ours.send(question)
        assert self._ours.poll(60)
        return self._ours.recv()

    def close(self) -> None:
        self._ours.send(None)
        self._process.join(60)


def _serve(questions: Connection, home: Path) -> None:
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    registry = Registry.open(home)
    while (question := questions.recv()) is not None:
        try:
            questions.send(eval(question, {"registry": registry, "hide_changes_once": _hide_changes_once}))
        except Exception as error:
            questions.send(f"{type(error).__name__}: {error}")
    os._exit(0)


def _hide_changes_once() -> bool:
    """As when the owner writes between the look at the file and the reading."""
    look = UnlockedFile.has_changed

    def has_changed(self: UnlockedFile) -> bool:
        UnlockedFile.has_changed = look  # type: ignore[method-assign]
        return False

    UnlockedFile.has_changed = has_changed  # type: ignore[method-assign]
    return True


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that every user can look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def opened(home: Path) -> Iterator[Callable[[], Reader]]:
    readers: list[Reader] = []

    def start() -> Reader:
        for path in (home, *home.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        readers.append(Reader(home))
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()


NAMES = "[concept.name for concept in registry.concepts()]"


def test_what_the_owner_writes_later_is_seen(home: Path, opened: Callable[[], Reader]) -> None:
    os.umask(0o022)
    with Registry.open(home) as owner:
        add_version(owner, "a", 1)
    reader = opened()
    assert reader.ask("(registry.readonly, registry.database._unlocked is not None)") == (True, True)
    assert reader.ask(NAMES) == ["a"]
    before = reader.ask("registry.changes()")
    for name, seed in (("b", 2), ("c", 3)):
        with Registry.open(home) as owner:  # opened and closed: no log is left behind
            add_version(owner, name, seed)
            (home / "registry.db-shm").chmod(0o644)
            (home / "registry.db-wal").chmod(0o644)
            assert reader.ask(NAMES) == ["a", "b", "c"][:seed]
        assert reader.ask("registry.concept('a').tags") == ()
    assert reader.ask("registry.changes()") != before
    assert reader.ask(NAMES) == ["a", "b", "c"]


def test_what_the_owner_wrote_and_closed_is_seen(home: Path, opened: Callable[[], Reader]) -> None:
    with Registry.open(home) as owner:
        add_version(owner, "a", 1)
    reader = opened()
    assert reader.ask(NAMES) == ["a"]
    before = reader.ask("registry.changes()")
    with Registry.open(home) as owner:
        add_version(owner, "b", 2)
    assert reader.ask("registry.changes()") != before
    assert reader.ask(NAMES) == ["a", "b"]


@pytest.mark.parametrize("question", ["len(registry.concepts('tag:new'))", "registry.concept('w150').notes[:5]"])
def test_a_file_that_is_rewritten_amid_reading_is_not_called_damaged(
    home: Path, opened: Callable[[], Reader], question: str
) -> None:
    with Registry.open(home) as owner, owner.transaction():
        for number in range(200):
            owner.create_concept(f"w{number}", f"<w{number}>", "object")
            owner.describe(f"w{number}", notes=f"first{number} " * 300)
    reader = opened()
    assert reader.ask("registry.concept('w0').notes[:5]") == "first"
    with Registry.open(home) as owner, owner.transaction():
        for number in range(0, 200, 2):
            owner.remove(f"w{number}")
        owner.purge()
        for number in range(1, 200, 2):
            owner.tag(f"w{number}", add=["new"])
            owner.describe(f"w{number}", notes=f"other{number} " * 900)
        owner.create_concept("w150", "<w150>", "object")
        owner.tag("w150", add=["new"])
        owner.describe("w150", notes="other")
    reader.ask("hide_changes_once()")
    found = reader.ask(question)
    assert "Damaged" not in str(found)
    assert found in (101, "other") or "try again" in str(found)
    assert reader.ask(question) in (101, "other")


def test_a_copy_of_a_database_with_a_log_is_made_anew(home: Path, opened: Callable[[], Reader]) -> None:
    owner = Registry.open(home)
    add_version(owner, "a", 1)
    saved = {path: path.read_bytes() for path in home.glob("registry.db*") if not path.name.endswith("-shm")}
    owner.close()
    for path, content in saved.items():
        path.write_bytes(content)
    reader = opened()
    assert reader.ask("registry.database._unlocked._folder is not None") is True
    assert reader.ask(NAMES) == ["a"]
    with Registry.open(home) as owner:
        add_version(owner, "b", 2)
    assert reader.ask(NAMES) == ["a", "b"]
