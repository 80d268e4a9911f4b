"""A window that is closed amid a training: what was learned is kept, as after Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.terminal import double
from tests.terminal.double import TerminalDouble
from tests.terminal.running import await_that
from tiregistry.registry.registry import Registry


def test_a_window_that_is_closed_keeps_what_was_learned(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    home = tmp_path / "home"
    train = ["train", "gnome", str(tmp_path / "red.png"), "--max-steps", "100000", "--no-stop", "--batch-size", "1"]
    command = [sys.executable, "-m", "tireg_cli", *train, "--device", "cpu"]
    with TerminalDouble(command, double.PLAIN, environment={"TIREG_HOME": str(home)}) as terminal:
        assert await_that(terminal, lambda: b"steps/s" in terminal.text() or b"s/step" in terminal.text())
        terminal.hang_up()
        assert terminal.wait(120) is not None
    with Registry.open(home) as registry:
        (version,) = registry.versions("gnome")
        run = registry.last_run()
        assert run is not None
        assert registry.record(version)["stop_reason"] == "interrupted"
        assert (run.status, run.step) == ("interrupted", registry.record(version)["steps"])
