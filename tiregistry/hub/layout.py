"""The files of a repository that holds a word: what is written on push, and which files pull ever looks at.

At the root lies what the ecosystem reads (`learned_embeds.safetensors`, `token_identifier.txt`, `type_of_concept.txt`,
`concept_images/`), beside it `tireg.json`, from which another registry gets back the very same version.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from tiregistry.concepts import Version
from tiregistry.embeddings.families import why_no_word
from tiregistry.embeddings.limits import MAX_FILE
from tiregistry.embeddings.writing import Word, writer_for
from tiregistry.errors import InvalidInput
from tiregistry.exchange.exporting import word_of
from tiregistry.hub.endpoints import slug
from tiregistry.hub.remote import RemoteFile
from tiregistry.hub.shared_word import SharedPicture, SharedWord, original_time, shared_word
from tiregistry.hub.stripping import check_stripped, strip_picture
from tiregistry.images import MAX_BYTES, decode_picture
from tiregistry.quantities import count
from tiregistry.registry.registry import Registry
from tiregistry.text import natural_key

MANIFEST = "tireg.json"
CARD = "README.md"
TOKEN = "token_identifier.txt"
IMAGES = "concept_images"
PREVIEWS = "previews"
PICTURE_PATH = rf"(?:{IMAGES}|{PREVIEWS})/[^/]+"
"""Where pictures lie; a regular expression."""

MAX_TEXT = 2 * 2**20
"""Largest card, manifest or other text that is read."""
MAX_TOKEN = 4096
"""Largest of the small texts of the concept-library layout."""
MAX_TOTAL = 256 * 2**20
"""Most bytes that one pull fetches."""
MAX_IMAGES = 64
MAX_WORDS = 32
"""Most embedding files taken from one repository."""

WORD_SUFFIXES = (".safetensors", ".bin", ".pt", ".pti")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f/\\:*?\"<>|]{1,150}")
_LORA = "pytorch_lora_weights.safetensors"
"""What diffusers calls a LoRA; with pivotal tuning its words lie in a file beside it."""
_STEP = re.compile(r"[-_](?:steps?[-_]?)\d+$")


@dataclass(frozen=True, slots=True)
class RepositoryFiles:
    """What a push puts into a repository, without the card.

    Attributes:
        files: path to bytes.
        word: what `tireg.json` says.
        public: what a reader of the repository learns, in words.
        notes: what was asked for and is not here, in words.
    """

    files: dict[str, bytes]
    word: SharedWord
    public: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


def repository_files(
    registry: Registry,
    version: Version,
    number: int,
    *,
    with_images: bool = False,
    with_previews: bool = False,
    there: SharedWord | None = None,
    without_images: bool = False,
) -> RepositoryFiles:
    """The files for a version.

    Args:
        registry: where the version is.
        version: what is pushed.
        number: the version's number in the repository, which counts for itself.
        with_images: add the source pictures, without their metadata.
        with_previews: add the preview pictures.
        there: what the repository holds now. Source pictures that are there stay, also those that are not here;
            pictures of another version give way to those that are sent. Previews stay with their own version.
        without_images: let no source picture stay.

    Raises:
        InvalidInput: no prompt could use this word.
        InvalidImage, Damaged: a picture cannot be read.
    """
    word = _word_for_others(registry, version, number)
    files = _word_files(word)
    files[TOKEN] = version.placeholder_token.encode()
    files["type_of_concept.txt"] = version.concept_type.encode()
    pictures = _pictures(registry, version, files) if with_images else ()
    previews = _previews(registry, version, files) if with_previews else ()
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    kept = _Kept()
    if there is not None:
        kept = _kept(there, version, pictures, hashes, with_images=with_images, without_images=without_images)
    shared = shared_word(
        registry,
        version,
        number,
        pictures=tuple(sorted([*pictures, *kept.pictures], key=lambda picture: picture.position)),
        previews=(*previews, *kept.previews),
        files=dict(sorted(hashes.items())),
    )
    assert word.provenance is not None
    part = next(iter(word.embedding.tensors)) if len(word.embedding.tensors) == 1 else ""
    files[MANIFEST] = shared.to_json(replace(word.provenance, part=part)).encode()
    notes = []
    if with_images and len(pictures) < max(1, len(version.images)):
        notes.append(f"{len(pictures) or 'none'} of its {len(version.images)} source pictures are here to send")
    if with_previews and not previews:
        notes.append("it has no previews to send")
    return RepositoryFiles(files, shared, _what_becomes_public(version, shared, kept.others), tuple(notes))


def _word_for_others(registry: Registry, version: Version, number: int) -> Word:
    """The word with the numbers and times that the repository knows, so that every registry writes the same bytes.

    Raises:
        InvalidInput: no prompt could use it, so nobody could follow the card.
    """
    if reason := why_no_word(shape.encoder for shape in version.encoders):
        raise InvalidInput(
            f"{version.reference} is kept, but no prompt can use it: {reason}",
            f"tireg export {version.reference} FILE --format original gives its file back",
        )
    word = word_of(registry, version)
    created_at = original_time(registry, version)
    assert word.provenance is not None
    provenance = replace(word.provenance, reference=f"{version.concept}@{number}", created_at=created_at)
    base_name = word.base_name if word.base_name in ("", "embedded") else slug(word.base_name)
    return replace(
        word, resolution=0, stated={}, created_at=created_at, provenance=replace(provenance, base_name=base_name)
    )


def _word_files(word: Word) -> dict[str, bytes]:
    """The vectors as diffusers loads them, and for several encoders the one file that ComfyUI and A1111 read."""
    roles = set(word.embedding.tensors)
    name = slug(word.name)
    if roles == {"clip_l", "clip_g"}:
        return {
            **writer_for("diffusers").write(word, "learned_embeds"),
            **writer_for("sdxl").write(word, name if not name.startswith("learned_embeds") else f"word-{name}"),
        }
    if len(roles) == 1 and "t5" not in roles:
        return writer_for("diffusers").write(word, "learned_embeds")
    return writer_for("comfyui").write(word, "learned_embeds")


def _pictures(registry: Registry, version: Version, files: dict[str, bytes]) -> tuple[SharedPicture, ...]:
    """Add the source pictures, cleaned, under numbers: their names are from somebody's disk."""
    shared = []
    pulled = {PurePosixPath(role).stem: blob for role, blob in registry.attachments(version).items() if _is_image(role)}
    for position, image in enumerate(version.images[:MAX_IMAGES]):
        # A pulled word may have its pictures only as they were shared, without their metadata.
        blob = image.digest if image.digest in registry.blobs else pulled.get(str(position), "")
        if not blob:
            continue
        data, suffix = strip_picture(registry.blobs.read(blob), f"picture {position + 1}")
        check_stripped(data)
        path = f"{IMAGES}/{position}{suffix}"
        files[path] = data
        # The size as it is: a registry that got the word without its pictures does not know it.
        width, height = decode_picture(data, path).image.size
        shared.append(SharedPicture(path, position, hashlib.sha256(data).hexdigest(), width, height))
    return tuple(shared)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is in a repository and stays there."""

    pictures: tuple[SharedPicture, ...] = ()
    """Source pictures of this version, at their positions in it."""
    previews: tuple[str, ...] = ()
    others: int = 0
    """Source pictures of an earlier version of the word."""


def _kept(
    there: SharedWord,
    version: Version,
    sent: tuple[SharedPicture, ...],
    hashes: dict[str, str],
    *,
    with_images: bool,
    without_images: bool,
) -> _Kept:
    """Pictures and previews that are in the repository and stay there; their hashes are added."""
    is_same = there.digest == version.digest
    stay = {path for path in there.files if path not in hashes and re.fullmatch(PICTURE_PATH, path)}
    previews = tuple(path for path in there.previews if path in stay) if is_same else ()
    stated = [image["sha256"] for image in there.manifest["images"]]
    positions = {image.digest.removeprefix("sha256:"): at for at, image in reversed([*enumerate(version.images)])}
    taken = {picture.position for picture in sent}
    pictures: dict[int, SharedPicture] = {}
    for picture in there.pictures if not without_images else ():
        original = stated[picture.position] if picture.position < len(stated) else ""
        at = picture.position if is_same else positions.get(original, -1)
        if picture.path in stay and at >= 0 and at not in taken:
            pictures.setdefault(at, replace(picture, position=at))
    ours = {picture.path for picture in pictures.values()}
    others = set[str]()
    if not with_images and not without_images:
        others = {path for path in stay if _is_image(path)} - ours
    hashes |= {path: there.files[path] for path in sorted({*ours, *previews, *others})}
    return _Kept(tuple(pictures.values()), previews, len(others))


def _is_image(role: str) -> bool:
    """Whether an attachment is a shared source picture; pull keeps them under the path they had."""
    return role.startswith(f"{IMAGES}/")


def _previews(registry: Registry, version: Version, files: dict[str, bytes]) -> tuple[str, ...]:
    """Add the preview pictures that were kept with the version."""
    shared = []
    attachments = registry.attachments(version)
    roles = sorted(role for role in attachments if role.startswith("preview"))
    for number, role in enumerate(roles[-MAX_IMAGES:]):
        data, suffix = strip_picture(registry.blobs.read(attachments[role]), role)
        check_stripped(data)
        path = f"{PREVIEWS}/{number}{suffix}"
        files[path] = data
        shared.append(path)
    return tuple(shared)


def _what_becomes_public(version: Version, shared: SharedWord, others: int) -> tuple[str, ...]:
    said = ["the vectors, placeholder token and training settings"]
    if any(image.caption for image in version.images):
        said.append("the captions of its pictures")
    if shared.pictures:
        said.append(f"{count(len(shared.pictures), 'source picture')}, without their metadata (place, time, camera)")
    if others:
        are = "are there and stay" if others > 1 else "is there and stays"
        said.append(f"{count(others, 'source picture')} of an earlier version, which {are}")
    if version.images and not shared.pictures:
        said.append("checksums of its source pictures, not the pictures")
    if shared.previews:
        said.append(count(len(shared.previews), "preview"))
    return tuple(said)


# -- what pull looks at ----------------------------------------------------------------------------------------------


def is_tame(path: str) -> bool:
    """Whether a path can be a file of a shared word: short, visible, below the root, nobody's device or hidden file."""
    parts = path.split("/")
    return (
        len(path) <= 400
        and len(parts) <= 4
        and all(_NAME.fullmatch(part) and part.strip(". ") == part and part[0] not in ".~-" for part in parts)
    )


