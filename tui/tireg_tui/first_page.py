"""The words that the library shows first, read while Textual is still being imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tireg_tui.remembered import Remembered

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
    """The first words that match a filter, in an order."""

    query: str
    order: str
    concepts: Sequence[Concept]


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
    return FirstPage(query, order, registry.concepts(query, sort=order, limit=PAGE))
