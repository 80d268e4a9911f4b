"""The queue's order: moved, held, released, and followed by the workers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tiregistry.errors import Conflict
from tiregistry.registry.registry import Registry
from tiregistry.runs.control import cancel, queue_again
from tiregistry.runs.ordering import hold, move, release

Names = Callable[[], list[str]]


@pytest.fixture
def names(registry: Registry) -> Names:
    for name, group in (("a", ""), ("b", "pass"), ("c", "pass"), ("d", "")):
        config: dict[str, Any] = {"background": True, "group": group}
        registry.create_run(name, config, 10)
    return lambda: [run.concept for run in registry.queue()]


def of(registry: Registry, name: str) -> Any:
    return registry.runs(concept=name)[0]


def test_moved_runs_are_taken_in_their_new_order(registry: Registry, names: Names) -> None:
    assert names() == ["a", "b", "c", "d"]
    move(registry, of(registry, "d"), "first")
    assert names() == ["d", "a", "b", "c"]
    move(registry, of(registry, "c"), "up")  # those of one pass go together
    assert names() == ["d", "b", "c", "a"]
    move(registry, of(registry, "d"), "down")
    move(registry, of(registry, "a"), "last")
    assert names() == ["b", "c", "d", "a"]
    registry.create_run("e", {}, 10)
    assert names()[-1] == "e"
    taken = [registry.claim_run(device="cpu", pid=os.getpid()) for _ in range(5)]
    assert [run.concept for run in taken if run] == ["b", "c", "d", "a", "e"]


def test_held_runs_are_passed_over_until_released(registry: Registry, names: Names) -> None:
    hold(registry, of(registry, "a"))
    hold(registry, of(registry, "b"))
    assert [run.held for run in registry.queue()] == [True, True, True, False]
    taken = registry.claim_run(device="cpu", pid=os.getpid())
    assert taken is not None
    assert taken.concept == "d"
    assert registry.claim_run(device="cpu", pid=os.getpid()) is None
    assert [run.concept for run in release(registry, of(registry, "c"))] == ["b", "c"]
    taken = registry.claim_run(device="cpu", pid=os.getpid())
    assert taken is not None
    assert taken.concept == "b"


def test_what_does_not_wait_cannot_be_ordered(registry: Registry, names: Names) -> None:
    run = of(registry, "a")
    hold(registry, run)
    cancel(registry, run)
    for act in (lambda: move(registry, run, "first"), lambda: hold(registry, run), lambda: release(registry, run)):
        with pytest.raises(Conflict, match="not in the queue"):
            act()
    queue_again(registry, run)
    assert names()[-1] == "a"
    assert not of(registry, "a").held
