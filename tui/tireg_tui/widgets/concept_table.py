"""The table of concepts: a page at a time, so that ten thousand words open as fast as ten."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tireg_tui.messages import ConceptChosen, ConceptHighlighted
from tireg_tui.start.first_page import PAGE, FirstPage, read_page
from tireg_tui.texts.concept_cells import Column, cells_of, columns_within
from tireg_tui.widgets.row_list import RowList
from tiregistry.errors import TiregError

if TYPE_CHECKING:
    from tiregistry.concepts import Concept
    from tiregistry.registry.registry import Registry


class ConceptTable(RowList):
    """Rows of concepts for a query, loaded as the cursor comes near their end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", id="library.mark"),
        Binding("s", "sort", "Sort", id="library.sort"),
    ]

    class Shown(Message):
        """The table shows the result of a query, or more of it, or other marks."""

    class SortAsked(Message):
        """The next order is wanted."""

    class EndAsked(Message):
        """All rows are wanted, with the cursor on the last."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.concept_query, self.order = "", "updated"
        self.marked: set[str] = set()
        self._names: list[str] = []
        self._concepts: list[Concept] = []
        self.total = 0
        """How many concepts match."""
        self.complete = True
        """There are no rows but those that are loaded."""
        self._fitted_to = -1
        self._columns: list[Column] = []

    # -- what is in the rows -------------------------------------------------------------------------------------

    @property
    def row_count(self) -> int:
        return len(self._names)

    def heading(self, width: int) -> list[tuple[str, int]]:
        if width != self._fitted_to:
            self._fitted_to, self._columns = width, columns_within(width)
        return [(column.label, column.cells) for column in self._columns]

    def cells(self, row: int) -> list[tuple[str, bool]]:
        concept = self._concepts[row]
        return cells_of(concept, self._columns, is_marked=concept.name in self.marked)

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
        """Show the concepts that match, with the cursor on `keep` (default: where it is, or on the first of others)."""
        limit = PAGE if query != self.concept_query else max(PAGE, len(self._names))
        try:
            page = await asyncio.to_thread(read_page, registry, query, self.order, limit)
        except TiregError as error:
            self.post_message(Failed(error))
            return
        # Who types a filter means what comes first. Else where the cursor is now: it may have been moved meanwhile.
        is_typed = bool(query) and query != self.concept_query
        self._show(page, keep or ("" if is_typed else self.current))

    def show_first(self, page: FirstPage, *, keep: str = "") -> None:
        """Show what was read already, with the cursor on `keep`."""
        self._show(page, keep)

    def _show(self, page: FirstPage, wanted: str) -> None:
        names = [concept.name for concept in page.concepts]
        if wanted not in names and page.query == self.concept_query:  # it was removed
            wanted = self._nearest(set(names))
        self.concept_query, self.total = page.query, page.total
        self._names, self._concepts = names, list(page.concepts)
        self.rows_changed(names.index(wanted) if wanted in names else 0)
        self.complete = len(names) >= page.total
        self.marked &= set(names) | (set() if self.complete else self.marked)
        self.post_message(self.Shown())
        self.post_message(ConceptHighlighted(self.current))

    def _nearest(self, left: set[str]) -> str:
        """The row below the cursor, or where there is none the one above, that is still there; empty for none."""
        below, above = self._names[self.cursor_row :], self._names[: self.cursor_row][::-1]
        return next((name for name in below + above if name in left), "")

    @work(exclusive=True, group="more concepts", exit_on_error=False)
    async def _load_more(self, registry: Registry, everything: bool) -> None:
        names = self._names
        start = len(names)
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
        if self._names is not names:  # another query was shown meanwhile
            return
        self._append(found)
        self.complete = everything or len(found) < PAGE
        self.post_message(self.Shown())
        if everything:
            self.move_cursor(len(self._names) - 1)

    def more(self, registry: Registry, *, everything: bool = False) -> None:
        """Load the next page, or all that is left."""
        if not self.complete:
            self._load_more(registry, everything)

    def _append(self, found: Sequence[Concept]) -> None:
        known = set(self._names)
        # A page may overlap when another process has added concepts.
        new = [concept for concept in found if concept.name not in known]
        self._names += [concept.name for concept in new]
        self._concepts += new
        self.rows_changed(self.cursor_row)

    # -- acts ----------------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark the concept, or take its mark away, and go on to the next."""
        if not self.current:
            return
        self.marked ^= {self.current}
        self.row_changed(self.cursor_row)
        self.post_message(self.Shown())
        self.action_cursor_down()

    def action_sort(self) -> None:
        """Ask for the next order."""
        self.post_message(self.SortAsked())

    def action_scroll_bottom(self) -> None:
        """Go to the last row, of those that match and not only of those loaded."""
        if self.complete:
            super().action_scroll_bottom()
        else:
            self.post_message(self.EndAsked())

    def unmark(self) -> None:
        """Take all marks away."""
        self.marked.clear()
        self.refresh()
        self.post_message(self.Shown())

    def mark(self, names: Iterable[str]) -> None:
        """Mark several concepts, beside those that are marked."""
        self.marked.update(names)
        self.refresh()
        self.post_message(self.Shown())

    @on(RowList.Opened)
    def open_row(self, event: RowList.Opened) -> None:
        event.stop()
        if self.current:
            self.post_message(ConceptChosen(self.current))

    @on(RowList.Moved)
    def follow_cursor(self, event: RowList.Moved) -> None:
        event.stop()
        self.post_message(ConceptHighlighted(self.current))


class Failed(Message):
    """The concepts could not be read."""

    def __init__(self, error: TiregError) -> None:
        super().__init__()
        self.error = error
