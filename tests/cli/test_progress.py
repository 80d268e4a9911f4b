"""What is said while words are learned: one by one, several in one pass, and stopped at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tireg_cli.interrupts import StopRequest
from tireg_cli.messages import fail, hint, lines_through, say, warn
from tireg_cli.progress import TrainingProgress, follow_all
from tiregistry.errors import Interrupted
from tiregistry.training.events import CheckpointSaved, Event, Finished, Started, StepDone


def started(name: str, first: int = 0, last: int = 3) -> Started:
    return Started(f"run-{name}", first, last, "cpu", 2, 1, name)


def step(name: str, number: int, loss: float = 0.5) -> StepDone:
    return StepDone(number, loss, 0.1, 2.0, f"run-{name}")


def test_a_single_word_is_told_by_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        for event in (started("pot"), step("pot", 1, 0.4), step("pot", 2, 0.6), step("pot", 3, 0.5)):
            progress.show(event)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "step 1/3  mean loss 0.4000  2.0 s/step  4 s left",
        "step 3/3  mean loss 0.5000  2.0 s/step  0 s left",
    ]


def test_every_word_of_a_pass_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("tireg_cli.progress.time.monotonic", lambda: clock[0])
    with TrainingProgress() as progress:
        for event in (started("pot"), started("jug", last=2), step("pot", 1), step("jug", 1, 0.25)):
            progress.show(event)
        clock[0] = 60.0
        for event in (step("pot", 2), step("jug", 2, 0.25), Finished("jug@1", 2, "finished", 4.0, "run-jug")):
            progress.show(event)
        clock[0] = 120.0
        progress.show(step("pot", 3))
    assert capsys.readouterr().err.splitlines()[2:] == [
        "pot step 1/3 mean loss 0.5000, jug step 1/2 mean loss 0.2500  2.0 s/step  4 s left",
        "jug@1: all 2 steps taken",
        "pot step 3/3 mean loss 0.5000, jug step 2/2 mean loss 0.2500  2.0 s/step  0 s left",
    ]


def test_a_word_that_was_cancelled_does_not_silence_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        for event in (started("pot", last=9), started("jug", last=9), step("pot", 1), step("jug", 1)):
            progress.show(event)
        progress._next_line = 0.0
        for number in (2, 3):
            progress.show(step("pot", number))
    assert "pot step 3/9" in capsys.readouterr().err.splitlines()[-1]


def test_many_words_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"word{number}" for number in range(16)]
    with TrainingProgress() as progress:
        for event in [started(name) for name in names] + [step(name, 1) for name in names]:
            progress.show(event)
    assert capsys.readouterr().err.splitlines()[-1] == "16 words at step 1/3  mean loss 0.5000  2.0 s/step  4 s left"


@pytest.mark.parametrize(
    ("names", "saved", "said"),
    [
        (["pot"], 1, "stopped at once, at step 2 · tireg runs resume run-pot goes on from step 1"),
        (["pot"], 0, "stopped at once, at step 2 · tireg runs resume run-pot begins again at its first step"),
        (["pot", "jug"], 1, "stopped at once · tireg runs resume run-pot run-jug goes on"),
    ],
)
def test_a_second_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], names: list[str], saved: int, said: str
) -> None:
    closed = []

    def events() -> Iterator[Event]:
        try:
            yield from map(started, names)
            for number in (1, 2):
                yield from (step(name, number) for name in names)
                if number == saved:
                    yield from (CheckpointSaved(number, Path("x"), f"run-{name}") for name in names)
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    with pytest.raises(Interrupted) as caught:
        follow_all(events(), StopRequest(""), [])
    assert closed
    capsys.readouterr()
    assert fail(caught.value) == 130
    assert capsys.readouterr().err == f"tireg: {said}\n"


def test_lines_go_above_the_bars_while_they_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with lines_through(lines.append):
        say("one")
        hint("two\x1b[2J")
        warn("three")
    say("four")
    assert lines[0] == "one"
    assert "\x1b" not in lines[1]
    assert lines[2] == "warning: three"
    assert capsys.readouterr().err == "four\n"


def test_results_come_in_the_order_of_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    ends = [Finished(f"{name}@1", 3, "finished", 1.0, f"run-{name}") for name in ("jug", "pot")]
    stop, finished = StopRequest(""), []
    follow_all([started("pot"), started("jug"), *ends], stop, finished)
    assert [end.reference for end in finished] == ["pot@1", "jug@1"]
    assert stop.armed


@pytest.mark.parametrize(("signal", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_that_python_wrapped_is_still_one(
    capsys: pytest.CaptureFixture[str], signal: BaseException, code: int
) -> None:
    wrapped = RuntimeError("Error calling __set_name__ on 'Field' instance")
    wrapped.__cause__ = signal
    assert fail(wrapped) == code
    assert "unexpected" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals of this kind")
def test_a_signal_that_comes_while_an_object_is_tidied_up_is_not_lost() -> None:
    code = """
import os, signal, time
from tireg_cli.lost_signals import send_again
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with it ignored
send_again()
class Tidied:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
tidied = Tidied()
try:
    del tidied
    for _ in range(500):
        time.sleep(0.01)
except KeyboardInterrupt:
    print("heard")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("heard\n", "")
