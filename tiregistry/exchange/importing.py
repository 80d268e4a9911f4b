"""Import: every embedding in files and folders becomes a version, each content once, with its original beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tiregistry.concepts import ConceptType, NewVersion, Origin, Parent, SourceImage, Version
from tiregistry.embeddings.folders import FileResult, concept_images, read_folder, read_path
from tiregistry.embeddings.found import Candidate, FoundEmbedding
from tiregistry.embeddings.inspection import Inspection
from tiregistry.errors import Busy, ConceptNotFound, Conflict, InvalidInput, InvalidPlaceholder, TiregError
from tiregistry.exchange.vocabularies import Vocabularies
from tiregistry.images import read_picture
from tiregistry.placeholders import check_placeholder, placeholder_for
from tiregistry.references import MAX_NAME, check_name
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

Status = Literal["imported", "already there", "refused"]
_FOREIGN: tuple[Origin, ...] = ("imported", "pulled")
UNUSABLE_TAG = "not-a-word"
"""Tag of concepts whose vectors were kept though no prompt can use them (P+/XTI and foreign encoders)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the user decides; everything left out is taken from the file."""

    name: str = ""
    placeholder_token: str = ""
    concept_type: ConceptType | None = None
    dry_run: bool = False
    """Report what would happen and register nothing."""
    origin: Origin = "imported"
    """`pulled` when the files come from the Hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one embedding, or of one file that holds none.

    Attributes:
        path: the file.
        status: what was done.
        found: what the file holds, without the bytes of its files; None when it was refused.
        version: the version it is now; None when refused or in a dry run.
        concept, placeholder_token: what the word is called here.
        inspections: norms and nearest words per encoder.
        notes: what the user should know: warnings of the file, names that were changed.
        error: why it was refused.
    """

    path: Path
    status: Status
    found: FoundEmbedding | None = None
    version: Version | None = None
    concept: str = ""
    placeholder_token: str = ""
    inspections: tuple[Inspection, ...] = ()
    notes: tuple[str, ...] = ()
    error: TiregError | None = None

    @property
    def reference(self) -> str:
        """`name@number`, or the name alone in a dry run."""
        return self.version.reference if self.version else self.concept

    def as_dict(self) -> dict[str, Any]:
        """JSON data."""
        result: dict[str, Any] = {"path": safe(self.path, limit=4000), "status": self.status}
        if self.error is not None:
            return {**result, "reason": self.error.message, "hint": self.error.hint}
        assert self.found is not None
        return {
            **result,
            "reference": self.reference,
            "digest": self.version.digest if self.version else None,
            "concept": self.concept,
            "token": self.placeholder_token,
            "found": self.found.as_dict(),
            "inspection": {i.encoder: i.as_dict() for i in self.inspections},
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class _Names:
    """What a new version will be called."""

    concept: str
    token: str
    concept_type: ConceptType
    notes: list[str] = field(default_factory=list)


def import_path(
    registry: Registry, path: Path, options: ImportOptions, vocabularies: Vocabularies | None = None
) -> Iterator[Outcome]:
    """Import a file, or every embedding below a folder.

    Outcomes come one by one, each registered before it is given, so that an interrupted import keeps what it has.
    A file that is refused is an outcome, not an exception.

    Args:
        registry: where to register.
        path: file or folder.
        options: names and type; a name or token is only possible for a path that holds one embedding.
        vocabularies: base models to compare with.

    Raises:
        InvalidInput: a name or token is given for several embeddings, or breaks the rules.
        InvalidReference, InvalidPlaceholder: likewise.
        DiskFull, RegistryReadOnly, Busy, Damaged: the registry cannot take it; what was imported so far stays.
    """
    if options.name:
        check_name(options.name)
    if options.placeholder_token:
        check_placeholder(options.placeholder_token)
    results: Iterable[FileResult] = read_folder(path) if path.is_dir() else iter((_read(path),))
    if options.name or options.placeholder_token:
        results = list(results)
        count = sum(len(result.found) for result in results)
        if count > 1:
            raise InvalidInput(
                f"{safe(path)} holds {count} embeddings, which cannot share one name or token",
                "leave out --name and --token, or import them one by one",
            )
    for result in results:
        if result.error is not None:
            yield Outcome(path=result.path, status="refused", error=result.error)
        for found in result.found:
            try:
                outcome = _register(registry, result.path, found, options, vocabularies)
            except (InvalidInput, Conflict) as error:  # the file's fault; a full disk or a locked registry is not
                if isinstance(error, Busy):
                    raise
                yield Outcome(path=result.path, status="refused", error=error)
            else:
                # Their names tell what was kept; the bytes of a whole folder need not stay in memory.
                kept = replace(outcome.found or found, files=dict.fromkeys(found.files, b""))
                yield replace(outcome, found=kept)


def _read(path: Path) -> FileResult:
    try:
        return FileResult(path, tuple(read_path(path)))
    except TiregError as error:
        return FileResult(path, error=error)


def _register(
    registry: Registry,
    path: Path,
    found: FoundEmbedding,
    options: ImportOptions,
    vocabularies: Vocabularies | None,
) -> Outcome:
    inspections = vocabularies.inspect(found.embedding) if vocabularies else ()
    if vocabularies is not None:
        found = _as_base_at_hand(found, inspections, vocabularies)
    known = _existing(registry, found, options)
    if known is not None:
        return Outcome(
            path=path,
            status="already there",
            found=found,
            version=known,
            concept=known.concept,
            placeholder_token=known.placeholder_token,
            inspections=inspections,
            notes=found.warnings,
        )
    names = _names(registry, found, options)
    version: Version | None = None
    if not options.dry_run:
        version = _add(registry, path, found, names, options.origin)
        names.concept = version.concept
    return Outcome(
        path=path,
        status="imported",
        found=found,
        version=version,
        concept=names.concept,
        placeholder_token=names.token,
        inspections=inspections,
        notes=(*found.warnings, *names.notes),
    )


def _as_base_at_hand(
    found: FoundEmbedding, inspections: Sequence[Inspection], vocabularies: Vocabularies
) -> FoundEmbedding:
    """Vectors of an unknown width get the family of the base model at hand that has this width."""
    names = {inspection.base_name for inspection in inspections}
    if found.families[:1] == () or found.families[0].family != "unknown" or len(names) != 1 or names == {""}:
        return found
    (name,) = names
    widths = ", ".join(str(shape.dim) for shape in found.embedding.shapes)
    candidate = Candidate(vocabularies.families[name], f"width {widths} is that of the base model {name}")
    return replace(found, families=(candidate, *found.families))


def _existing(registry: Registry, found: FoundEmbedding, options: ImportOptions) -> Version | None:
    """The version that the file already is: the one it was exported from, else any with the same vectors.

    Someone who gives a name or a token wants the word under it, so then only a version that has them counts.
    """
    exported = found.provenance.version if found.provenance else ""
    versions: Sequence[Version] = registry.versions_with(digest=exported, embedding_digest=found.embedding.digest)
    if options.name:
        versions = [v for v in versions if v.concept.casefold() == options.name.casefold()]
    if options.placeholder_token:
        versions = [v for v in versions if v.placeholder_token == options.placeholder_token]
    return next((v for v in versions if v.digest == exported), versions[0] if versions else None)


def _names(registry: Registry, found: FoundEmbedding, options: ImportOptions) -> _Names:
    """Concept, token and type of a new version.

    A name that the user gives is used as it is. One that the file suggests joins a concept only if all of that was
    imported too: an import never becomes the latest version of a word that was trained here.
    """
    notes: list[str] = []
    exported_name = found.provenance.reference.partition("@")[0] if found.provenance else ""
    name = options.name or _slug(exported_name) or _slug(found.name) or _slug(found.placeholder_token) or "imported"
    token = options.placeholder_token or _token(found, name)
    if not options.placeholder_token and found.placeholder_token not in ("", token):
        notes.append(f"the file's token {safe(found.placeholder_token, limit=60)} is written {token} here")
    taken = registry.placeholders()
    owner = taken.get(token)
    if owner is not None and not options.name:
        name = owner  # the same token means the same word: one more version of it
    kind = options.concept_type or found.concept_type
    for attempt in range(2, 1000):
        try:
            concept = registry.concept(name)
        except ConceptNotFound:
            break
        if options.name or all(version.origin in _FOREIGN for version in concept.versions):
            token = options.placeholder_token or concept.placeholder_token
            if options.concept_type in (None, concept.concept_type) and token == concept.placeholder_token:
                kind = concept.concept_type
                break
            if options.name:
                break  # the registry will say what is in the way
        notes.append(f"{name} is another word here already")
        base = re.sub(r"-\d+$", "", name) if attempt > 2 else name
        name = f"{base[: MAX_NAME - 4]}-{attempt}"
        token = options.placeholder_token or placeholder_for(name)
    return _Names(name, token, kind or "object", notes)


def _token(found: FoundEmbedding, name: str) -> str:
    """The file's placeholder token where it may be one here, else one made from the word in it, or from the name."""
    try:
        return check_placeholder(found.placeholder_token)
    except InvalidPlaceholder:
        return placeholder_for(_slug(found.placeholder_token) or name)


