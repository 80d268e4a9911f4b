"""What reading a file found: the vectors, what they are called, where they may belong, and what the user must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiregistry.concepts import ConceptType
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.provenance import Provenance


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model family that the vectors may belong to, and why."""

    family: str
    """`sd1`, `sd2`, `sdxl`, `sd3`, `flux`, another family's name, or `unknown`."""
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEmbedding:
    """One learned word found in a file or folder."""

    format: str
    """The layout: the first column of the table in docs/formats.md."""
    embedding: Embedding
    placeholder_token: str = ""
    """As the file has it, so possibly nothing that may be typed in a prompt; empty when the file has none."""
    name: str = ""
    """Suggested concept name, safe but not checked; empty when nothing suggests one."""
    concept_type: ConceptType | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)
    """Encoder role to the dtype in the file; the embedding itself is float32."""
    families: tuple[Candidate, ...] = ()
    """Best first."""
    step: int | None = None
    origin: str = ""
    """The program or checkpoint that the file says it comes from."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Other metadata of the file, made safe to show."""
    provenance: Provenance | None = None
    """What the file says about the version it was exported from, when its vectors are still the same."""
    claim: Provenance | None = None
    """The same, believed or not: for half of a pair it describes both halves."""
    warnings: tuple[str, ...] = ()
    usable: bool = True
    """Whether the vectors can stand in a prompt as a word."""
    reason: str = ""
    """Why not, when they cannot."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The original files by name, the first one being the embedding's own; kept beside the registered version."""

    def as_dict(self) -> dict[str, Any]:
        """The facts as JSON data, without the bytes."""
        return {
            "format": self.format,
            "encoders": {
                s.encoder: {"num_vectors": s.num_vectors, "dim": s.dim, "dtype": self.dtypes.get(s.encoder, "F32")}
                for s in self.embedding.shapes
            },
            "embedding_digest": self.embedding.digest,
            "placeholder_token": self.placeholder_token,
            "families": [{"family": c.family, "evidence": c.evidence} for c in self.families],
            "step": self.step,
            "origin": self.origin,
            "details": dict(self.details),
            "usable": self.usable,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "files": list(self.files),
        }
