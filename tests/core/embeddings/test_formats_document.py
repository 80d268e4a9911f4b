"""The table of formats in the documentation is the one in the code, and the code knows every format it reports."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tiregistry.embeddings import formats
from tiregistry.embeddings.writing import WRITERS

ROOT = Path(__file__).parents[3]


def test_the_document_is_current(tmp_path):
    document = ROOT / "docs" / "formats.md"
    assert formats.main(["--check", str(document)]) == 0
    copy = tmp_path / "formats.md"
    shutil.copy(document, copy)
    copy.write_text(copy.read_text(encoding="utf-8").replace("| `sdxl` |", "| `sdxl`, edited |"), encoding="utf-8")
    assert formats.main(["--check", str(copy)]) == 1
    assert formats.main(["--write", str(copy)]) == 0
    assert copy.read_text(encoding="utf-8") == document.read_text(encoding="utf-8")
    assert formats.main([]) == 2


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
