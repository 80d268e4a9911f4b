"""Finds the embeddings in folders; what is no embedding is passed over, with a word on what it is."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from tiregistry.embeddings.containers.picture import NoEmbeddingInPicture, looks_like_picture
from tiregistry.embeddings.containers.safetensors_file import looks_like_safetensors
from tiregistry.embeddings.containers.torch_file import looks_like_pickle
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.limits import MAX_FILE
from tiregistry.embeddings.neighbours import is_mapper, is_second_half, read_path, small_json
from tiregistry.errors import FileMissing, TiregError, UnreadableEmbedding
from tiregistry.text import natural_key, safe

_MAX_ENTRIES = 100_000
"""Most files and folders that are looked at below one."""
_MAX_DEPTH = 32
"""Most folders inside each other that are entered."""
_TEXTS = frozenset({".txt", ".md", ".json", ".yaml", ".yml", ".toml", ".csv", ".log", ".py"})
_COMPANIONS = frozenset({"token_identifier.txt", "type_of_concept.txt", "special_params.json", "tireg.json"})
"""Texts that are read together with the embedding beside them."""
_DEEP = f"folder within {_MAX_DEPTH} others"
_TOO_MUCH = "more than is read"
_SYSTEM = ("proc", "sys", "dev")
"""Folders whose files are none, and of which some never end."""
REGISTRY = "registry"
"""What a registry's home is when it is passed over: its blobs are parts of words, which only it can put together."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file: embeddings, or the error that says why not, or what it is instead of an embedding."""

    path: Path
    found: tuple[FoundEmbedding, ...] = ()
    error: TiregError | None = None
    passed_over: str = ""
    """What was not looked into any further, such as `text` or `picture without an embedding`."""


def read_folder(folder: Path) -> Iterator[FileResult]:
    """Read every embedding below `folder`, in natural order.

    Hidden and system files, optimizer states, texts, ordinary pictures, previews, files of other kinds, linked folders,
    registries, the component folders of whole pipelines, what the system shows as files (/proc, /sys, /dev) and folders
    too deep inside each other are passed over, each with a result that says so. Linked files are followed: the Hugging
    Face cache consists of them. Files that look like embeddings and cannot be used come as errors, and so does a folder
    of which there is more than was looked at.
    """
    for path, other in _files(folder):
        if other == _TOO_MUCH:
            many = f"{_MAX_ENTRIES:,} files and folders"
            error = UnreadableEmbedding(f"only the first {many} of {safe(path)} were read", "give a smaller folder")
            yield FileResult(path, error=error)
            continue
        if other:
            yield FileResult(path, passed_over=other)
            continue
        if is_second_half(path):
            continue
        try:
            yield FileResult(path, tuple(read_path(path)))
        except NoEmbeddingInPicture:
            yield FileResult(path, passed_over="picture without an embedding")
        except TiregError as error:
            yield FileResult(path, error=error)


def count_candidates(folder: Path) -> int:
    """How many files `read_folder` will look into, for a progress bar."""
    return sum(1 for _, other in _files(folder) if not other)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files below `folder`, each with what it is when it cannot hold an embedding, told by its first bytes."""
    if not folder.is_dir():
        raise FileMissing(f"{safe(folder)} does not exist", "check the path")
    if registry_of(folder.absolute()) is not None:
        yield folder, REGISTRY
        return
    whole = folder.resolve()
    if any(_is_of_the_system(place) for place in (whole, *whole.parents)):
        yield folder, "folder of the system"
        return
    seen = 0
    closed: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=closed.append):
        while closed:
            yield Path(closed.pop().filename), ""  # opening it will say why it cannot be read
        here = Path(parent)
        if "registry.db" in names and "blobs" in folders:
            folders.clear()
            yield here, REGISTRY
            continue
        components = _pipeline_components(here) if "model_index.json" in names else set()
        is_deep = len(here.parts) - len(folder.parts) >= _MAX_DEPTH
        entered: list[str] = []
        seen += len(folders)
        if seen > _MAX_ENTRIES:
            yield folder, _TOO_MUCH
            return
        for name in sorted(folders, key=natural_key):
            if other := _other_folder(here / name, components) or _DEEP * is_deep:
                yield here / name, other
            elif name != "concept_images":
                entered.append(name)
        folders[:] = entered
        for name in sorted(names, key=natural_key):
            seen += 1
            if seen > _MAX_ENTRIES:
                yield folder, _TOO_MUCH
                return
            if name not in _COMPANIONS and not (name == "README.md" and "token_identifier.txt" in names):
                yield here / name, _other_file(here / name)
    for error in closed:
        yield Path(error.filename), ""


def registry_of(path: Path) -> Path | None:
    """The home of the registry whose blobs `path` belongs to, if it does."""
    blobs = next((place for place in (*[path] * path.is_dir(), *path.parents) if place.name == "blobs"), None)
    return blobs.parent if blobs is not None and (blobs.parent / "registry.db").is_file() else None


def _other_folder(path: Path, components: Container[str]) -> str:
    """What a folder is when it is not entered, else an empty string."""
    if path.name[0] in "._":
        return "hidden folder"
    if path.name in components:
        return "part of a whole pipeline"
    if _is_of_the_system(path.absolute()):
        return "folder of the system"
    return "linked folder" if path.is_symlink() else ""


def _is_of_the_system(path: Path) -> bool:
    """Whether a folder is one like /proc, here or in a system inside this one."""
    return path.name in _SYSTEM and os.name != "nt" and (path.parent == Path("/") or os.path.ismount(path))


def _other_file(path: Path) -> str:
    """What a file is when it cannot hold an embedding, else an empty string."""
    suffix = path.suffix.lower()
    if path.name[0] in "._~":
        return "hidden file"
    if suffix == ".optim":
        return "optimizer state"
    if suffix in _TEXTS:
        return "text"
    if path.name.lower().endswith(".preview.png"):
        return "preview picture"
    if is_mapper(path.name) and any(path.parent.glob("learned_embeds*")):
        return "network of a NeTI word"
    return "" if _may_hold(path) else "file of another kind"


def _may_hold(path: Path) -> bool:
    """Whether the first bytes are those of a container that embeddings come in."""
    suffix = path.suffix.lower()
    promised = suffix in (".pt", ".pti", ".safetensors")  # reading it will say what is wrong with it
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return promised
    if picture := looks_like_picture(head):
        return picture not in ("JPEG", "GIF")
    if head.startswith(b"PK\x03\x04"):
        return suffix not in (".zip", ".npz", ".whl", ".docx", ".jar")
    return promised or looks_like_safetensors(head) or looks_like_pickle(head)


def _pipeline_components(folder: Path) -> set[str]:
    """The component folders that a pipeline's `model_index.json` names."""
    return set(small_json(folder / "model_index.json"))


def concept_images(path: Path) -> list[Path]:
    """The pictures of a concept-library folder, in natural order; none when the file lies in no such folder."""
    folder = path.with_name("concept_images")
    if not path.with_name("token_identifier.txt").is_file() or not folder.is_dir():
        return []
    suffixes = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif")
    names = sorted(
        (n for n in os.listdir(folder) if n.lower().endswith(suffixes) and n[0] not in "._"), key=natural_key
    )
    files = [folder / name for name in names[:64]]
    return [file for file in files if file.is_file() and file.stat().st_size <= MAX_FILE]
