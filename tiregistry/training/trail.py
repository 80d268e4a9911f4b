"""The vectors a run went through: a few kilobytes at each checkpoint, so that any of them can be measured later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiregistry.whole_files import write_whole

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding

FOLDER = "vectors"
_NAME = re.compile(r"(\d{1,9})\.safetensors")


@dataclass(frozen=True, slots=True)
class TrailPoint:
    """The word as it was after `step` steps."""

    step: int
    path: Path

    def embedding(self) -> Embedding:
        """The vectors.

        Raises:
            Damaged: the file cannot be read.
        """
        from tiregistry.embeddings.embedding import Embedding
        from tiregistry.errors import Damaged

        try:
            return Embedding.from_bytes(self.path.read_bytes())
        except OSError as error:
            raise Damaged(f"{self.path.name} of the run cannot be read: {error.strerror}", "train again") from None


def keep_point(folder: Path, step: int, embedding: Embedding) -> None:
    """Keep the vectors after `step` steps in a run's folder; a crash leaves the whole file or none.

    Raises:
        OSError: no space, or the folder cannot be written.
    """
    inside = folder / FOLDER
    inside.mkdir(parents=True, exist_ok=True)
    # A point that a power failure takes costs a measurement, no training: not worth a wait at every checkpoint.
    write_whole(inside / f"{step:06d}.safetensors", embedding.to_bytes(), durable=False)


def trail(folder: Path) -> list[TrailPoint]:
    """What `keep_point` kept in a run's folder, by step; empty when nothing was."""
    try:
        files = list((folder / FOLDER).iterdir())
    except OSError:
        return []
    return sorted(
        (TrailPoint(int(match[1]), path) for path in files if (match := _NAME.fullmatch(path.name))),
        key=lambda point: point.step,
    )
