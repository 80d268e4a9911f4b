"""Reads a file together with its neighbours, because some formats spread over several files.

SDXL pairs (`learned_embeds_2`), concept-library folders (token and type beside the file), `special_params.json`, and
NeTI's mapper, beside which `learned_embeds.bin` is only a decoy.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiregistry.embeddings.containers.source import open_source
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.families import candidates
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.provenance import MAX_BLOCK, Provenance
from tiregistry.embeddings.reading import CHANGED, GENERIC_STEMS, read_embedding
from tiregistry.errors import TiregError, UnreadableEmbedding
from tiregistry.text import safe

_MAX_TEXT = 64 * 1024
_CONCEPT_TEXTS = ("token_identifier.txt", "type_of_concept.txt", "README.md")
_MAPPERS = frozenset({".pt", ".bin", ".ckpt"})
_SECOND = re.compile(r"(?P<head>.+?)_2(?P<tail>(?:[-_]steps?[-_]\d+)?)$")
_ROW_TOKENS = re.compile(r"<s(\d{1,4})>")


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
    if is_second_half(path):
        path = _first_half(path)
    found = read_embedding(path)
    if len(found) == 1:
        found = [_with_other_half(path, found[0])]
    found = _split_special_params(path, found)
    return [_beside(path, item, alone=len(found) == 1) for item in found]


def _siblings(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path.parent))[:10_000]
    except OSError:
        return []


def is_mapper(name: str) -> bool:
    """Whether a file beside `learned_embeds` is called as the network of a NeTI word."""
    return name.startswith("mapper") and Path(name).suffix.lower() in _MAPPERS


def _has_mapper(path: Path) -> bool:
    return path.name.startswith("learned_embeds") and any(map(is_mapper, _siblings(path)))


def _second_half(path: Path) -> Path | None:
    """`learned_embeds_2-steps-500.safetensors` for `learned_embeds-steps-500.safetensors`, if it is there."""
    match = re.fullmatch(r"(.+?)((?:[-_]steps?[-_]\d+)?)", path.stem)
    if match is None:
        return None
    other = path.with_name(f"{match.group(1)}_2{match.group(2)}{path.suffix}")
    return other if other.is_file() else None


def is_second_half(path: Path) -> bool:
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
    for token, rows in small_json(path.with_name("special_params.json")).items():
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


def small_json(path: Path) -> dict[str, Any]:
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
