"""What the registry hands out: the plain dataclasses of `tiregistry.concepts`, able to fetch what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiregistry.concepts import BaseModel, Concept, Fingerprint, Fit, Run, Version
from tiregistry.text import safe

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.registry.lineage import Ancestor
    from tiregistry.registry.registry import Registry


class RegisteredConcept(Concept):
    """A concept that can fetch its versions. It shows the concept as it was when it was read."""

    __slots__ = ("_registry",)
    _registry: Registry

    @classmethod
    def bind(cls, registry: Registry, **fields: Any) -> RegisteredConcept:
        concept = cls(**fields)
        object.__setattr__(concept, "_registry", registry)
        return concept

    def __repr__(self) -> str:
        versions = "1 version" if self.num_versions == 1 else f"{self.num_versions} versions"
        return f"<Concept {self.name} {self.placeholder_token} ({self.concept_type}), {versions}>"

    @property
    def latest(self) -> RegisteredVersion:
        """The living version with the highest number.

        Raises:
            VersionNotFound: the concept has no living version.
        """
        return self._registry.version(self.name)

    @property
    def versions(self) -> list[RegisteredVersion]:
        """All living versions, oldest first."""
        return self._registry.versions(self.name)

    def version(self, selector: int | str) -> RegisteredVersion:
        """One version by number, alias, or `sha256:` prefix.

        Raises:
            VersionNotFound: there is none.
        """
        return self._registry.version(f"{self.name}@{selector}")


class RegisteredVersion(Version):
    """A version that can fetch its embedding, record, pictures and attachments."""

    __slots__ = ("_registry",)
    _registry: Registry

    @classmethod
    def bind(cls, registry: Registry, **fields: Any) -> RegisteredVersion:
        version = cls(**fields)
        object.__setattr__(version, "_registry", registry)
        return version

    def __repr__(self) -> str:
        base = f" on {safe(self.base_name, limit=60)}" if self.base_name else ""
        return f"<Version {self.reference} {self.digest[:19]}… {self.origin}{base}>"

    def embedding(self) -> Embedding:
        """The learned vectors: per text encoder a read-only float32 array `[num_vectors, dim]`.

        Raises:
            Damaged: the stored file is missing or damaged.
        """
        return self._registry.embedding(self)

    def record(self) -> dict[str, Any]:
        """What was observed when the version was made (loss curve, seconds, device); empty when nothing was."""
        return self._registry.record(self)

    def started_from(self) -> str:
        """What its vectors started from: words of the vocabulary, or the version that it goes on from (`gnome@1`)."""
        start = str(self.training.get("initializer", ""))
        return self._registry.reference_of(start) if start.startswith("sha256:") else start

    def ancestors(self) -> list[Ancestor]:
        """Its parents, with their references where they live here."""
        return self._registry.ancestors(self)

    def attachments(self) -> dict[str, str]:
        """Role to blob digest of the files kept with the version."""
        return self._registry.attachments(self)

    def image(self, position: int) -> bytes:
        """The original bytes of the source image at `position` (from 0).

        Raises:
            IndexError: there are fewer images.
            Damaged: the stored file is missing or damaged.
        """
        return self._registry.blobs.read(self.images[position].digest)

    def fit(self, base: BaseModel | Fingerprint) -> Fit:
        """How the word fits a base model: `exact`, `compatible`, `other`, or `unknown` when its own is not recorded."""
        other = base.fingerprint if isinstance(base, BaseModel) else base
        return self.fingerprint.fit(other) if self.fingerprint else "unknown"


class RegisteredRun(Run):
    """A run that can find the version it made."""

    __slots__ = ("_registry",)
    _registry: Registry

    @classmethod
    def bind(cls, registry: Registry, **fields: Any) -> RegisteredRun:
        run = cls(**fields)
        object.__setattr__(run, "_registry", registry)
        return run

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.concept}, {self.status}>"

    @property
    def version(self) -> RegisteredVersion | None:
        """The version the run ended in, if it did and the version still exists."""
        return None if self.version_id is None else self._registry.version_by_id(self.version_id)
