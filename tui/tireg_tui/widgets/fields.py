"""Names and values, one per line, aligned."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from tiregistry.text import safe


class Fields(Static):
    """A small table of facts; empty values are left out."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, markup=False)

    def show(self, facts: Mapping[str, object]) -> None:
        """Show these facts."""
        table = Table.grid(padding=(0, 2), expand=True)
        kept = {key: value for key, value in facts.items() if value not in (None, "", (), [])}
        table.add_column(width=max((cell_len(key) for key in kept), default=1), no_wrap=True, style="dim")
        table.add_column(ratio=1, overflow="fold")
        for key, value in kept.items():
            table.add_row(Text(key), Text(safe(value, limit=2000)))
        self.update(table)
