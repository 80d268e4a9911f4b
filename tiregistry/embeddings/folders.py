"""Finds the embeddings in folders: what belongs together is joined, what is no embedding is passed over.

A file is looked at together with its neighbours, because some formats spread over several files: SDXL pairs
(`learned_embeds_2`), concept-library folders (token, type and pictures beside the file), `special_params.json`, and
NeTI's mapper, beside which `learned_embeds.bin` is only a decoy.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiregistry.embeddings.containers.picture import NoEmbeddingInPicture, looks_like_picture
from tiregistry.embeddings.containers.safetensors_file import looks_like_safetensors
from tiregistry.embeddings.containers.source import open_source
from tiregistry.embeddings.containers.torch_file import looks_like_pickle
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.families import candidates
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.limits import MAX_FILE
from tiregistry.embeddings.provenance import MAX_BLOCK, Provenance
from tiregistry.embeddings.reading import CHANGED, GENERIC_STEMS, read_embedding
from tiregistry.errors import FileMissing, TiregError, UnreadableEmbedding
from tiregistry.text import safe

_MAX_ENTRIES = 100_000
"""Most files and folders that are looked at below one."""
_MAX_DEPTH = 32
"""Most folders inside each other that are entered."""
_MAX_TEXT = 64 * 1024
_TEXTS = frozenset({".txt", ".md", ".json", ".yaml", ".yml", ".toml", ".csv", ".log", ".py"})
_MAPPERS = frozenset({".pt", ".bin", ".ckpt"})
_COMPANIONS = frozenset({"token_identifier.txt", "type_of_concept.txt", "special_params.json", "tireg.json"})
"""Texts that are read together with the embedding beside them."""
_CONCEPT_TEXTS = ("token_identifier.txt", "type_of_concept.txt", "README.md")
_DEEP = f"folder within {_MAX_DEPTH} others"
_TOO_MUCH = "more than is read"
_SYSTEM = ("proc", "sys", "dev")
"""Folders whose files are none, and of which some never end."""
REGISTRY = "registry"
"""What a registry's home is when it is passed over: its blobs are parts of words, which only it can put together."""
_SECOND = re.compile(r"(?P<head>.+?)_2(?P<tail>(?:[-_]steps?[-_]\d+)?)$")
_ROW_TOKENS = re.compile(r"<s(\d{1,4})>")


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file: embeddings, or the error that says why not, or what it is instead of an embedding."""

    path: Path
    found: tuple[FoundEmbedding, ...] = ()
    error: TiregError | None = None
    passed_over: str = ""
    """What was not looked into any further, such as `text` or `picture without an embedding`."""


def read_path(path: Path) -> list[FoundEmbedding]:
    """Read one file, looking at its neighbours.

    Raises:
        FileMissing: it does not exist.
        UnreadableEmbedding: it holds no embedding, or one that is no word.
    """
    if _has_mapper(path):
        raise UnreadableEmbedding(
            f"{safe(path.name)} only holds an untrained placeholder: the word is in the NeTI mapper beside it",
            "NeTI words are networks, which no other program can use",
        )
    if _is_second_half(path):
        path = _first_half(path)
    found = read_embedding(path)
    if len(found) == 1:
        found = [_with_other_half(path, found[0])]
    found = _split_special_params(path, found)
    return [_beside(path, item, alone=len(found) == 1) for item in found]


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
        if _is_second_half(path):
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
        for name in sorted(folders, key=natural):
            if other := _other_folder(here / name, components) or _DEEP * is_deep:
                yield here / name, other
            elif name != "concept_images":
                entered.append(name)
        folders[:] = entered
        for name in sorted(names, key=natural):
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
    if path.name.startswith("mapper") and suffix in _MAPPERS and any(path.parent.glob("learned_embeds*")):
        return "network of a NeTI word"
    return "" if _may_hold(path) else "file of another kind"


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `x-10` after `x-9`."""
    return [
        (0, int(part[:18]), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"(\d+)", name.casefold())
        if part
    ]


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
    return set(_json(folder / "model_index.json"))


def _json(path: Path) -> dict[str, Any]:
    """A small JSON object from a file beside the embedding, empty when there is none."""
    try:
        value = json.loads(_text(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: Path, most: int = _MAX_TEXT) -> str:
    """The text of a small file, empty when there is none."""
    try:
        with open_source(path) as source:
            return source.head(most).decode("utf-8", "replace") if source.size <= most else ""
    except TiregError:
        return ""


# -- what lies beside a file ----------------------------------------------------------------------------------------


def _siblings(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path.parent))[:10_000]
    except OSError:
        return []


def _has_mapper(path: Path) -> bool:
    if not path.name.startswith("learned_embeds"):
        return False
    return any(name.startswith("mapper") and Path(name).suffix in _MAPPERS for name in _siblings(path))


def _second_half(path: Path) -> Path | None:
    """`learned_embeds_2-steps-500.safetensors` for `learned_embeds-steps-500.safetensors`, if it is there."""
    match = re.fullmatch(r"(.+?)((?:[-_]steps?[-_]\d+)?)", path.stem)
    if match is None:
        return None
    other = path.with_name(f"{match.group(1)}_2{match.group(2)}{path.suffix}")
    return other if other.is_file() else None


def _is_second_half(path: Path) -> bool:
    """Whether `path` is the second file of a pair whose first file is there and has the same key."""
    first = _first_half(path)
    try:
        return first != path and first.is_file() and _pair(read_embedding(first), read_embedding(path)) is not None
    except TiregError:
        return False


def _first_half(path: Path) -> Path:
    """`learned_embeds.safetensors` for `learned_embeds_2.safetensors`; other names stay as they are."""
    match = _SECOND.fullmatch(path.stem)
    return path.with_name(f"{match['head']}{match['tail']}{path.suffix}") if match else path


