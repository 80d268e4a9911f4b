"""Removing and bringing back several things word by word: one that cannot be keeps none of the others from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tireg_tui.texts.formatting import some_of, trouble
from tiregistry.errors import AlreadyExists, InvalidInput, NotFound, PlaceholderTaken, TiregError
from tiregistry.registry.registry import Registry

_OF_ONE_WORD = (NotFound, AlreadyExists, PlaceholderTaken, InvalidInput)
"""What is wrong with one word only; anything else is wrong with the registry, and the rest need not be tried."""
_REASONS = 3


@dataclass
class Outcome:
    """What became of several references.

    Attributes:
        done: those that were moved now.
        so_already: those that were as they should be before anything was done.
        left: those that could not be moved, with why.
    """

    done: list[str] = field(default_factory=list)
    so_already: list[str] = field(default_factory=list)
    left: dict[str, Exception] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """The reasons, each with what it holds for."""
        reasons: dict[str, list[str]] = {}
        for reference, error in self.left.items():
            reasons.setdefault(trouble(error, " · "), []).append(reference)
        lines = [f"{some_of(references)}: {reason}" for reason, references in reasons.items()]
        return "\n".join([*lines[:_REASONS], *(["…"] if len(lines) > _REASONS else [])])


def remove_each(registry: Registry, references: Sequence[str]) -> Outcome:
    """Move words or versions to the trash; those that are not here any more need not be moved."""
    return _each(references, registry.remove, lambda _: True)


def restore_each(registry: Registry, references: Sequence[str]) -> Outcome:
    """Bring words or versions back; those that are here again need not be brought."""
    return _each(references, registry.restore, lambda reference: _is_here(registry, reference))


def _each(references: Sequence[str], act: Callable[[str], str], is_so: Callable[[str], bool]) -> Outcome:
    outcome = Outcome()
    for number, reference in enumerate(references):
        try:
            outcome.done.append(act(reference))
        except _OF_ONE_WORD as error:
            if isinstance(error, NotFound) and is_so(reference):
                outcome.so_already.append(reference)
            else:
                outcome.left[reference] = error
        except Exception as error:  # noqa: BLE001 (what was done before must be known, whatever this is)
            outcome.left.update(dict.fromkeys(references[number:], error))
            break
    return outcome


def _is_here(registry: Registry, reference: str) -> bool:
    try:
        if "@" in reference:
            registry.version(reference)
        else:
            registry.concept(reference)
    except TiregError:
        return False
    return True