def _slug(text: str) -> str:
    """`text` as a concept name, or an empty string when nothing of it can be one."""
    inner = re.sub(r"[^\w.\-]+", "-", text.strip("<>* ")).strip("-_.")[: MAX_NAME - 2].rstrip(".-_")
    for candidate in (inner, f"w-{inner}") if inner else ():
        try:
            return check_name(candidate)
        except TiregError:
            continue
    return ""


def _add(registry: Registry, path: Path, found: FoundEmbedding, names: _Names, origin: Origin) -> Version:
    """Store the files, then the version; the blobs come first, as the registry demands."""
    attachments: dict[str, str] = {}
    for index, (filename, content) in enumerate(found.files.items()):
        role = "original" if index == 0 else f"original/{safe(filename, limit=120)}"
        attachments[role] = registry.blobs.add(content)
    images = _images(registry, path, names) if found.format == "sd-concepts" else ()
    exported = found.provenance.version if found.provenance else ""
    version = registry.add_version(
        NewVersion(
            concept=names.concept,
            placeholder_token=names.token,
            concept_type=names.concept_type,
            origin=origin,
            fingerprint=found.provenance.fingerprint if found.provenance else None,
            base_name=found.provenance.base_name if found.provenance else "",
            images=images,
            parents=(Parent(exported, "imported"),) if exported else (),
            record={"import": {"file": safe(path.name, limit=300), **found.as_dict()}},
            attachments=attachments,
            description=found.details.get("modelspec.description", ""),
            licence=found.details.get("modelspec.license", ""),
        ),
        found.embedding,
    )
    if not found.usable:
        registry.tag(version.concept, add=[UNUSABLE_TAG])
        names.notes.append(f"kept, but no prompt can use it: {found.reason}")
    return version


def _images(registry: Registry, path: Path, names: _Names) -> tuple[SourceImage, ...]:
    """The pictures of a concept-library folder; one that cannot be read is left out with a note."""
    images: dict[str, SourceImage] = {}
    for file in concept_images(path):
        try:
            picture = read_picture(file)
        except TiregError as error:
            names.notes.append(f"picture left out: {error.message}")
            continue
        registry.blobs.add(picture.data)
        images.setdefault(picture.digest, SourceImage(picture.digest, picture.filename, *picture.size))
    return tuple(images.values())
