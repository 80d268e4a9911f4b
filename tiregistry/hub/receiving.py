"""Registers what a pull has fetched: our own versions under their own digest, everything else as an import is."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tiregistry.concepts import NewVersion, Parent, SourceImage, Version
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.folders import read_folder
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.errors import (
    AlreadyExists,
    ConceptNotFound,
    Damaged,
    DamagedEmbedding,
    InvalidInput,
    InvalidReference,
    TiregError,
    UnreadableEmbedding,
)
from tiregistry.exchange.importing import ImportOptions, import_path
from tiregistry.exchange.naming import NameTaken, free_name
from tiregistry.hub.endpoints import slug
from tiregistry.hub.shared_word import SharedWord
from tiregistry.images import decode_picture
from tiregistry.placeholders import check_placeholder
from tiregistry.references import check_name, name_key
from tiregistry.registry.handles import RegisteredConcept
from tiregistry.registry.manifest import build, canonical, digest_of
from tiregistry.registry.registry import Registry
from tiregistry.text import safe


@dataclass(frozen=True, slots=True)
class Naming:
    """What the user wants a pulled word to be called; empty means as its owner calls it."""

    name: str = ""
    placeholder_token: str = ""


def known_version(registry: Registry, word: SharedWord, naming: Naming) -> Version | None:
    """The living version here that has the word's digest (and the token that is asked for)."""
    if naming.placeholder_token not in ("", word.placeholder_token):
        return None
    found = [version for version in registry.versions_with(digest=word.digest) if version.digest == word.digest]
    return next((v for v in found if name_key(naming.name) == name_key(v.concept)), found[0] if found else None)


def unused_name(version: Version, naming: Naming) -> tuple[str, ...]:
    """What to say when the user wants a name for a version that is here under another one: a digest is here once."""
    if not naming.name or name_key(naming.name) == name_key(version.concept):
        return ()
    name = safe(naming.name, limit=100)
    return (f"already here as {version.reference}, so the name {name} was not used; --token makes a word of its own",)


def register_shared(
    registry: Registry, word: SharedWord, folder: Path, paths: Sequence[str], repo_id: str, naming: Naming
) -> tuple[Version, tuple[str, ...]]:
    """Register a version that tireg pushed, under the digest that it has everywhere; and what is odd about its vectors.

    Args:
        registry: where.
        word: what `tireg.json` says.
        folder: the fetched files.
        paths: those of them that belong to the word, relative to `folder`.
        repo_id: where they come from.
        naming: what the user wants.

    Raises:
        Damaged: the files are not those that `tireg.json` names.
        AlreadyExists, Conflict: the name or token belongs to another word here.
    """
    _check_files(word, folder, paths, repo_id)
    found = _embedding_of(word, folder, repo_id)
    embedding = found.embedding
    name = _concept_name(registry, word, repo_id, naming)
    images, attachments = _pictures(registry, word, folder, paths)
    new = replace(word.new_version(name, _record_of(word, repo_id), images), attachments=attachments)
    new = _renamed(new, word, naming)
    is_renamed = new.placeholder_token != word.placeholder_token
    if not is_renamed and digest_of(canonical(build(new, embedding))) != word.digest:
        raise Damaged(f"{repo_id}: its manifest holds what this tireg does not know", "update tireg, then try again")
    version = registry.add_version(new, embedding)
    _add_labels(registry, version, word)
    return version, found.warnings


def _record_of(word: SharedWord, repo_id: str) -> dict[str, Any]:
    """What was observed when the word was made, and where it came from."""
    hub: dict[str, Any] = {"repo_id": repo_id, "number": word.number, "created_at": word.created_at}
    if word.base_model:
        hub["base_model"] = word.base_model
    return {**word.record, "hub": hub}


def _embedding_of(word: SharedWord, folder: Path, repo_id: str) -> FoundEmbedding:
    """The vectors whose identity the manifest states, from whichever file holds them."""
    problems = []
    for result in read_folder(folder):
        problems += [result.error.message] if result.error else []
        for found in result.found:
            if found.embedding.digest == word.embedding_digest:
                return found
    why = f": {problems[0]}" if problems else ""
    raise Damaged(f"{repo_id}: the vectors are not those of its manifest{why}", "ask its owner; nothing was kept")


def _concept_name(registry: Registry, word: SharedWord, repo_id: str, naming: Naming) -> str:
    """Under which concept the version is registered here.

    A pulled version joins a concept only when both have a common history, or when the user says so: otherwise it
    would become the newest version of somebody's own word.

    Raises:
        AlreadyExists: the name or the token is another word's.
    """
    token = naming.placeholder_token or word.placeholder_token
    wanted = naming.name or _allowed_name(word.name)
    owner = registry.placeholders().get(token)
    concept = _find(registry, wanted) or (_find(registry, owner) if owner else None)
    if concept is None:
        return wanted
    is_same_word = concept.placeholder_token == token
    if is_same_word and (
        name_key(naming.name) == name_key(concept.name) or _is_related(registry, concept, word, repo_id)
    ):
        return concept.name
    raise _in_the_way(NameTaken(concept, token, free_name(registry, wanted)), repo_id)


