"""The page about training lists every setting as the code explains it, and its plan works."""

from __future__ import annotations

import re
from pathlib import Path

from tiregistry.training.plan import read_plan
from tools.training_options import PAGE, updated


def test_the_list_of_settings_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert updated(page) == page, "run: python -m tools.training_options"


def test_the_plan_on_the_page_can_be_read(tmp_path: Path) -> None:
    plan = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert plan is not None
    (tmp_path / "plan.toml").write_text(plan[1], encoding="utf-8")
    read = read_plan(tmp_path / "plan.toml")
    assert [concept.name for concept in read.concepts] == ["gnome", "inkwash"]
    assert read.concepts[0].images == [tmp_path / "photos/gnome"]
    assert read.concepts[1].config.concept_type == "style"
    assert read.concepts[1].config.max_steps == 400
