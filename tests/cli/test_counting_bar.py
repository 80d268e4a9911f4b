"""Progress where stderr is no terminal: lines now and then for long work, nothing for short work."""

from __future__ import annotations

import pytest

from tireg_cli import bar
from tireg_cli.bar import CountingBar


@pytest.mark.parametrize(
    ("every", "lines"), [(0, []), (30, ["measuring gnome 40/100", "measuring gnome 70/100", "measuring gnome 100/100"])]
)
def test_lines_now_and_then(
    every: float, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = [0.0]
    monkeypatch.setattr(bar.time, "monotonic", lambda: seconds[0])
    with CountingBar("measuring", lines_every=every) as counting:
        for done in range(10, 101, 10):
            counting(done, 100, "gnome")
            seconds[0] += 10
    assert capsys.readouterr().err.splitlines() == lines