def _in_the_way(error: NameTaken, repo_id: str, file: str = "") -> AlreadyExists:
    """The error told of a repository, or of one of several files in it, with the command that keeps both words."""
    which = f"{repo_id}/{file}" if file else repo_id
    chosen = f" --file {shlex.quote(file)}" if file else ""
    return AlreadyExists(f"{error.summary} of {which}", f"tireg pull {repo_id}{chosen} {error.hint}")


def _find(registry: Registry, name: str) -> RegisteredConcept | None:
    try:
        return registry.concept(name)
    except ConceptNotFound:
        return None


def _allowed_name(name: str) -> str:
    """The owner's name for the word, changed as little as the rule of names demands."""
    for candidate in (name, slug(name), f"word-{slug(name)}"):
        try:
            return check_name(candidate)
        except InvalidReference:
            continue
    return "pulled-word"


def _is_related(registry: Registry, concept: RegisteredConcept, word: SharedWord, repo_id: str) -> bool:
    """Whether a concept here has come from, or gone to, this repository, or is an ancestor or descendant."""
    ancestors = {parent["digest"] for parent in word.manifest["parents"]}
    return _was_there(registry, repo_id, concept) or any(
        version.digest in ancestors or any(parent.digest == word.digest for parent in version.parents)
        for version in concept.versions
    )


def _was_there(registry: Registry, repo_id: str, concept: RegisteredConcept) -> bool:
    """Whether a version of the concept has come from, or gone to, the repository."""
    return any(remote.repo_id == repo_id for version in concept.versions for remote in registry.remotes(version))


def _renamed(new: NewVersion, word: SharedWord, naming: Naming) -> NewVersion:
    """With another placeholder token it is another version, which says where it comes from."""
    if naming.placeholder_token in ("", word.placeholder_token):
        return new
    token = check_placeholder(naming.placeholder_token)
    return replace(new, placeholder_token=token, parents=(Parent(word.digest, "pulled"),))


def _pictures(
    registry: Registry, word: SharedWord, folder: Path, paths: Sequence[str]
) -> tuple[tuple[SourceImage, ...], dict[str, str]]:
    """Keep the fetched pictures: as source images where they are the very bytes, else beside the version.

    A picture that lost its metadata on the way is no longer the file that the digest proves.
    """
    images: list[SourceImage] = []
    attachments: dict[str, str] = {}
    stated = [image["sha256"] for image in word.manifest["images"]]
    for picture in word.pictures:
        if picture.path not in paths:
            continue
        data = (folder / picture.path).read_bytes()
        decode_picture(data, picture.path)  # what cannot be shown is not kept
        blob = registry.blobs.add(data)
        original = stated[picture.position] if picture.position < len(stated) else ""
        images.append(
            SourceImage(f"sha256:{original or blob[7:]}", Path(picture.path).name, picture.width, picture.height)
        )
        if blob != f"sha256:{original}":
            attachments[picture.path] = blob
    for path in word.previews:
        if path in paths:
            data = (folder / path).read_bytes()
            decode_picture(data, path)
            attachments[path] = registry.blobs.add(data)
    return tuple(images), attachments


def missing_pictures(registry: Registry, word: SharedWord, version: Version) -> list[str]:
    """Paths of shared pictures and previews that a version which is here lacks."""
    attachments = registry.attachments(version)
    stated = [image.digest for image in version.images]
    has_previews = any(role.startswith("preview") for role in attachments)
    return [
        *(
            picture.path
            for picture in word.pictures
            if picture.path not in attachments
            and picture.position < len(stated)
            and stated[picture.position] not in registry.blobs
        ),
        *(() if has_previews else word.previews),
    ]


def add_pictures(registry: Registry, word: SharedWord, version: Version, folder: Path, paths: Sequence[str]) -> None:
    """Keep pictures that were shared later with a version that is here already.

    Raises:
        Damaged: they are not those that `tireg.json` names.
    """
    _check_files(word, folder, paths, version.reference)
    images, attachments = _pictures(registry, word, folder, paths)
    registry.add_version(word.new_version(version.concept, {}, images), registry.embedding(version))
    for role, blob in attachments.items():
        registry.attach(version, role, blob)


def add_record(registry: Registry, word: SharedWord, version: Version, repo_id: str) -> bool:
    """Add the record and the scores that a version which came without them lacks, as from an exported file.

    What was made here has its own record, and what is known of a version already is not replaced.

    Returns:
        Whether the record says more of the training now.
    """
    if version.origin not in ("imported", "pulled"):
        return False
    added = registry.complete_record(version, _record_of(word, repo_id))
    if not added.intersection(word.record):
        return False
    registry.set_scores(version, {label: v for label, v in word.scores.items() if label not in version.scores})
    return True


def _check_files(word: SharedWord, folder: Path, paths: Sequence[str], shown: str) -> None:
    for path in paths:
        if hashlib.sha256((folder / path).read_bytes()).hexdigest() != word.files[path]:
            raise Damaged(f"{shown}: {safe(path)} is not the file that tireg.json names", "ask its owner")


