"""Kills writing processes at random moments and looks whether anything is lost.

    python -m tests.core.registry.crashing HOME ROUNDS SEED

Each round forks two children that add, remove, restore, alias, tag, rename, import a backup, collect garbage and
purge as fast as they can, and kills both with SIGKILL after a few steps. A child appends to a log what it was
told is done; nothing in the log may be missing afterwards. Prints one JSON document.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.core.registry.making import add_version
from tiregistry.errors import Conflict, Damaged, NotFound
from tiregistry.registry import backup, gc, merge, migrations, verify
from tiregistry.registry.registry import Registry

LOADED = (backup, gc, merge, migrations, verify)
"""Imported before forking: a child shall spend its short life writing."""

WORDS = ("gnome", "dwarf", "elf", "inky")


def work(home: Path, backup_file: Path, seed: int, steps: int) -> None:
    """Write without end; each step, done or refused, is told through the pipe `steps`."""
    choose = random.Random(seed)
    log = os.open(home.parent / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Registry.open(home) as registry:
        while True:
            os.write(steps, b"x")
            try:
                step(registry, choose, log, backup_file)
            except (NotFound, Conflict):
                continue  # another process was faster
            except Damaged as error:
                if "missing from the registry" not in error.message:
                    raise  # only a picture that gc took because it was not registered in time may be missing


def step(registry: Registry, choose: random.Random, log: int, backup_file: Path) -> None:
    """One random change."""
    word = choose.choice(WORDS)
    action = choose.choice(
        ["add"] * 6 + ["scratch", "remove", "restore", "alias", "alias", "tag", "rename", "merge", "gc", "purge"]
    )
    if action == "add":
        version = add_version(registry, word, choose.randrange(10**9), images=choose.randrange(3))
        os.write(log, f"{version.digest}\n".encode())
    elif action == "scratch":
        add_version(registry, "scratch", choose.randrange(20))
    elif action == "remove":
        registry.remove(choose.choice([word, f"{word}@1", "scratch", "scratch@1"]))
    elif action == "restore":
        registry.restore(choose.choice([word, f"{word}@1"]))
    elif action == "alias":
        registry.set_alias(word, choose.choice(["best", "old"]))
        if choose.random() < 0.3:
            registry.undo_alias(word, "best")
    elif action == "tag":
        registry.tag(word, add=[f"t{choose.randrange(9)}"], remove=[f"t{choose.randrange(9)}"])
    elif action == "rename":
        registry.rename(word, f"{word}-{choose.randrange(3)}")
        registry.rename(word, word)
    elif action == "merge":
        registry.merge_backup(backup_file)
    elif action == "gc":
        registry.gc(apply=True, grace=0.3)
    else:
        registry.purge([choose.choice(["scratch", "scratch@1"])])


def fork(function: object, *arguments: object) -> int:
    """Start a child that runs a function; its process id."""
    child = os.fork()
    if child:
        return child
    code = 3
    try:
        function(*arguments)  # type: ignore[operator]
        code = 0
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def check(home: Path) -> None:
    """Fail unless the registry is whole and holds everything the log says."""
    with Registry.open(home) as registry:
        report = registry.verify()
        assert not report.damages, report.damages
        log = home.parent / "log"
        promised = set(log.read_text().split()) if log.exists() else set()
        kept = {row[0] for row in registry.database.rows("SELECT digest FROM versions")}
        assert promised <= kept, f"{len(promised - kept)} of {len(promised)} versions are lost"


def make_backup(folder: Path) -> None:
    """A small backup to import.

    The driver makes it itself: what it has imported and used, its children need not load again in their short lives.
    No connection is open when it forks.
    """
    with Registry.open(folder / "home") as registry, contextlib.suppress(NotFound):
        for seed in range(3):
            add_version(registry, "gnome", 10**10 + seed)
        registry.backup(folder / "small.zip")
        registry.version("gnom")


def main(home: Path, rounds: int, seed: int) -> None:
    """Run the rounds, checking after every twentieth."""
    choose = random.Random(seed)
    tempfile.tempdir = str(home.parent)  # killed children leave temporary folders behind: here they go with the rest
    make_backup(home.parent / "other")
    unexpected = 0
    for number in range(rounds):
        # Every twentieth round kills the creation of a fresh registry.
        fresh = number % 20 == 0
        target = home.parent / f"fresh-{number}" / "home" if fresh else home
        target.parent.mkdir(exist_ok=True)
        backup_file = home.parent / "other" / "small.zip"
        told, steps = os.pipe()
        children = [fork(work, target, backup_file, choose.randrange(10**9), steps) for _ in range(2)]
        os.close(steps)
        if fresh:
            time.sleep(choose.uniform(0.0, 0.1))
        else:
            # Counting steps instead of time lets them get to work on a busy machine too.
            left = choose.randrange(1, 30)
            while left > 0:
                left -= len(os.read(told, left))
            time.sleep(choose.uniform(0.0, 0.004))
        for child in children:
            os.kill(child, signal.SIGKILL)
        os.close(told)
        unexpected += sum(os.waitpid(child, 0)[1] != signal.SIGKILL for child in children)
        if fresh or number % 20 == 19:
            assert os.waitpid(fork(check, target), 0)[1] == 0, f"round {number}"
    log = home.parent / "log"
    orphans = sum(1 for _ in (home / "blobs" / "tmp").iterdir())
    print(
        json.dumps(
            {
                "rounds": rounds,
                "promised": len(log.read_text().split()) if log.exists() else 0,
                "children_that_failed": unexpected,
                "temporary_files_left": orphans,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
