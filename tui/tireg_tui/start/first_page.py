"""The words that the library shows first, read while Textual is still being imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tireg_tui.settings.remembered import Remembered
from tiregistry.quantities import count

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


@dataclass(frozen=True, slots=True)
class FirstPage:
    """The first words that match a filter, in an order.

    Attributes:
        total: how many match.
        keep: name of the concept that the cursor was on; perhaps none of these, or empty.
    """

    query: str
    order: str
    concepts: Sequence[Concept]
    total: int
    keep: str = ""

    @property
    def cursor(self) -> int:
        """The row that the cursor goes to."""
        return next((row for row, concept in enumerate(self.concepts) if concept.name == self.keep), 0)


def remembered_order(remembered: Remembered) -> str:
    """The order of the last time, if there is still such a one."""
    order = remembered.text("sort")
    return order if order in SORTS else next(iter(SORTS))


def read_first_page(registry: Registry) -> FirstPage | None:
    """What the library will ask for; None when another place is opened first.

    Raises:
        TiregError: the registry cannot be read.
    """
    remembered = Remembered(registry.home)
    if remembered.text("place", "library") != "library":
        return None
    query, order = remembered.text("filter"), remembered_order(remembered)
    return read_page(registry, query, order, PAGE, remembered.text("concept"))


def read_page(registry: Registry, query: str, order: str, limit: int, keep: str = "") -> FirstPage:
    """The first `limit` words that match a filter.

    Raises:
        TiregError: the registry cannot be read.
    """
    found = registry.concepts(query, sort=order, limit=limit, names_first=True)
    total = len(found) if len(found) < limit else registry.count_concepts(query)
    return FirstPage(query, order, found, total, keep)


def status_text(total: int, order: str, marked: int = 0) -> str:
    """The line below the words: how many there are, in which order, how many of them are marked."""
    return f"{count(total, 'word')} · {SORTS[order]}" + (f" · {marked} marked" if marked else "")
