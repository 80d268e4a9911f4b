"""The demonstration's content: bundled concepts the embedded base model has never seen, and prompts to try them in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.concepts import ConceptType
from tiregistry.training.config import TrainingConfig

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.registry.handles import RegisteredVersion
    from tiregistry.registry.registry import Registry

_SMALL, _CELL = 64, 128
"""Sides of a source picture and of a generated one on the grid, in pixels."""


@dataclass(frozen=True, slots=True)
class BundledConcept:
    """A concept whose pictures ship with tiregistry.

    Attributes:
        initializer: a vocabulary word of the embedded base model close to it.
        caption: what it is, in plain words.
        folder: where its pictures are, a style's with captions.
    """

    name: str
    concept_type: ConceptType
    initializer: str
    caption: str
    folder: Path

    @property
    def config(self) -> TrainingConfig:
        """How the demonstration learns it: with the settings of `tireg train`, but never mirrored."""
        return TrainingConfig(concept_type=self.concept_type, initializer=self.initializer, flip=False)


def bundled_concepts() -> list[BundledConcept]:
    """One object and one style, in this order."""
    root = Path(__file__).parent / "bases" / "embedded" / "concepts"
    entries = tomllib.loads((root / "concepts.toml").read_text(encoding="utf-8"))["concept"]
    concepts = [
        BundledConcept(e["name"], e["type"], e["initializer"], e["caption"], root / e["folder"]) for e in entries
    ]
    return sorted(concepts, key=lambda concept: concept.concept_type)


def learned_already(registry: Registry, concept: BundledConcept) -> RegisteredVersion | None:
    """The version that an earlier demonstration learned to its end with the same settings, if it is still there."""
    wanted = concept.config.resolved().as_dict()
    if concept.name not in registry.placeholders().values():
        return None
    for version in reversed(registry.versions(concept.name)):
        finished = registry.record(version).get("stop_reason") != "interrupted"
        if finished and version.base_name == "embedded" and version.manifest.get("training") == wanted:
            return version
    return None


def compositions(thing: str, style: str, initializer: str) -> list[str]:
    """The prompts of the demonstration, one for each row of its grid; `thing` and `style` are placeholder tokens."""
    return [
        f"a photo of a {initializer}",
        f"a photo of a {thing}",
        f"a photo of a {thing} on the beach",
        f"a photo of a {thing} in the snow",
        f"an oil painting of a {thing}",
        f"a cat in the style of {style}",
        f"a house in the style of {style}",
        f"a {thing} in the style of {style}",
    ]


def demo_sheet(sources: Mapping[str, Sequence[Image]], rows: Mapping[str, Sequence[Image]]) -> Image:
    """The demonstration's grid: small, all pictures that each word was learned from; below, what its prompts made.

    Args:
        sources: source pictures by placeholder token.
        rows: generated pictures by prompt.
    """
    from tiregistry.generation.grids import labelled_grid, stacked

    learned_from = [
        labelled_grid([pictures], [f"{token} was learned from these"], cell=_SMALL, left=_CELL)
        for token, pictures in sources.items()
    ]
    return stacked([*learned_from, labelled_grid(list(rows.values()), list(rows), cell=_CELL)])