def _add_labels(registry: Registry, version: Version, word: SharedWord) -> None:
    """Scores, and those of the owner's tags that may be tags here."""
    if word.scores:
        registry.set_scores(version, word.scores)
    for tag in word.tags:
        try:
            registry.tag(version.concept, add=[tag])
        except TiregError:
            continue


def register_foreign(
    registry: Registry,
    folder: Path,
    repo_id: str,
    naming: Naming,
    card: Mapping[str, Any],
    words: Sequence[str] = (),
    unfetched: Mapping[str, TiregError] | None = None,
) -> list[tuple[Version, bool, tuple[str, ...]]]:
    """Register the words of a repository that tireg did not write; pickles are read without being executed.

    Args:
        registry: where.
        folder: the fetched files.
        repo_id: where they come from.
        naming: what the user wants.
        card: the front matter of the repository's README; its base model and licence are believed where the files say
            nothing, because nobody else knows.
        words: those of the files that should be embeddings, relative to `folder`.
        unfetched: those that their beginning refused.

    Returns:
        Per word its version, whether it was here already, and what the user should know.

    Raises:
        Damaged: none of the files can be used, and the first is damaged or asks to run code.
        UnreadableEmbedding: none of the files holds a word that can be used; the message says why the first does not.
        AlreadyExists: the name or token of each word belongs to another one here.
        InvalidInput, Conflict: the names that the user gave do not fit.
    """
    options = ImportOptions(
        name="" if _is_here(registry, _sole(folder, repo_id, naming), naming) else naming.name,
        placeholder_token=naming.placeholder_token,
        origin="pulled",
        base_name=_first_text(card.get("base_model"), 200),
        licence=_first_text(card.get("license"), 100),
        is_related=partial(_was_there, registry, repo_id),
    )
    found: list[tuple[Version, bool, tuple[str, ...]]] = []
    refused = [(safe(path, limit=120), error) for path, error in (unfetched or {}).items()]
    for outcome in import_path(registry, folder, options):
        inside = safe(outcome.path.relative_to(folder), limit=120)
        if outcome.version is not None:
            unused = unused_name(outcome.version, naming)
            was_known = outcome.status == "already there" or bool(unused)
            found.append((outcome.version, was_known, (*outcome.notes, *unused)))
        elif isinstance(outcome.error, NameTaken):
            refused.append((inside, _in_the_way(outcome.error, repo_id, inside if len(words) > 1 else "")))
        elif outcome.error is not None:
            refused.append((inside, outcome.error))
        elif inside in words:
            what = outcome.other or "file of another kind"
            refused.append((inside, DamagedEmbedding(f"the file is damaged: it is a {what}")))
    if not found:
        if refused:
            path, error = refused[0]
            raise _of_repository(error, repo_id, path)
        raise UnreadableEmbedding(f"{repo_id}: its files hold no learned word", "tireg hub search finds others")
    version, was_known, notes = found[-1]
    found[-1] = (version, was_known, (*notes, *(_left_out(path, error) for path, error in refused)))
    return found


def _left_out(path: str, error: TiregError) -> str:
    """A note on one of several files; where a word here is in the way, with the command that keeps both."""
    how = f" · {error.hint}" if isinstance(error, AlreadyExists) else ""
    return f"{path} was left out: {error.message}{how}"


def _is_here(registry: Registry, embedding: Embedding | None, naming: Naming) -> bool:
    """Whether the word to be named is here already; with a token of its own it would be another version."""
    if embedding is None or naming.placeholder_token:
        return False
    return bool(registry.versions_with(embedding_digest=embedding.digest))


def _sole(folder: Path, repo_id: str, naming: Naming) -> Embedding | None:
    """The one embedding that a name or token is given for; None without either, and where there is none.

    Raises:
        InvalidInput: the repository holds several.
    """
    if not naming.name and not naming.placeholder_token:
        return None
    results = [result for result in read_folder(folder) if result.found]
    count = sum(len(result.found) for result in results)
    if count > 1:
        names = [safe(result.path.relative_to(folder), limit=100) for result in results]
        one = f"tireg pull {repo_id} --file {shlex.quote(names[0])} takes one of them"
        raise InvalidInput(
            f"{repo_id} holds {count} embeddings, which cannot share one name or token: "
            f"{', '.join(names[:4])}{', …' if len(names) > 4 else ''}",
            one if len(names) > 1 else "leave out --name and --token",
        )
    return results[0].found[0].embedding if results else None


def _of_repository(error: TiregError, repo_id: str, path: str) -> TiregError:
    """The same error, told of a file in a repository; one that is damaged there counts as damage."""
    message = f"{repo_id}/{path}: {error.message}"
    if isinstance(error, DamagedEmbedding):
        return Damaged(message, "nothing was kept; open it nowhere, and ask its owner")
    if isinstance(error, UnreadableEmbedding):
        return UnreadableEmbedding(message, error.hint)
    return error


def _first_text(value: object, most: int) -> str:
    """A field of a card: a text, or the first of a list, made safe."""
    first = value[0] if isinstance(value, list) and value else value
    return safe(first, limit=most) if isinstance(first, str) else ""
