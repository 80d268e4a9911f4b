"""New versions between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiregistry.concepts import ConceptType, Fingerprint, NewVersion, Parent, Version
from tiregistry.embeddings.mixing import mix
from tiregistry.errors import InvalidInput, WrongBaseModel
from tiregistry.placeholders import placeholder_for
from tiregistry.references import check_name

if TYPE_CHECKING:
    from tiregistry.registry.handles import RegisteredVersion
    from tiregistry.registry.registry import Registry


def blend(
    registry: Registry,
    first: str,
    second: str,
    at: float,
    *,
    name: str = "",
    placeholder_token: str = "",
    concept_type: ConceptType | None = None,
    linear: bool = False,
    allow_compatible: bool = False,
) -> tuple[RegisteredVersion, list[str]]:
    """Register a version between two versions; both become its parents.

    Args:
        at: from `first` (0) to `second` (1), both excluded.
        name: of the concept it belongs to; empty means `first-second`.
        placeholder_token: of a new concept; empty means `<name>`.
        concept_type: of a new concept; None takes the first word's.
        linear: mix along the straight line instead of the arc.
        allow_compatible: also mix words of different denoisers with the same token-embedding table.

    Returns:
        The version, and what the user should know.

    Raises:
        ConceptNotFound, VersionNotFound: one of them does not exist.
        InvalidInput: `at` is out of range, or both are the same version.
        WrongBaseModel: they belong to different base models, or differ in encoders or numbers of vectors.
        Conflict, PlaceholderTaken: the concept has another token or type, or the token is another concept's.
    """
    if not 0 < at < 1:
        raise InvalidInput(f"{at:g} is not between the two words", "give --at a number between 0 and 1, such as 0.3")
    a, b = registry.version(first), registry.version(second)
    if a.embedding_digest == b.embedding_digest:
        raise InvalidInput(f"{a.reference} and {b.reference} have the same vectors", "blend two different words")
    notes = _check_bases(a, b, allow_compatible=allow_compatible)
    embedding = mix(a.embedding(), b.embedding(), at, linear=linear)
    concept = check_name(name or _name(a, b))
    owners = {owner.casefold(): (owner, token) for token, owner in registry.placeholders().items()}
    known = owners.get(concept.casefold())
    kind = concept_type or (registry.concept(known[0]).concept_type if known else a.concept_type)
    new = NewVersion(
        concept=known[0] if known else concept,
        placeholder_token=placeholder_token or (known[1] if known else placeholder_for(concept)),
        concept_type=kind,
        origin="blended",
        fingerprint=_common(a, b),
        base_name=a.base_name or b.base_name,
        parents=(Parent(a.digest, "blended"), Parent(b.digest, "blended")),
        record={
            "blend": {
                "at": at,
                "way": "linear" if linear else "spherical",
                "first": a.reference,
                "second": b.reference,
            }
        },
    )
    before = {version.id for version in registry.versions(known[0])} if known else set()
    made = registry.add_version(new, embedding)
    if made.id in before:
        notes.append(f"{made.reference} was already there: the same blend makes the same version")
    return made, notes


def _check_bases(a: Version, b: Version, *, allow_compatible: bool) -> list[str]:
    if a.fingerprint is None or b.fingerprint is None:
        unknown = a if a.fingerprint is None else b
        return [f"{unknown.reference}: its base model is not recorded, so the two may not belong together"]
    fit = a.fingerprint.fit(b.fingerprint)
    if fit == "other":
        raise WrongBaseModel(
            f"{a.reference} was learned on {a.base_name or 'one base model'}, "
            f"{b.reference} on {b.base_name or 'another'}",
            "blend words that were learned on the same base model",
        )
    if fit == "compatible" and not allow_compatible:
        raise WrongBaseModel(
            f"{a.reference} and {b.reference} share a vocabulary, but were learned on different models "
            f"({a.base_name}, {b.base_name})",
            "--allow-compatible blends them all the same",
        )
    return []


def _common(a: Version, b: Version) -> Fingerprint | None:
    """The first word's base model, unless one of the two is not recorded: then nothing is known for sure."""
    return a.fingerprint if a.fingerprint is not None and b.fingerprint is not None else None


def _name(a: Version, b: Version) -> str:
    if a.concept == b.concept:
        return f"{a.concept}-{a.number}-{b.number}"[:64]
    return f"{a.concept[:31]}-{b.concept[:31]}"
