"""The end does not wait for what will never come, and waits for what changes the registry."""

from __future__ import annotations

import threading

import pytest

from tireg_tui.background import threads
from tireg_tui.background.threads import Threads


def test_the_end_comes_without_a_thread_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_READING_SECONDS", 0.2)
    hang, pool = threading.Event(), Threads()
    running = pool.submit(hang.wait, 60)
    pool.shutdown()
    assert pool.are_left
    hang.set()
    assert running.result(60)


def test_the_end_waits_for_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_READING_SECONDS", 0.0)
    pool, done = Threads(), threading.Event()
    pool.changing = 1
    running = pool.submit(done.wait, 60)
    threading.Timer(0.3, done.set).start()
    pool.shutdown()
    assert running.result(0)
    pool.shutdown()
    assert not pool.are_left
