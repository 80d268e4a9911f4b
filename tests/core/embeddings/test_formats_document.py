"""The table of formats in the documentation is current, and has a row for every format that the code reports."""

from __future__ import annotations

import re
from pathlib import Path

from tiregistry.embeddings.writing import WRITERS
from tools import embedding_formats as formats
from tools.embedding_formats import PAGE, updated

ROOT = Path(__file__).parents[3]


def test_the_table_is_current():
    page = PAGE.read_text(encoding="utf-8")
    assert updated(page) == page, "run: python -m tools.embedding_formats"
    assert updated(page.replace("| `sdxl` |", "| `sdxl`, edited |")) == page


def test_every_id_in_the_code_has_a_row():
    source = "".join(
        (ROOT / "tiregistry" / "embeddings" / f"{name}.py").read_text() for name in ("classify", "reading", "folders")
    )
    used = set(re.findall(r'(?:_single|Draft)\(\s*"([a-z0-9-]+)"', source))
    used |= set(re.findall(r'draft\.format(?:, draft\.label)? = "([a-z0-9-]+)"', source))
    assert used
    assert used <= {entry.id for entry in formats.FORMATS}


def test_every_writer_is_in_the_table_and_offered_by_the_command():
    assert {name for entry in formats.FORMATS for name in entry.writes} == set(WRITERS)
    from tireg_cli.commands.export import _FORMATS
    from tiregistry.exchange.exporting import FORMATS

    assert _FORMATS == FORMATS
