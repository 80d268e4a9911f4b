"""The main states as SVG at three sizes, compared with what was seen and found good.

After a change that is meant: `TIREG_UPDATE_SNAPSHOTS=1 pytest tests/tui/test_snapshots.py`, then look at the files that
changed in tests/tui/snapshots (a browser shows them).
"""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.strip import Strip

from tests.tui.conftest import drive
from tests.tui.states import STATES, frozen_registry
from tiregistry.graphics.terminal import Terminal

FOLDER = Path(__file__).parent / "snapshots"
SIZES = [(60, 20), (100, 30), (150, 45)]
_MADE_WITH = FOLDER / "made-with.txt"
_UPDATES = os.environ.get("TIREG_UPDATE_SNAPSHOTS") == "1"


def plain(svg: str) -> str:
    """Without what is the same in all (fonts) or differs each time (ids of clips and runs), a line for each element."""
    svg = re.sub(r"terminal-\d+-", "t-", svg)
    svg = re.sub(r"\b\d{6}-\d{6}-[a-z0-9]{3}", "261231-235959-abc", svg)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"[ \t]+\n|\n\s*\n", "\n", svg.replace("><", ">\n<"))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_states_look_as_they_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    made_with = _MADE_WITH.read_text().strip() if _MADE_WITH.exists() else ""
    if made_with != version("textual") and not _UPDATES:
        pytest.skip(f"the snapshots were made with textual {made_with}, here is {version('textual')}")
    home = frozen_registry(tmp_path / "home", monkeypatch)

    async def story(pilot: Pilot[None]) -> dict[str, str]:
        pilot.app.animation_level = "none"
        taken = {}
        for name, reach in STATES.items():
            await reach(pilot)
            pilot.app.clear_notifications()  # they go after seconds, and a busy machine takes longer
            before: list[Strip] = []
            while before != (now := pilot.app.screen._compositor.render_strips()):
                before = now  # tables find the width of their columns when there is nothing else to do
                await pilot.pause(0.2)
            taken[name] = plain(pilot.app.export_screenshot(title="tireg", simplify=True))
        return taken

    taken = drive(home, story, size=size, terminal=Terminal("off"))
    changed = []
    for name, svg in taken.items():
        file = FOLDER / f"{name}-{size[0]}x{size[1]}.svg"
        if _UPDATES:
            FOLDER.mkdir(exist_ok=True)
            file.write_text(svg)
            _MADE_WITH.write_text(version("textual") + "\n")
        elif not file.exists() or file.read_text() != svg:
            seen = tmp_path / file.name
            seen.write_text(svg)
            changed.append(f"{file} is now {seen}")
    assert not changed, "\n".join(changed)
