"""`Registry`: everything that can be done with learned words, in one class; the modules beside it do the work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tiregistry.concepts import AliasChange, Concept, Fingerprint, Fit, Measurement, NewVersion, Version
from tiregistry.errors import VersionNotFound
from tiregistry.references import Reference
from tiregistry.registry import aliases, catalogue, curation, lineage, measurements, registering, versions
from tiregistry.registry.handles import RegisteredConcept, RegisteredVersion
from tiregistry.registry.ledger import Ledger
from tiregistry.registry.search import reindex
from tiregistry.registry.upkeep import Upkeep

if TYPE_CHECKING:
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.registry.difference import Difference


class Registry(Ledger, Upkeep):
    """A person's learned words: a SQLite database and the files it refers to, in one folder.

    Any number of processes and threads may read and write at once. Every change is one transaction: it is there
    completely and durably when the method returns, or not at all; `with registry.transaction():` makes several one.

    Example:
        >>> from tiregistry import Registry
        >>> with Registry.open() as registry:
        ...     embedding = registry.concept("gnome").latest.embedding()
        ...     embedding.tensors["clip_l"].shape      # (num_vectors, dim)

    Every method may raise, besides what it names: `RegistryReadOnly` (a change in a folder that cannot be written),
    `DiskFull`, `Busy` (others held the write lock for a minute) and `Damaged`.
    """

    # -- concepts (catalogue.py, search.py) ----------------------------------------------------------------------

    def concepts(
        self,
        query: str = "",
        *,
        sort: str = "name",
        limit: int | None = None,
        offset: int = 0,
        fits: Fingerprint | None = None,
        trashed: bool = False,
        names_first: bool = False,
    ) -> list[RegisteredConcept]:
        """The concepts that match, in a stable order.

        Args:
            query: words, each of which must begin a word of the name, placeholder token, tags, notes, captions or
                base models; and filters `tag: base: family: type: origin: since: from:`. Any text is safe.
            sort: `name`, `updated`, `created`, `versions`, `score` (the latest version's; concepts without one come
                last) or `deleted`; a leading `-` reverses it.
            limit, offset: a page of the result; a limit of None is all of it.
            fits: only concepts with a version learned on this base model's token-embedding table.
            trashed: those in the trash instead of the living ones.
            names_first: whose name is the first word of the query, or begins with it, comes before all others.

        Raises:
            InvalidInput: an unknown sort order, a negative limit or offset, a filter that cannot be read, or a query of
                more than 200 parts.
        """
        found = catalogue.select(
            self.database,
            query,
            sort=sort,
            limit=limit,
            offset=offset,
            fits=fits,
            trashed=trashed,
            names_first=names_first,
        )
        return [RegisteredConcept.bind(self, **fields) for fields in found]

    def count_concepts(self, query: str = "", *, fits: Fingerprint | None = None, trashed: bool = False) -> int:
        """How many concepts match, whatever page of them is asked for; see `concepts`.

        Raises:
            InvalidInput: a filter that cannot be read, or a query of more than 200 parts.
        """
        return catalogue.count(self.database, query, fits=fits, trashed=trashed)

    def concept(self, name: str) -> RegisteredConcept:
        """One concept by its name, a former name, or its placeholder token.

        Raises:
            ConceptNotFound: there is none; the hint names the closest.
        """
        with self.database.read():
            return self._concept(catalogue.resolve(self.database, name))

    def find_concept(self, name: str) -> RegisteredConcept | None:
        """As `concept`, but None where there is none, without the long look for the closest names."""
        with self.database.read():
            found = catalogue.find(self.database, name)
            return None if found is None else self._concept(found)

    def create_concept(
        self, name: str, placeholder_token: str, concept_type: str, *, description: str = "", licence: str = ""
    ) -> RegisteredConcept:
        """Add a concept that has no version yet.

        Raises:
            InvalidReference, InvalidPlaceholder: name or token break the rules.
            AlreadyExists, PlaceholderTaken: another concept has the name or the token.
        """
        with self.database.write() as connection:
            concept_id = curation.create(
                connection, name, placeholder_token, concept_type, description=description, licence=licence
            )
            reindex(connection, concept_id)
        return self._concept(concept_id)

    def placeholders(self) -> dict[str, str]:
        """Placeholder token to concept name, of all living concepts."""
        return catalogue.placeholders(self.database)

    def owner_of(self, placeholder_token: str) -> str | None:
        """Name of the living concept that has this placeholder token."""
        return catalogue.owner_of(self.database, placeholder_token)

    def rename(self, name: str, new_name: str) -> RegisteredConcept:
        """Give a concept another name; the old one keeps leading to it until another concept takes it.

        Raises:
            ConceptNotFound, InvalidReference, AlreadyExists: as they say.
        """
        return self._concept(curation.rename(self.database, name, new_name))

    def describe(self, name: str, seen: Mapping[str, str] | None = None, **texts: str) -> RegisteredConcept:
        """Set `description`, `notes` or `licence` of a concept.

        Args:
            seen: what some of the texts were when they were read; what someone else has written since is not replaced.

        Raises:
            ConceptNotFound: no concept has the name.
            ChangedMeanwhile: one of the texts in `seen` is another by now; nothing was set.
            InvalidInput: a text is too long, or of something that a concept does not have.
        """
        return self._concept(curation.describe(self.database, name, seen, **texts))

    def append_note(self, name: str, text: str, *, field: str = "notes") -> RegisteredConcept:
        """Add a line to `notes`, `description` or `licence` of a concept; lines that others add meanwhile stay.

        Raises:
            ConceptNotFound: no concept has the name.
            InvalidInput: `field` is another one, or the text is too long.
        """
        curation.check_describable([field])
        with self.database.write():
            concept = self.concept(name)
            old = str(getattr(concept, field))
            return self.describe(name, None, **{field: f"{old}\n{text}" if old else text})

    def tag(self, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> RegisteredConcept:
        """Add tags to a concept and take tags away; tags are kept in lower case.

        Raises:
            ConceptNotFound: no concept has the name.
            InvalidInput: `add` or `remove` is a single text instead of several, or a tag breaks the rule of names.
        """
        return self._concept(curation.change_tags(self.database, name, add=add, remove=remove))

    def _concept(self, concept_id: int) -> RegisteredConcept:
        return RegisteredConcept.bind(self, **catalogue.by_id(self.database, concept_id))

    # -- versions (versions.py) ----------------------------------------------------------------------------------

    def add_version(self, new: NewVersion, embedding: Embedding) -> RegisteredVersion:
        """Register a version; the concept is created when it does not exist.

        The same content (manifest) registered twice is the same version: the existing one is returned, taken out of
        the trash if it lay there. Files are durable before the row that refers to them exists.

        Args:
            new: what is registered; the blobs of its images and attachments must already be in `blobs`.
            embedding: the learned vectors.

        Raises:
            PlaceholderTaken: another concept has the placeholder token.
            Conflict: the concept exists with another token or another type.
            InvalidReference, InvalidPlaceholder, InvalidInput: a name, token or text breaks the rules.
            Damaged: the blob of an image or attachment is not in the store.
        """
        return self.version_by_id(registering.add(self.database, self.blobs, new, embedding))

    def heal_version(self, version: Version, embedding: Embedding, files: Iterable[bytes] = ()) -> bool:
        """Put back what is missing or damaged of a version, from what it was made of; return whether anything was.

        Args:
            embedding: the version's vectors; others heal nothing.
            files: contents of files; those that the version keeps count.
        """
        return registering.heal(self.database, self.blobs, version.id, embedding, files)

    def version(self, reference: str | Reference) -> RegisteredVersion:
        """The version named by `gnome`, `gnome@3`, `gnome@best` or `gnome@sha256:ab12…`.

        Raises:
            InvalidReference: nothing could have this name, or a digest prefix fits several versions.
            ConceptNotFound, VersionNotFound: it does not exist; the hint says what does.
        """
        parsed = Reference.parse(reference) if isinstance(reference, str) else reference
        with self.database.read():
            return self.version_by_id(versions.resolve(self.database, parsed))

    def version_by_id(self, version_id: int) -> RegisteredVersion:
        """The version of a row id, living or in the trash.

        Raises:
            VersionNotFound: there is none.
        """
        found = versions.select(self.database, "v.id = ?", version_id)
        if not found:
            raise VersionNotFound("the version is gone", "tireg list shows all concepts")
        return RegisteredVersion.bind(self, **found[0])

    def versions(self, name: str, *, trashed: bool = False) -> list[RegisteredVersion]:
        """All versions of a concept by number: the living ones, or those in the trash.

        Raises:
            ConceptNotFound: no concept has the name.
        """
        state = "IS NOT NULL" if trashed else "IS NULL"
        with self.database.read():
            concept_id = catalogue.resolve(self.database, name)
            found = versions.select(
                self.database, f"v.concept_id = ? AND v.deleted_at {state} ORDER BY v.number", concept_id
            )
        return [RegisteredVersion.bind(self, **fields) for fields in found]

    def without_versions(self, name: str) -> VersionNotFound:
        """Why a concept has no living version, and what helps; for who shows that instead of raising it."""
        return versions.without_versions(self.database, catalogue.resolve(self.database, name), name)

    def versions_with(self, *, digest: str = "", embedding_digest: str = "") -> list[RegisteredVersion]:
        """Living versions of any concept with this digest, or with these vectors (whatever file they came in)."""
        found = versions.select(
            self.database,
            "(v.digest = ? OR v.embedding_digest = ?) AND v.deleted_at IS NULL AND c.deleted_at IS NULL ORDER BY v.id",
            digest,
            embedding_digest,
        )
        return [RegisteredVersion.bind(self, **fields) for fields in found]

    def reference_of(self, digest: str) -> str:
        """`gnome@1` for the digest of a living version; of one that is not here the beginning of its digest."""
        found = self.versions_with(digest=digest)
        return found[0].reference if found else digest[:19]

    def embedding(self, version: Version) -> Embedding:
        """The learned vectors of a version: per text encoder a read-only float32 array `[num_vectors, dim]`.

        Raises:
            Damaged: the stored file is missing or damaged.
        """
        return versions.embedding(self.database, self.blobs, version.id)

    def record(self, version: Version) -> dict[str, Any]:
        """What was observed when the version was made (loss curve, seconds, device); empty when nothing was."""
        return versions.record(self.database, version.id)

    def complete_record(self, version: Version, record: Mapping[str, Any]) -> set[str]:
        """Add to the record of a version what it says nothing of; what it says stays.

        Returns:
            The keys that were added.

        Raises:
            InvalidInput: `record` is not plain JSON.
        """
        return registering.complete_record(self.database, version.id, record)

    def attachments(self, version: Version) -> dict[str, str]:
        """Role to blob digest of the files kept with a version."""
        return versions.attachments(self.database, version.id)

    def attach(self, version: Version, role: str, blob: str) -> None:
        """Keep a blob (already in `blobs`) with a version; one of the same role is replaced."""
        versions.attach(self.database, self.blobs, version.id, role, blob)

    def add_measurements(self, version: Version, measured: Iterable[Measurement]) -> RegisteredVersion:
        """Add to the record of what was measured of a version; nothing is replaced, the newest of a label counts.

        A `measured_at` of 0 is now.

        Raises:
            InvalidInput: a value is not finite, a name is no text, or `details` is no plain JSON.
        """
        measurements.add(self.database, version.id, measured)
        return self.version_by_id(version.id)

    def measurements(self, version: Version) -> list[Measurement]:
        """Everything that was ever measured of a version, with details, oldest first."""
        return measurements.every(self.database, version.id)

    def set_scores(self, version: Version, scores: Mapping[str, float]) -> RegisteredVersion:
        """Record values by label (see `Measurement.label`), e.g. those that came with a pulled word.

        A value that already is the newest of its label is not added again.
        """
        known = version.scores
        new = [Measurement.from_label(label, value) for label, value in scores.items() if known.get(label) != value]
        return self.add_measurements(version, new)

    def set_version_notes(self, version: Version, notes: str) -> RegisteredVersion:
        """Set the notes of one version."""
        versions.set_notes(self.database, version.id, notes)
        return self.version_by_id(version.id)

    def append_version_note(self, version: Version, text: str) -> RegisteredVersion:
        """Add a line to the notes of one version; lines that others add meanwhile stay."""
        with self.database.write():
            old = self.version_by_id(version.id).notes
            return self.set_version_notes(version, f"{old}\n{text}" if old else text)

    def history(self, name: str) -> list[lineage.LineageNode]:
        """The tree of a concept's living versions by their parents: its roots, each with its children.

        Raises:
            ConceptNotFound: no concept has the name.
        """
        with self.database.read():
            concept = self.concept(name)
            return lineage.tree(self.database, list(self.versions(name)), dict(concept.aliases))

    def ancestors(self, version: Version) -> list[lineage.Ancestor]:
        """The parents of a version, with their references where they live here."""
        return lineage.ancestors(self.database, version)

    def diff(self, a: str | Reference, b: str | Reference) -> Difference:
        """What distinguishes two versions: configuration, base model, images, vectors, scores.

        Raises:
            ConceptNotFound, VersionNotFound: one of them does not exist.
            Damaged: one of the embeddings cannot be read.
        """
        from tiregistry.registry.difference import compare

        left, right = self.version(a), self.version(b)
        return compare(left, right, left.embedding(), right.embedding())

    def best_fit(self, concept: Concept, base: Fingerprint) -> tuple[Fit, int | None]:
        """How a concept fits a base model, and the number of the living version that does.

        That is the latest version where it fits, else the newest of those that fit best; None where there is none.
        `exact` (same token-embedding table, text encoders and denoiser), `compatible` (same table), `unknown` (its base
        model is not recorded) or `other`.
        """
        return catalogue.best_fit(self.database, concept.id, base)

    # -- aliases (aliases.py) ------------------------------------------------------------------------------------

    def set_alias(self, reference: str | Reference, alias: str) -> RegisteredVersion:
        """Make `alias` name the version; where it pointed before is remembered. `latest` is automatic.

        Raises:
            InvalidReference: `alias` cannot be an alias.
        """
        version = self.version(reference)
        aliases.put(self.database, self._concept_id(version), alias, version.id)
        return version

    def remove_alias(self, name: str, alias: str) -> None:
        """Take an alias away; `undo_alias` brings it back.

        Raises:
            VersionNotFound: there is no such alias.
        """
        aliases.take_away(self.database, catalogue.resolve(self.database, name), alias)

    def undo_alias(self, name: str, alias: str) -> RegisteredVersion | None:
        """Take back the last change of an alias; return the version it names now, or None when it is gone.

        Raises:
            VersionNotFound: nothing is left to take back.
            Conflict: the version it named before is gone.
        """
        number = aliases.undo(self.database, catalogue.resolve(self.database, name), alias)
        return None if number is None else self.version(Reference(name, number=number))

    def alias_log(self, name: str, alias: str | None = None) -> list[AliasChange]:
        """Every change of one or all aliases of a concept, newest first."""
        return aliases.log(self.database, catalogue.resolve(self.database, name), alias)

    def _concept_id(self, version: Version) -> int:
        return int(self.database.value("SELECT concept_id FROM versions WHERE id = ?", version.id))
