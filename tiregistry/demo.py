"""The demonstration's content: bundled concepts the embedded base model has never seen, and prompts to try them in."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.concepts import ConceptType
from tiregistry.training.config import TrainingConfig

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredVersion
    from tiregistry.registry.registry import Registry


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


def compositions(thing: str, style: str, initializer: str) -> list[tuple[str, str]]:
    """Rows of the demonstration's grid as (label, prompt); `thing` and `style` are placeholder tokens."""
    return [
        ("without the word: " + f"a {initializer}", f"a photo of a {initializer}"),
        (f"a photo of a {thing}", f"a photo of a {thing}"),
        (f"{thing} on the beach", f"a photo of a {thing} on the beach"),
        (f"{thing} in the snow", f"a photo of a {thing} in the snow"),
        (f"an oil painting of a {thing}", f"an oil painting of a {thing}"),
        (f"a cat in the style of {style}", f"a cat in the style of {style}"),
        (f"a house in the style of {style}", f"a house in the style of {style}"),
        (f"{thing} in the style of {style}", f"a {thing} in the style of {style}"),
    ]
