"""The previews of a training as one picture: preview prompts down, steps across."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from tiregistry.concepts import Version
from tiregistry.errors import NotFound
from tiregistry.generation.grids import labelled_grid

if TYPE_CHECKING:
    from PIL.Image import Image

    from tiregistry.registry.registry import Registry

MAX_COLUMNS = 24
_ROLE = re.compile(r"preview/(\d{1,9})(?:-(\d{1,6}))?\.png")


def contact_sheet(registry: Registry, version: Version) -> Image:
    """The previews kept with a version, labelled.

    With more than 24 preview steps, 24 of them, evenly spread, first and last included.

    Raises:
        NotFound: no previews are kept with the version.
        Damaged: a preview's file is missing or damaged.
    """
    from PIL import Image as Pillow

    found: dict[int, dict[int, str]] = {}
    for role, digest in registry.attachments(version).items():
        if match := _ROLE.fullmatch(role):
            found.setdefault(int(match[2] or 1), {})[int(match[1])] = digest
    if not found:
        raise NotFound(
            f"no previews are kept with {version.reference}", "tireg train --preview makes them while it learns"
        )
    steps = sorted({step for row in found.values() for step in row})
    if len(steps) > MAX_COLUMNS:
        steps = sorted({steps[round(i * (len(steps) - 1) / (MAX_COLUMNS - 1))] for i in range(MAX_COLUMNS)})

    def load(digest: str) -> Image:
        with Pillow.open(io.BytesIO(registry.blobs.read(digest))) as image:
            return image.convert("RGB")

    rows = [[load(row[step]) if step in row else None for step in steps] for _, row in sorted(found.items())]
    labels = preview_labels(version, sorted(found))
    return labelled_grid(rows, labels, [f"step {step}" for step in steps], cell=128)


def preview_labels(version: Version, numbers: list[int]) -> list[str]:
    """The preview prompts of these numbers, from 1, with the word in them, where the configuration says them."""
    prompts = version.training_list("preview_prompts")
    told = [str(prompt).replace("{}", version.placeholder_token) for prompt in prompts]
    return [told[n - 1] if n <= len(told) else f"preview {n}" for n in numbers]
