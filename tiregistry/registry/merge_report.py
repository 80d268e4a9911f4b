"""What the reading of a backup has done, for whoever asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class MergeReport:
    """What came in from a backup."""

    concepts: int = 0
    """Concepts that were not here."""
    versions: int = 0
    """Versions that were not here, or lay in the trash here."""
    files: int = 0
    runs: int = 0
    trashed: list[str] = field(default_factory=list)
    """Concepts that came into the trash because a living concept has their name or placeholder token."""
    missing: list[str] = field(default_factory=list)
    """Digests of files that the backup does not hold."""
    changed: list[str] = field(default_factory=list)
    """What words that were here have got, in words: `gnome: tag garden came`."""
    renumbered: list[str] = field(default_factory=list)
    """Versions whose number was taken: `gnome@1 of the backup is gnome@4 here`."""
    left_out: list[str] = field(default_factory=list)
    """What stays away because it was taken away here: `the alias gnome@best, which …`."""
    refused: list[str] = field(default_factory=list)
    """What did not come because it proves nothing or cannot be named, and why: `gnome@3: its manifest …`."""
    damaged: list[str] = field(default_factory=list)
    """Digests of files that are damaged in the backup."""