def word_paths(files: dict[str, RemoteFile]) -> list[str]:
    """The embedding files of a repository that is not ours, best first; those of a whole pipeline are passed over.

    Where there is a `learned_embeds` file, that is the word. Otherwise every embedding file is one (A1111's are called
    like their word). Snapshots of a training (`-steps-500`) count only where there is no final file.
    """
    tame = [path for path in files if is_tame(path) and path.lower().endswith(WORD_SUFFIXES)]
    components = {str(PurePosixPath(path).parent) for path in files if path.endswith("/config.json")}
    tame = [path for path in tame if str(PurePosixPath(path).parent) not in components and files[path].size <= MAX_FILE]
    tame = [path for path in tame if PurePosixPath(path).name != _LORA] or tame
    final = [path for path in tame if not _STEP.search(PurePosixPath(path).stem)] or tame
    learned = [path for path in final if PurePosixPath(path).name.startswith("learned_embeds")]
    chosen = [path for path in learned if "/" not in path] or learned
    if chosen:
        safer = [path for path in chosen if path.endswith(".safetensors")]
        return sorted(safer or chosen)[:MAX_WORDS]
    return sorted(final)[:MAX_WORDS]


def texts_beside(files: dict[str, RemoteFile]) -> list[str]:
    """The small text files of the concept-library layout, and the one that names the words in an `embeddings.pti`."""
    names = (TOKEN, "type_of_concept.txt", "special_params.json")
    return [name for name in names if name in files and files[name].size <= MAX_TOKEN]


def picture_paths(files: dict[str, RemoteFile]) -> list[str]:
    """The concept pictures of a repository, in natural order."""
    found = [
        path
        for path, file in files.items()
        if is_tame(path)
        and path.startswith(f"{IMAGES}/")
        and path.count("/") == 1
        and path.lower().endswith(_PICTURES)
        and 0 < file.size <= MAX_BYTES
    ]
    return sorted(found, key=natural_key)[:MAX_IMAGES]
