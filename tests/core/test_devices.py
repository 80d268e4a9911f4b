"""Devices, precisions and threads: what is chosen, and what a user is told of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch

from tiregistry.bases import devices
from tiregistry.bases.cpu_threads import BusyWatch, free_threads, threads_for, using_threads, wait_politely
from tiregistry.bases.memory import is_out_of_memory
from tiregistry.errors import InvalidConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("others", "usual", "processors", "threads"),
    [
        (None, 8, 8, 8),  # a system that does not tell
        (0.1, 2, 2, 2),
        (0.9, 2, 2, 1),
        (7.0, 2, 2, 1),  # never none
        (2.2, 8, 8, 6),
        (0.0, 4, 16, 4),  # torch's own choice is the most
    ],
)
def test_threads_leave_room_for_others(others: float | None, usual: int, processors: int, threads: int) -> None:
    assert threads_for(others, usual, processors) == threads


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/stat")
def test_others_are_seen_and_oneself_is_not() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        watch = BusyWatch()
        time.sleep(1.0)
        others = watch.others()
    finally:
        busy.kill()
        busy.wait()
    assert others is not None
    assert others > 0.1


def test_the_users_own_number_of_threads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BusyWatch, "others", lambda _: 100.0)
    with using_threads(3):
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert free_threads(BusyWatch()) == 3
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
        assert free_threads(BusyWatch()) == 1


def test_bf16_is_never_chosen_where_it_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "computes_in_bf16", lambda _: False)
    assert devices.choose_dtype("auto", CPU) == torch.float32
    assert devices.choose_dtype("auto", torch.device("cuda")) == torch.float16
    assert devices.choose_dtype("bf16", CPU) == torch.bfloat16
    note = devices.precision_note(torch.bfloat16, CPU)
    assert "only emulates bf16" in note
    assert "\n" not in note
    assert not devices.precision_note(torch.float32, CPU)
    monkeypatch.setattr(devices, "computes_in_bf16", lambda _: True)
    assert not devices.precision_note(torch.bfloat16, CPU)
    assert devices.choose_dtype("auto", torch.device("cuda")) == torch.bfloat16


def test_fp16_is_refused_on_a_cpu() -> None:
    with pytest.raises(InvalidConfig, match="fp16 does not work on a CPU"):
        devices.choose_dtype("fp16", CPU)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried to …"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_memory_that_ran_out_is_known_by_its_sayings(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("out of memory")])
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)]
)
def test_threads_wait_politely_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    wait_politely()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
