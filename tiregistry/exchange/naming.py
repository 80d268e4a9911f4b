"""What an imported word is called here: concept, placeholder token and type, without touching the user's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from tiregistry.concepts import ConceptType, NewVersion, Origin
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.errors import AlreadyExists, InvalidInput, InvalidPlaceholder, TiregError
from tiregistry.exchange.claims import MOST_CANDIDATES, Claimant, numbered
from tiregistry.placeholders import check_placeholder, placeholder_for
from tiregistry.references import MAX_NAME, check_name, name_key
from tiregistry.registry.handles import RegisteredConcept
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

_FOREIGN: tuple[Origin, ...] = ("imported", "pulled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user wants a word to be called; what is left out is taken from the file."""

    name: str = ""
    placeholder_token: str = ""
    concept_type: ConceptType | None = None
    is_related: Callable[[RegisteredConcept], bool] | None = None
    """Of a word from a repository: whether a concept here has to do with that. Then one that has not is never joined
    and never made way for by another name: it is in the way, and the user decides."""


class NameTaken(AlreadyExists):
    """The name or token that a word brings belongs to another word here.

    Args:
        concept: the word that is here.
        token: placeholder token of the word that comes.
        free: a name that is free here, also as a token.
    """

    def __init__(self, concept: RegisteredConcept, token: str, free: str) -> None:
        here = safe(concept.placeholder_token, limit=100)
        super().__init__(
            f"{concept.name} ({here}) is another word here than {safe(token, limit=100)}",
            f"--name {free} --token '{placeholder_for(free)}' keeps both",
        )
        self.free = free


@dataclass(slots=True)
class Names:
    """What a new version will be called."""

    concept: str
    token: str
    concept_type: ConceptType
    notes: list[str] = field(default_factory=list)
    """What the user should know about it."""


def choose_names(
    registry: Registry,
    found: FoundEmbedding,
    wishes: Wishes,
    told: NewVersion | None = None,
    claimant: Claimant | None = None,
    ours: Container[str] = (),
) -> Names:
    """Concept, token and type of a new version.

    A name that the user gives is used as it is. One that the file suggests joins a concept only if all of that was
    imported too and has the same encoders, or has a common history with the file's version: an import never becomes the
    latest version of a word that was trained here, or of one for another kind of model.

    Args:
        registry: where the version is going.
        found: the word.
        wishes: what the user decides.
        told: the version that the file was exported from, if it says; it keeps its token wherever that is free.
        claimant: the word beside the others of its import; None where it comes alone.
        ours: the concepts of words that came together with this one, which is no reason to ask the user.

    Raises:
        NameTaken: with `wishes.is_related`, when the name or token belongs to a word that has nothing to do with it.
        InvalidInput: too many words are called like this one.
    """
    suggested = _suggested(registry, found, wishes)
    stranger = _stranger(registry, wishes, suggested, ours)
    if stranger is not None and not _have_common_history(stranger, found, told):
        raise NameTaken(stranger, suggested.token, free_name(registry, suggested.concept))
    if wishes.name:
        names = _as_wished(registry, suggested, wishes)
    else:
        names = _first_that_fits(registry, found, suggested, wishes, told, claimant or Claimant())
    if not wishes.placeholder_token and found.placeholder_token not in ("", names.token):
        names.notes.append(f"the file's token {safe(found.placeholder_token, limit=60)} is written {names.token} here")
    return names


def _suggested(registry: Registry, found: FoundEmbedding, wishes: Wishes) -> Names:
    """What the word would be called if it were alone here: as the user wishes, else as its file says."""
    exported_name = found.provenance.reference.partition("@")[0] if found.provenance else ""
    name = wishes.name or _slug(exported_name) or _slug(found.name) or _slug(found.placeholder_token) or "imported"
    token = wishes.placeholder_token or _token(found, name)
    owner = None if wishes.name else registry.owner_of(token)
    if owner is not None and name_key(owner) != name_key(name):
        name = owner  # the same token means the same word: one more version of it
    return Names(name, token, wishes.concept_type or found.concept_type or "object")


def _as_wished(registry: Registry, suggested: Names, wishes: Wishes) -> Names:
    """Under the name that the user gives; where token or type do not fit it, the registry says what is in the way."""
    concept = registry.find_concept(suggested.concept)
    if concept is None:
        return suggested
    if _fits_wishes(concept, wishes):
        return Names(suggested.concept, concept.placeholder_token, concept.concept_type)
    return Names(suggested.concept, wishes.placeholder_token or concept.placeholder_token, suggested.concept_type)


