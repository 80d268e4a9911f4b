"""The check of the documentation finds what it is there to find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import check_docs


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "tiregistry" / "training").mkdir(parents=True)
    (tmp_path / "tiregistry" / "training" / "loop.py").touch()
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    check_docs._project_files.cache_clear()
    yield tmp_path / "page.md"
    check_docs._project_files.cache_clear()


def test_files_and_folders_that_a_page_names_are_there(page: Path) -> None:
    page.write_text("`training/loop.py`, `loop.py`, `tiregistry/training/`, `photos/`\n", encoding="utf-8")
    assert check_docs.missing_files(page) == []
    page.write_text("`training/loops.py`, `oop.py`, `tiregistry/runs/`\n", encoding="utf-8")
    assert [problem.split()[-1] for problem in check_docs.missing_files(page)] == [
        "training/loops.py",
        "oop.py",
        "tiregistry/runs/",
    ]


def test_links_lead_somewhere(page: Path) -> None:
    page.write_text("[one](tiregistry/training/loop.py) [two](gone.md#part)\n", encoding="utf-8")
    assert check_docs.broken_links(page) == ["page.md: link to gone.md#part leads nowhere"]


def test_commands_and_options_exist(page: Path) -> None:
    page.write_text("```sh\ntireg train gnome ./photos --init gnome\n```\n", encoding="utf-8")
    assert check_docs.wrong_commands(page) == []
    page.write_text("```sh\ntireg train gnome --unit gnome\ntireg learn gnome\n```\n", encoding="utf-8")
    assert [problem.rpartition(": ")[2] for problem in check_docs.wrong_commands(page)] == [
        "no option --unit",
        "no command learn",
    ]
