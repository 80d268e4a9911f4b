"""Import: every embedding in files and folders becomes a version, each content once, with its original beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tiregistry.concepts import NewVersion, Origin, Parent, SourceImage, Version
from tiregistry.embeddings.folders import FileResult, concept_images, read_folder, registry_of
from tiregistry.embeddings.found import Candidate, FoundEmbedding
from tiregistry.embeddings.inspection import Inspection
from tiregistry.embeddings.neighbours import read_path
from tiregistry.errors import Busy, Conflict, InvalidInput, TiregError
from tiregistry.exchange.claims import Claims
from tiregistry.exchange.naming import Names, Wishes, choose_names
from tiregistry.exchange.vocabularies import Vocabularies
from tiregistry.images import read_picture
from tiregistry.placeholders import check_placeholder
from tiregistry.references import check_name, name_key
from tiregistry.registry.manifest import build, canonical, digest_of, version_of
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

Status = Literal["imported", "already there", "refused", "passed over"]
UNUSABLE_TAG = "not-a-word"
"""Tag of concepts whose vectors were kept though no prompt can use them (P+/XTI and foreign encoders)."""

_HEALED = "what was missing or damaged of it in the registry was put back"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions(Wishes):
    """What the user decides; everything left out is taken from the file."""

    dry_run: bool = False
    """Report what would happen and register nothing."""
    origin: Origin = "imported"
    """`pulled` when the files come from the Hub."""
    base_name: str = ""
    """What is said beside the files of the base model, for files that say nothing themselves."""
    licence: str = ""
    """Likewise of the licence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one embedding, or of one file that holds none.

    Attributes:
        path: the file.
        status: what was done; `passed over` is what in a folder is no embedding and does not look like one.
        found: what the file holds, without the bytes of its files; None when it was refused or passed over.
        version: the version it is now; None when there is none, and in a dry run.
        concept, placeholder_token, concept_type: what the word is called here, and whether it is a thing or a style.
        inspections: norms and nearest words per encoder.
        notes: what the user should know: warnings of the file, names that were changed.
        error: why it was refused.
        other: what it is instead, when it was passed over.
    """

    path: Path
    status: Status
    found: FoundEmbedding | None = None
    version: Version | None = None
    concept: str = ""
    placeholder_token: str = ""
    concept_type: str = ""
    inspections: tuple[Inspection, ...] = ()
    notes: tuple[str, ...] = ()
    error: TiregError | None = None
    other: str = ""

    @property
    def reference(self) -> str:
        """`name@number`, or the name alone in a dry run."""
        return self.version.reference if self.version else self.concept

    def as_dict(self) -> dict[str, Any]:
        """JSON data; the path is the file's own, whatever its name holds."""
        result: dict[str, Any] = {"path": str(self.path), "status": self.status}
        if self.error is not None:
            return {**result, "reason": self.error.message, "hint": self.error.hint}
        if self.status == "passed over":
            return {**result, "reason": self.other}
        assert self.found is not None
        return {
            **result,
            "reference": self.reference,
            "digest": self.version.digest if self.version else None,
            "concept": self.concept,
            "token": self.placeholder_token,
            "type": self.concept_type,
            "found": self.found.as_dict(),
            "inspection": {i.encoder: i.as_dict() for i in self.inspections},
            "notes": list(self.notes),
        }