def _first_that_fits(
    registry: Registry,
    found: FoundEmbedding,
    suggested: Names,
    wishes: Wishes,
    told: NewVersion | None,
    claimant: Claimant,
) -> Names:
    """Under the first name that is free, or whose concept the word joins."""
    taken, token, is_anothers = "", suggested.token, False
    for name in claimant.candidates(suggested.concept):
        may_respell = name != suggested.concept and not wishes.placeholder_token
        if may_respell and (told is None or is_anothers or registry.owner_of(token) is not None):
            token = placeholder_for(name)
        concept = registry.find_concept(name)
        is_anothers = claimant.is_anothers(concept.name if concept else name)
        if concept is None and not is_anothers:
            if wishes.placeholder_token or registry.owner_of(token) is None:
                return Names(name, token, suggested.concept_type, _notes_on(taken))
            continue
        if concept is not None and _joins(concept, found, wishes, told, token, is_anothers):
            return Names(name, concept.placeholder_token, concept.concept_type, _notes_on(taken))
        taken = taken or name
    raise InvalidInput(
        f"{MOST_CANDIDATES} other words are called like {safe(suggested.concept)}",
        "give it a name of its own: --name",
    )


def _notes_on(taken: str) -> list[str]:
    return [f"{taken} is another word here already"] if taken else []


def _joins(
    concept: RegisteredConcept,
    found: FoundEmbedding,
    wishes: Wishes,
    told: NewVersion | None,
    token: str,
    is_anothers: bool,
) -> bool:
    """Whether the word becomes one more version of a concept that has the name.

    Args:
        token: what the word would be written like on its own; an exported one is that word and no other.
        is_anothers: another word of the same import came to the concept.
    """
    is_like_it = not is_anothers and _is_same_kind(concept, found, told)
    if not is_like_it and not _have_common_history(concept, found, told):
        return False
    is_written_alike = told is None or token == concept.placeholder_token
    return is_written_alike and _fits_wishes(concept, wishes)


def _fits_wishes(concept: RegisteredConcept, wishes: Wishes) -> bool:
    """Whether a concept has the token and the type that the user gave, if any."""
    has_token = wishes.placeholder_token in ("", concept.placeholder_token)
    return has_token and wishes.concept_type in (None, concept.concept_type)


def _stranger(registry: Registry, wishes: Wishes, suggested: Names, ours: Container[str]) -> RegisteredConcept | None:
    """The word here that has the name or the token and nothing to do with where the new one comes from."""
    if wishes.is_related is None:
        return None
    concept = registry.find_concept(suggested.concept)
    if concept is not None and wishes.name:
        return None  # the user says that it belongs there
    owner = registry.owner_of(suggested.token)
    concept = concept or (registry.find_concept(owner) if owner else None)
    if concept is None or concept.name in ours or wishes.is_related(concept):
        return None
    return concept


def free_name(registry: Registry, name: str) -> str:
    """A name like `name` that no word has here, neither as its name nor in its token."""
    for number in range(2, MOST_CANDIDATES):
        free = numbered(name, number)
        if registry.find_concept(free) is None and registry.owner_of(placeholder_for(free)) is None:
            return free
    return f"{name[: MAX_NAME - 4]}-new"


def _is_same_kind(concept: RegisteredConcept, found: FoundEmbedding, told: NewVersion | None) -> bool:
    """Whether nothing of a concept was made here, and its vectors belong to the same encoders."""
    if any(version.origin not in _FOREIGN for version in concept.versions):
        return False
    wanted = {(shape.encoder, shape.dim) for shape in found.embedding.shapes}
    return told is not None or all(
        {(shape.encoder, shape.dim) for shape in version.encoders} == wanted for version in concept.versions
    )


def _have_common_history(concept: RegisteredConcept, found: FoundEmbedding, told: NewVersion | None) -> bool:
    """Whether one of the concept's versions was made from the version in the file, or the other way round."""
    if told is None or found.provenance is None:
        return False
    parents = {parent.digest for parent in told.parents}
    return any(
        version.digest in parents or any(parent.digest == found.provenance.version for parent in version.parents)
        for version in concept.versions
    )


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
