"""The table of concepts: a page at a time, so that ten thousand words open as fast as ten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from tireg_tui import shown
from tireg_tui.messages import ConceptChosen, ConceptHighlighted
from tireg_tui.widgets.table import Table
from tiregistry.errors import TiregError
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.concepts import Concept
    from tiregistry.registry.registry import Registry

PAGE = 100
SORTS = {
    "updated": "last changed first",
    "name": "by name",
    "created": "newest first",
    "versions": "most versions first",
}
"""Orders of the registry, and how they are called here."""
# In the order in which they give way when the table becomes narrow: the last first.
_COLUMNS = (
    ("mark", " ", 1),
    ("token", "Word", 26),
    ("type", "Type", 6),
    ("updated", "Changed", 10),
    ("versions", "Ver", 3),
    ("tags", "Tags", 18),
    ("base", "Base", 14),
)


class ConceptTable(Table):
    """Rows of concepts for a query, loaded as the cursor comes near their end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", id="library.mark"),
        Binding("s", "sort", "Sort", id="library.sort"),
    ]

    class Loaded(Message):
        """The table shows the result of a query.

        Attributes:
            count: rows that are loaded.
            complete: there are no more.
        """

        def __init__(self, count: int, complete: bool) -> None:
            super().__init__()
            self.count, self.complete = count, complete

    class SortAsked(Message):
        """The next order is wanted."""

    class EndAsked(Message):
        """All rows are wanted, with the cursor on the last."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.concept_query, self.order = "", "updated"
        self.marked: set[str] = set()
        self._names: list[str] = []
        self._complete = False
        self._shown: list[str] = []
        self._concepts: list[Concept] = []

    def on_resize(self) -> None:
        """Show as many columns as fit, so that nothing has to be scrolled sideways."""
        fitting: list[str] = []
        used = 2
        for key, _, width in _COLUMNS:
            used += width + 2
            if used <= self.size.width or len(fitting) < 2:
                fitting.append(key)
        if fitting == self._shown:
            return
        self._shown = fitting
        row = self.cursor_row
        self.clear(columns=True)
        for key, label, width in _COLUMNS:
            if key in fitting:
                self.add_column(
                    label, key=key, width=min(width, max(8, self.size.width - 8)) if key == "token" else width
                )
        for concept in self._concepts:
            self.add_row(*self._cells(concept), key=concept.name)
        self.move_cursor(row=row, animate=False)

    @property
    def current(self) -> str:
        """Name of the concept under the cursor; empty when there is none."""
        return self._names[self.cursor_row] if 0 <= self.cursor_row < len(self._names) else ""

    @property
    def names(self) -> list[str]:
        """Names of the loaded rows, in order."""
        return list(self._names)

    @property
    def chosen(self) -> list[str]:
        """The marked concepts, or the one under the cursor."""
        return sorted(self.marked) if self.marked else [self.current] if self.current else []

    # -- loading -------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="concepts", exit_on_error=False)
    async def load(self, registry: Registry, query: str, *, keep: str = "") -> None:
        """Show the concepts that match, with the cursor on `keep` (default: where it is)."""
        wanted = keep or self.current
        limit = PAGE if query != self.concept_query else max(PAGE, len(self._names))
        try:
            found = await asyncio.to_thread(registry.concepts, query, sort=self.order, limit=limit)
        except TiregError as error:
            self.post_message(Failed(error))
            return
        self.concept_query = query
        names = [concept.name for concept in found]
        if names == self._names:
            self._concepts = list(found)
            for concept in found:
                self._update(concept)
        else:
            with self.app.batch_update():
                top = self.scroll_y
                self.clear()
                self._names, self._concepts = [], []
                self._append(found)
                if wanted in names:
                    self.move_cursor(row=names.index(wanted), scroll=False)
                    self.scroll_to(y=top, animate=False)
        self._complete = len(found) < limit
        self.marked &= set(names) | (set() if self._complete else self.marked)
        self.post_message(self.Loaded(len(names), self._complete))
        self.post_message(ConceptHighlighted(self.current))

    @work(exclusive=True, group="concepts", exit_on_error=False)
    async def _load_more(self, registry: Registry, everything: bool) -> None:
        start = len(self._names)
        try:
            found = await asyncio.to_thread(
                registry.concepts,
                self.concept_query,
                sort=self.order,
                limit=None if everything else PAGE,
                offset=start,
            )
        except TiregError as error:
            self.post_message(Failed(error))
            return
        self._append(found)
        self._complete = everything or len(found) < PAGE
        self.post_message(self.Loaded(len(self._names), self._complete))
        if everything:
            self.move_cursor(row=len(self._names) - 1, animate=False)

    def more(self, registry: Registry, *, everything: bool = False) -> None:
        """Load the next page, or all that is left."""
        if not self._complete:
            self._load_more(registry, everything)

    def _append(self, found: Sequence[Concept]) -> None:
        known = set(self._names)
        for concept in found:
            if concept.name not in known:  # a page may overlap when another process has added concepts
                self.add_row(*self._cells(concept), key=concept.name)
                self._names.append(concept.name)
                self._concepts.append(concept)

    def _update(self, concept: Concept) -> None:
        for key, cell in zip(self._shown, self._cells(concept), strict=True):
            if self.get_cell(concept.name, key) != cell:
                self.update_cell(concept.name, key, cell)

    def _cells(self, concept: Concept) -> list[Text]:
        cells = {
            "mark": Text("●" if concept.name in self.marked else " "),
            "token": Text(safe(concept.placeholder_token, limit=64), no_wrap=True, overflow="ellipsis"),
            "type": Text(concept.concept_type, style="dim"),
            "updated": Text(shown.ago(concept.updated_at), style="dim"),
            "versions": Text(str(concept.num_versions), justify="right"),
            "tags": Text(safe(" ".join(concept.tags), limit=60), style="dim", no_wrap=True, overflow="ellipsis"),
            "base": Text(safe(concept.base_name, limit=40), style="dim", no_wrap=True, overflow="ellipsis"),
        }
        return [cells[key] for key in self._shown]

    # -- acts ----------------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark the concept, or take its mark away, and go on to the next."""
        if not self.current:
            return
        self.marked ^= {self.current}
        self.update_cell(self.current, "mark", Text("●" if self.current in self.marked else " "))
        self.action_cursor_down()

    def action_sort(self) -> None:
        """Ask for the next order."""
        self.post_message(self.SortAsked())

    def action_scroll_bottom(self) -> None:
        """Go to the last row, of those that match and not only of those loaded."""
        if self._complete:
            super().action_scroll_bottom()
        else:
            self.post_message(self.EndAsked())

    def unmark(self) -> None:
        """Take all marks away."""
        for name in self.marked & set(self._names):
            self.update_cell(name, "mark", Text(" "))
        self.marked.clear()

    @on(DataTable.RowSelected)
    def open_row(self, event: DataTable.RowSelected) -> None:
        event.stop()
        if self.current:
            self.post_message(ConceptChosen(self.current))

    @on(DataTable.RowHighlighted)
    def follow_cursor(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self.post_message(ConceptHighlighted(self.current))


class Failed(Message):
    """The concepts could not be read."""

    def __init__(self, error: TiregError) -> None:
        super().__init__()
        self.error = error
