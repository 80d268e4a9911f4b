"""A few words, for tests of commands that look at a registry and keep it."""

from __future__ import annotations

from tests.core.registry.making import add_version
from tiregistry.concepts import Parent
from tiregistry.registry.registry import Registry


def add_words(registry: Registry) -> None:
    """Add `gnome` (three versions) and `inky` (a style)."""
    first = add_version(
        registry, "gnome", 1, caption="a photo of <gnome>", record={"loss": [2.0, 1.0, 0.5], "seconds": 9}
    )
    add_version(registry, "gnome", 2, parents=(Parent(first.digest, "continued"),))
    add_version(registry, "gnome", 3)
    add_version(registry, "inky", 4, concept_type="style")