def import_path(
    registry: Registry,
    path: Path,
    options: ImportOptions,
    vocabularies: Vocabularies | None = None,
    claims: Claims | None = None,
    beginning: Callable[[Path], None] | None = None,
) -> Iterator[Outcome]:
    """Import a file, or every embedding below a folder.

    Outcomes come one by one, each registered before it is given, so that an interrupted import keeps what it has.
    A file that is refused is an outcome, not an exception.

    Args:
        registry: where to register.
        path: file or folder.
        options: names and type; a name or token is only possible for a path that holds one embedding.
        vocabularies: base models to compare with.
        claims: the names given so far, where several paths are imported at once.
        beginning: called with each file before it is registered.

    Raises:
        InvalidInput: a name or token is given for several embeddings, or breaks the rules.
        InvalidReference, InvalidPlaceholder: likewise.
        DiskFull, RegistryReadOnly, Busy, Damaged: the registry cannot take it; what was imported so far stays. The
            message names the file.
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
    claims = Claims() if claims is None else claims
    ours: set[str] = set()
    for result in results:
        if result.passed_over:
            yield Outcome(path=result.path, status="passed over", other=result.passed_over)
        if result.error is not None:
            yield Outcome(path=result.path, status="refused", error=result.error)
        siblings: set[str] = set()
        if beginning is not None and result.found:
            beginning(result.path)
        for found in result.found:
            try:
                outcome = _register(registry, result.path, found, options, vocabularies, claims, siblings, ours)
            except (InvalidInput, Conflict) as error:  # the file's fault; a full disk or a locked registry is not
                if isinstance(error, Busy):
                    raise _stopped(error, result.path) from None
                yield Outcome(path=result.path, status="refused", error=error)
            except TiregError as error:
                raise _stopped(error, result.path) from None
            else:
                # Their names tell what was kept; the bytes of a whole folder need not stay in memory.
                siblings.add(name_key(outcome.concept))
                ours.add(outcome.concept)
                kept = replace(outcome.found or found, files=dict.fromkeys(found.files, b""))
                yield replace(outcome, found=kept)


def _stopped(error: TiregError, path: Path) -> TiregError:
    error.message += f"; the import stopped at {safe(path, limit=300)}"
    return error


def _read(path: Path) -> FileResult:
    home = registry_of(path.absolute())
    if home is not None:
        error = InvalidInput(
            f"{safe(path.name, limit=120)} is a part of the registry {safe(home)}, which alone knows its words",
            "tireg backup there and tireg restore --from here bring them",
        )
        return FileResult(path, error=error)
    try:
        return FileResult(path, tuple(read_path(path)))
    except TiregError as error:
        return FileResult(path, error=_naming(path, error))


def _naming(path: Path, error: TiregError) -> TiregError:
    """The error of a file given by name, with that name in its message."""
    name = safe(path.name, limit=120)
    if name and name not in error.message:
        about = re.sub(r"^(?:the|this) file(?='s| )", "", error.message)
        error.message = f"{name}{about}" if about != error.message else f"{name}: {error.message}"
    return error


def _register(
    registry: Registry,
    path: Path,
    found: FoundEmbedding,
    options: ImportOptions,
    vocabularies: Vocabularies | None,
    claims: Claims,
    siblings: Container[str],
    ours: Container[str],
) -> Outcome:
    """Register one embedding, or say which version it is already.

    Args:
        claims: the names given so far in this import.
        siblings: keys of the names of the file's other words, which are no versions of this one.
        ours: names of the concepts that words of this import came to.
    """
    inspections = vocabularies.inspect(found.embedding) if vocabularies else ()
    if vocabularies is not None:
        found = _as_base_at_hand(found, inspections, vocabularies)
    told = _told(found)
    claimant = claims.claimant(path, found, told, siblings)
    known = _existing(registry, found, options)
    if known is not None:
        claimant.claim(known.concept)
        healed = not options.dry_run and registry.heal_version(known, found.embedding, found.files.values())
        return Outcome(
            path=path,
            status="already there",
            found=found,
            version=known,
            concept=known.concept,
            placeholder_token=registry.concept(known.concept).placeholder_token,
            concept_type=known.concept_type,
            inspections=inspections,
            notes=(*found.warnings, *[_HEALED] * healed),
        )
    names = choose_names(registry, found, options, told, claimant, ours)
    version: Version | None = None
    if not options.dry_run:
        version = _add(registry, path, found, names, told, options, inspections)
        names.concept = version.concept
    claimant.claim(names.concept)
    return Outcome(
        path=path,
        status="imported",
        found=found,
        version=version,
        concept=names.concept,
        placeholder_token=names.token,
        concept_type=names.concept_type,
        inspections=inspections,
        notes=(*found.warnings, *names.notes),
    )


def _as_base_at_hand(
    found: FoundEmbedding, inspections: Sequence[Inspection], vocabularies: Vocabularies
) -> FoundEmbedding:
    """Vectors of an unknown width get the family of the base model at hand that has this width, or a warning."""
    names = {inspection.base_name for inspection in inspections} - {""}
    if found.families[:1] == () or found.families[0].family != "unknown":
        return found
    widths = ", ".join(str(shape.dim) for shape in found.embedding.shapes)
    if len(names) != 1:
        note = f"width {widths} is that of no known text encoder and of no base model here"
        return found if found.provenance else replace(found, warnings=(*found.warnings, note))
    (name,) = names
    candidate = Candidate(vocabularies.families[name], f"width {widths} is that of the base model {name}")
    return replace(found, families=(candidate, *found.families))


def _told(found: FoundEmbedding) -> NewVersion | None:
    """The version that the file was exported from, when its provenance describes that whole.

    Whatever else a file claims: a version is proven by its digest, and that by the manifest and the vectors.
    """
    claim = found.provenance
    if claim is None or claim.manifest is None:
        return None
    try:
        told = version_of(claim.manifest, claim.version, "", "imported")
        is_proven = digest_of(canonical(build(told, found.embedding))) == claim.version
    except (ValueError, InvalidInput):
        return None
    return replace(told, base_name=claim.base_name) if is_proven else None


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


def _add(
    registry: Registry,
    path: Path,
    found: FoundEmbedding,
    names: Names,
    told: NewVersion | None,
    options: ImportOptions,
    inspections: Sequence[Inspection],
) -> Version:
    """Store the files, then the version; the blobs come first, as the registry demands."""
    attachments: dict[str, str] = {}
    for index, (filename, content) in enumerate(found.files.items()):
        role = "original" if index == 0 else f"original/{safe(filename, limit=120)}"
        attachments[role] = registry.blobs.add(content)
    facts = {
        "file": safe(path.name, limit=300),
        **found.as_dict(),
        "inspection": {inspection.encoder: inspection.as_dict() for inspection in inspections},
    }
    if found.provenance is not None and found.provenance.created_at:
        facts["created_at"] = found.provenance.created_at
    described = _described(registry, path, found, names, told)
    version = registry.add_version(
        replace(
            described,
            origin=options.origin,
            base_name=described.base_name or ("" if described.fingerprint else options.base_name),
            record={"import": facts},
            attachments=attachments,
            description=found.details.get("modelspec.description", ""),
            licence=found.details.get("modelspec.license", "") or options.licence,
        ),
        found.embedding,
    )
    if not found.usable:
        registry.tag(version.concept, add=[UNUSABLE_TAG])
        names.notes.append(f"kept, but no prompt can use it: {found.reason}")
    return version


def _described(
    registry: Registry, path: Path, found: FoundEmbedding, names: Names, told: NewVersion | None
) -> NewVersion:
    """What decides the version's digest: as the file's provenance tells it, or as much as the file says."""
    claim = found.provenance
    if told is not None and (names.token, names.concept_type) == (told.placeholder_token, told.concept_type):
        wanted = {image.digest for image in told.images}
        here = {image.digest: image for image in _images(registry, path, found, names, wanted)}
        pictures = (replace(here.get(image.digest, image), caption=image.caption) for image in told.images)
        return replace(told, concept=names.concept, images=tuple(pictures))
    return NewVersion(
        concept=names.concept,
        placeholder_token=names.token,
        concept_type=names.concept_type,
        origin="imported",
        fingerprint=claim.fingerprint if claim else None,
        base_name=claim.base_name if claim else "",
        images=tuple(_images(registry, path, found, names)),
        parents=(Parent(claim.version, "imported"),) if claim and claim.version else (),
    )


def _images(
    registry: Registry, path: Path, found: FoundEmbedding, names: Names, wanted: Container[str] | None = None
) -> Iterable[SourceImage]:
    """Keep the pictures of a concept-library folder; one that cannot be read is left out with a note.

    Args:
        wanted: digests of the pictures that belong to the word; None takes all.
    """
    images: dict[str, SourceImage] = {}
    for file in concept_images(path) if found.format == "sd-concepts" else ():
        try:
            picture = read_picture(file)
        except TiregError as error:
            names.notes.append(f"picture left out: {error.message}")
            continue
        if wanted is None or picture.digest in wanted:
            registry.blobs.add(picture.data)
            images.setdefault(picture.digest, SourceImage(picture.digest, picture.filename, *picture.size))
    return images.values()
