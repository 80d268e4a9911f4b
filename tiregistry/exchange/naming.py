"""What an imported word is called here: concept, placeholder token and type, without touching the user's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from tiregistry.concepts import ConceptType, NewVersion, Origin
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.reading import without_step
from tiregistry.errors import AlreadyExists, InvalidInput, InvalidPlaceholder, TiregError
from tiregistry.placeholders import check_placeholder, placeholder_for
from tiregistry.references import MAX_NAME, check_name, name_key
from tiregistry.registry.handles import RegisteredConcept
from tiregistry.registry.registry import Registry
from tiregistry.text import safe

_FOREIGN: tuple[Origin, ...] = ("imported", "pulled")
_MOST_ATTEMPTS = 1000
_STEP_FOLDER = re.compile(r"(?:checkpoint|steps?|epoch)[-_]?\d{1,9}", re.IGNORECASE)


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


class Claims:
    """The names given so far in one import, each with the word that got it.

    Two files that ask for one name hold two words, unless they are snapshots of one training: files of one folder whose
    names differ in nothing but the step (or the format), or versions of one word exported by tireg.
    """

    def __init__(self) -> None:
        self._owners: dict[str, Hashable] = {}

    def claim(self, name: str, path: Path, found: FoundEmbedding, told: NewVersion | None) -> None:
        """Note that the concept `name` was given to a word in `path`; the first one keeps it."""
        self._owners.setdefault(name_key(name), _training_of(path, found, told))

    def is_anothers(self, name: str, path: Path, found: FoundEmbedding, told: NewVersion | None) -> bool:
        """Whether `name` was given to another word than the one in `path`."""
        mine = _training_of(path, found, told)
        return self._owners.get(name_key(name), mine) != mine


def _training_of(path: Path, found: FoundEmbedding, told: NewVersion | None) -> Hashable:
    """What the snapshots of one training have in common."""
    if told is not None and found.provenance is not None:
        return name_key(found.provenance.reference.partition("@")[0])
    folder = path.parent.parent if _STEP_FOLDER.fullmatch(path.parent.name) else path.parent
    return folder, without_step(path.stem, found.step)


def choose_names(
    registry: Registry,
    found: FoundEmbedding,
    wishes: Wishes,
    told: NewVersion | None = None,
    is_given: Callable[[str], bool] = lambda name: False,
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
        is_given: whether a concept got another word of the same import, of which this one is no version.
        ours: the concepts of words that came together with this one, which is no reason to ask the user.

    Raises:
        NameTaken: with `wishes.is_related`, when the name or token belongs to a word that has nothing to do with it.
    """
    notes: list[str] = []
    exported_name = found.provenance.reference.partition("@")[0] if found.provenance else ""
    name = wishes.name or _slug(exported_name) or _slug(found.name) or _slug(found.placeholder_token) or "imported"
    token = wishes.placeholder_token or _token(found, name)
    owner = None if wishes.name else registry.owner_of(token)
    if owner is not None and name_key(owner) != name_key(name):
        name = owner  # the same token means the same word: one more version of it
    kind = wishes.concept_type or found.concept_type
    stranger = _stranger(registry, wishes, name, registry.owner_of(token) or "", ours)
    if stranger is not None and not _have_common_history(stranger, found, told):
        raise NameTaken(stranger, token, free_name(registry, name))
    for attempt in range(2, _MOST_ATTEMPTS):
        concept = registry.find_concept(name)
        is_other = not wishes.name and is_given(concept.name if concept else name)
        is_free = concept is None and not is_other
        if is_free and (wishes.name or wishes.placeholder_token or registry.owner_of(token) is None):
            break
        if concept is not None and (
            wishes.name
            or (not is_other and _is_same_kind(concept, found, told))
            or _have_common_history(concept, found, told)
        ):
            joined = wishes.placeholder_token or concept.placeholder_token
            fits_type = wishes.concept_type in (None, concept.concept_type)
            is_other_word = told is not None and not wishes.name and token != concept.placeholder_token
            if fits_type and joined == concept.placeholder_token and not is_other_word:
                token, kind = joined, concept.concept_type
                break
            if wishes.name:
                token = joined
                break  # the registry will say what is in the way
        if not is_free and not notes:
            notes.append(f"{name} is another word here already")
        base = re.sub(r"-\d+$", "", name) if attempt > 2 else name
        name = f"{base[: MAX_NAME - 4]}-{attempt}"
        if not wishes.placeholder_token and (told is None or is_other or registry.owner_of(token) is not None):
            token = placeholder_for(name)
    else:
        raise InvalidInput(
            f"{_MOST_ATTEMPTS} other words are called like {safe(base)}", "give it a name of its own: --name"
        )
    if not wishes.placeholder_token and found.placeholder_token not in ("", token):
        notes.append(f"the file's token {safe(found.placeholder_token, limit=60)} is written {token} here")
    return Names(name, token, kind or "object", notes)


def _stranger(
    registry: Registry, wishes: Wishes, name: str, owner: str, ours: Container[str]
) -> RegisteredConcept | None:
    """The word here that has the name or the token and nothing to do with where the new one comes from.

    Args:
        owner: the concept that has the token; empty for none.
    """
    if wishes.is_related is None:
        return None
    concept = registry.find_concept(name)
    if concept is not None and wishes.name:
        return None  # the user says that it belongs there
    concept = concept or (registry.find_concept(owner) if owner else None)
    if concept is None or concept.name in ours or wishes.is_related(concept):
        return None
    return concept


def free_name(registry: Registry, name: str) -> str:
    """A name like `name` that no word has here, neither as its name nor in its token."""
    base = name[: MAX_NAME - 4]
    for count in range(2, _MOST_ATTEMPTS):
        free = f"{base}-{count}"
        if registry.find_concept(free) is None and registry.owner_of(placeholder_for(free)) is None:
            return free
    return f"{base}-new"


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
