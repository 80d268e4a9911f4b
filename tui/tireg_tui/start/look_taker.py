"""Taking the look of the library, as Textual has drawn it, for the next start's `first_paint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.app import ScreenStackError
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from tireg_tui.registry.watch import holds_registry
from tireg_tui.start.first_look import Box, FirstLook, Piece
from tireg_tui.widgets.bar import TopBar
from tireg_tui.widgets.concept_detail import ConceptDetail
from tireg_tui.widgets.concept_table import ConceptTable
from tireg_tui.widgets.job_line import JobLine

if TYPE_CHECKING:
    from tireg_tui.app import TiregApp
    from tireg_tui.screens.library import Library

_MARK = "x"


def keep_look(app: TiregApp, tries: int = 20) -> None:
    """Keep the look of the library, if that is what is shown, for the next start on such a terminal.

    On a busy machine its words may still be on their way; then it is looked at again, `tries` times.
    """
    from tireg_tui.screens.library import Library

    paint, registry = app.first_paint, app.registry
    if paint is None or registry is None or registry.readonly or not holds_registry(app.home):
        return
    try:
        library = app.screen
    except ScreenStackError:  # it is just being left
        return
    if not isinstance(library, Library):
        return
    if not library.table.row_count:
        if tries:
            app.set_timer(0.5, lambda: keep_look(app, tries - 1))
        return
    if library.query_one("#filter", Input).value == paint.query and (look := look_of(library)) is not None:
        paint.keep(app.home, *app.size, look)


def look_of(library: Library) -> FirstLook | None:
    """The look of a library that shows words, as at its start; None where it does not look so now."""
    table, status = library.table, library.query_one("#library-status", Static)
    if not table.has_focus or table.size.height < 2 or not status.content_size.width:
        return None
    if table.scroll_offset.y or library.query_one(JobLine).display or library.query("Toast"):
        return None
    region, line = table.content_region, status.content_region
    rows = Box(region.x, region.y + 1, table.size.width, region.height - 1)  # below the heading
    # Where the rows are drawn, and the part of it that no scroll bar lies over.
    seen = Box(rows.x, rows.y, table.scrollable_content_region.width, rows.height)
    told = Box(line.x, line.y, line.width, 1)
    bar = library.query_one(TopBar)
    asked = Box(bar.asked.start, bar.region.y, len(bar.asked), 1)
    unasked = Piece(asked.x, asked.y, f"{_codes(bar, bar.rich_style)}{' ' * asked.width}")
    beside, blank = _detail(library.query_one(ConceptDetail))
    return FirstLook(
        (*_around(library, [seen, told, asked, *beside]), unasked, *blank),
        rows,
        told,
        table.row_count > rows.height,
        _styles(table, status),
    )


def _detail(detail: ConceptDetail) -> tuple[list[Box], list[Piece]]:
    """Where it stands what is known of the word under the cursor, and this place as it is before anything is."""
    if not detail.display:
        return [], []
    x, y, width, height = detail.region.shrink(detail.styles.border.spacing)
    blank = f"{_codes(detail, detail.rich_style)}{' ' * width}"
    return [Box(x, y, width, height)], [Piece(x, line, blank) for line in range(y, y + height)]


def _around(library: Library, holes: list[Box]) -> list[Piece]:
    pieces = []
    console, width = library.app.console, library.size.width
    for y, strip in enumerate(library._compositor.render_strips(library.size)):
        x = 0
        here = (hole for hole in holes if hole.y <= y < hole.y + hole.height)
        for hole in sorted(here, key=lambda hole: hole.x):
            pieces.append(Piece(x, y, strip.crop(x, hole.x).render(console)))
            x = hole.x + hole.width
        pieces.append(Piece(x, y, strip.crop(x, width).render(console)))
    return [piece for piece in pieces if piece.paint]


def _styles(table: ConceptTable, status: Widget) -> tuple[str, ...]:
    row = table.rich_style
    cursor = row + table.get_component_rich_style("rows--cursor")
    dim = Style(dim=True)
    row_codes, row_dim = _codes(table, row), _codes(table, row + dim)
    return row_codes, row_dim, _codes(table, cursor), _codes(table, cursor + dim), _codes(status, status.rich_style)


def _codes(widget: Widget, style: Style) -> str:
    """The SGR sequence that begins text of this style, after the app's filters."""
    strip = Strip([Segment(_MARK, style)])
    for known in widget.app.get_line_filters():
        strip = strip.apply_filter(known, widget.background_colors[1])
    return strip.render(widget.app.console).partition(_MARK)[0]
