"""One command for several things: all of them, or none and an error that says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tiregistry.errors import TiregError
from tiregistry.registry.registry import Registry


@contextmanager
def all_or_nothing(registry: Registry, things: Sequence[str], done: str) -> Iterator[None]:
    """One transaction; an error that leaves it also says that nothing was `done`, where there were several things."""
    try:
        with registry.transaction():
            yield
    except TiregError as error:
        if len(things) > 1:
            error.message += f"; nothing was {done}"
        raise