def _pair(first: list[FoundEmbedding], second: list[FoundEmbedding]) -> Embedding | None:
    """Both halves as one embedding, when they are halves: one encoder each, the same token, different roles."""
    if len(first) != 1 or len(second) != 1:
        return None
    one, two = first[0], second[0]
    roles = {**one.embedding.tensors, **two.embedding.tensors}
    single = len(one.embedding.tensors) == len(two.embedding.tensors) == 1
    if not single or len(roles) != 2 or one.placeholder_token != two.placeholder_token:
        return None
    return Embedding(roles)


def _with_other_half(path: Path, found: FoundEmbedding) -> FoundEmbedding:
    other = _second_half(path)
    if other is None:
        return found
    try:
        second = read_embedding(other)
    except TiregError:
        return found
    both = _pair([found], second)
    if both is None:
        return found
    claim = found.claim if found.claim is not None and found.claim.embedding == both.digest else None
    return replace(
        found,
        format="diffusers-pair",
        embedding=both,
        dtypes={**found.dtypes, **second[0].dtypes},
        families=candidates({s.encoder: s.dim for s in both.shapes}, found.details, True),
        provenance=claim,
        concept_type=claim.concept_type if claim else found.concept_type,
        placeholder_token=(claim.placeholder_token if claim else "") or found.placeholder_token,
        warnings=tuple(w for w in found.warnings if w != CHANGED or (found.claim and claim is None)),
        files={**found.files, **second[0].files},
    )


def _split_special_params(path: Path, found: list[FoundEmbedding]) -> list[FoundEmbedding]:
    """cog-sdxl's `special_params.json` ({"TOK": "<s0><s1>"}): one word per entry, with the rows that it names."""
    if len(found) != 1 or found[0].format != "pti":
        return found
    found = [replace(found[0], files={**found[0].files, **_texts_beside(path, ("special_params.json",))})]
    words: dict[str, list[int]] = {}
    for token, rows in _json(path.with_name("special_params.json")).items():
        numbers = [int(n) for n in _ROW_TOKENS.findall(rows)] if isinstance(rows, str) and len(rows) < 10_000 else []
        if numbers and max(numbers) < min(s.num_vectors for s in found[0].embedding.shapes):
            words[token] = numbers
    if not words:
        return found
    whole = found[0]
    return [
        replace(
            whole,
            embedding=Embedding({role: matrix[rows] for role, matrix in whole.embedding.tensors.items()}),
            placeholder_token=token,
            name=safe(token, limit=64),
        )
        for token, rows in words.items()
    ]


def _beside(path: Path, found: FoundEmbedding, alone: bool) -> FoundEmbedding:
    """Add what the text files of a concept-library folder say, and the folder's name where nothing else names it."""
    token = _text(path.with_name("token_identifier.txt")).strip() if alone else ""
    kind = _text(path.with_name("type_of_concept.txt")).strip().lower()
    warnings = list(found.warnings)
    changes: dict[str, Any] = {}
    if token and found.format in ("diffusers", "diffusers-1d", "bare-tensor", "emb-params"):
        changes["format"] = "sd-concepts" if found.format.startswith("diffusers") else found.format
        if not found.placeholder_token or found.format == "emb-params":
            changes["placeholder_token"] = token
        elif token != found.placeholder_token:
            warnings.append(f"token_identifier.txt says {safe(token, limit=60)}, the file itself says another token")
    if kind in ("object", "style") and found.concept_type is None:
        changes["concept_type"] = kind
    if not found.name:
        parent = path.absolute().parent.name
        changes["name"] = safe(token.strip("<> ") or ("" if GENERIC_STEMS.fullmatch(parent) else parent), limit=64)
    if (
        found.provenance is None
        and alone
        and (claim := Provenance.parse(_text(path.with_name("tireg.json"), MAX_BLOCK).strip()))
    ):
        claimed = _as_claimed(found, claim)
        if claimed is not None:
            changes |= {"provenance": claim, "claim": claim, "embedding": claimed}
            changes["origin"] = f"tireg {claim.reference}".strip()
    files = {**found.files, **_texts_beside(path, _CONCEPT_TEXTS)} if token else found.files
    return replace(found, **changes, warnings=tuple(warnings), files=files)


def _as_claimed(found: FoundEmbedding, claim: Provenance) -> Embedding | None:
    """The embedding under the encoder role that `tireg.json` states, when its vectors are the stated ones."""
    embedding = found.embedding
    if claim.part and len(embedding.tensors) == 1:
        embedding = Embedding({claim.part: next(iter(embedding.tensors.values()))})
    return embedding if embedding.digest == claim.embedding else None


def _texts_beside(path: Path, names: Sequence[str]) -> Mapping[str, bytes]:
    """Those of the small text files beside an embedding that are there, kept with the original."""
    kept: dict[str, bytes] = {}
    for name in names:
        try:
            with open_source(path.with_name(name)) as source:
                if source.size <= _MAX_TEXT:
                    kept[name] = source.all()
        except TiregError:
            continue
    return kept


def concept_images(path: Path) -> list[Path]:
    """The pictures of a concept-library folder, in natural order; none when the file lies in no such folder."""
    folder = path.with_name("concept_images")
    if not path.with_name("token_identifier.txt").is_file() or not folder.is_dir():
        return []
    suffixes = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif")
    names = sorted((n for n in os.listdir(folder) if n.lower().endswith(suffixes) and n[0] not in "._"), key=natural)
    return [folder / name for name in names[:64] if (folder / name).stat().st_size <= MAX_FILE]
