"""What the screen of a word shows, read from the registry; every function is to be called in a thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tireg_tui.pictures.sources import PictureSource, from_attachment, from_blob, from_file
from tireg_tui.texts import formatting

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredConcept, RegisteredVersion
    from tiregistry.registry.registry import Registry

Row = tuple[int, tuple[str, str, str, str]]
"""A version's number, and its cells: version, names, made, loss."""
_MOST_PICTURES = 30


def versions_of(registry: Registry, name: str) -> tuple[RegisteredConcept, list[RegisteredVersion], list[Row]]:
    """A word and its versions, newest first, with the cells of their rows.

    Raises:
        NotFound: there is no such word.
        TiregError: the registry cannot be read.
    """
    concept = registry.concept(name)
    versions = registry.versions(concept.name)[::-1]
    rows: list[Row] = []
    for version in versions:
        names = sorted(alias for alias, number in concept.aliases.items() if number == version.number)
        if version.number == concept.latest_number:
            names.append("latest")
        loss = losses_of(version)
        tail = loss[-max(1, len(loss) // 10) :]
        final = f"{sum(tail) / len(tail):.4f}" if tail else ""
        made = formatting.ago(version.created_at)
        rows.append((version.number, (f"@{version.number}", ", ".join(names), made, final)))
    return concept, versions, rows


def losses_of(version: RegisteredVersion) -> list[float]:
    """The losses of a version's training, step by step; empty where they are not known."""
    return [float(value) for value in version.record().get("loss", []) if isinstance(value, int | float)]


def pictures_of(registry: Registry, version: RegisteredVersion) -> tuple[list[PictureSource], list[PictureSource]]:
    """Pictures made with a version (newest first, then previews), and those it was learned from."""
    made = [
        from_file(Path(picture.path), f"{picture.prompt} · seed {picture.recipe.get('seed', '?')}")
        for picture in registry.pictures(version, limit=_MOST_PICTURES)
        if Path(picture.path).is_file()
    ]
    attachments = version.attachments()
    previews = sorted((role for role in attachments if role.startswith("preview")), reverse=True)
    made += [from_attachment(registry, attachments[role], role.removesuffix(".png")) for role in previews]
    return made, [from_blob(registry, image) for image in version.images]
