"""What stands in a row of the library, as text; no widget, since the first rows are painted before Textual is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tireg_tui.texts import formatting
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.concepts import Concept


class Column(NamedTuple):
    """A column of the library.

    Attributes:
        key: what it is.
        label: its heading.
        cells: its width, without the blank on both sides; of the word the least that stays readable.
        is_dim: it is of less weight than the others.
    """

    key: str
    label: str
    cells: int
    is_dim: bool = False


_WORD_CELLS = 26
"""What the word gets where there is room."""
# In the order in which they give way when the table becomes narrow: the last first.
_COLUMNS = (
    Column("mark", " ", 1),
    Column("token", "Word", 18),
    Column("type", "Type", 6, is_dim=True),
    Column("updated", "Changed", 10, is_dim=True),
    Column("versions", "Ver", 3),
    Column("tags", "Tags", 18, is_dim=True),
    Column("base", "Base", 14, is_dim=True),
)


def columns_within(width: int) -> list[Column]:
    """The columns that there is room for in so many cells; at least the mark and the word."""
    chosen: list[Column] = []
    left = width - 2
    for column in _COLUMNS:
        left -= column.cells + 2
        if left < 0 and len(chosen) >= 2:
            left += column.cells + 2
            break
        chosen.append(column)
    mark, word, *others = chosen
    return [mark, word._replace(cells=max(8, min(_WORD_CELLS, word.cells + left))), *others]


def word_of(concept: Concept) -> str:
    """A word as lists show it: `<gnome>`, and where it is called otherwise its name, by which it is sorted, first."""
    token = concept.placeholder_token
    return token if token == f"<{concept.name}>" else f"{concept.name} {token}"


def cells_of(concept: Concept, columns: list[Column], *, is_marked: bool = False) -> list[tuple[str, bool]]:
    """Safe text of every column for a concept, and whether it is of less weight."""
    texts = {
        "mark": "●" if is_marked else " ",
        "token": safe(word_of(concept), limit=140),
        "type": concept.concept_type,
        "updated": formatting.ago(concept.updated_at),
        "versions": f"{concept.num_versions:>3}",
        "tags": safe(" ".join(concept.tags), limit=60),
        "base": safe(concept.base_name, limit=40),
    }
    return [(texts[column.key], column.is_dim) for column in columns]
