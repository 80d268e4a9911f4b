"""The vocabularies of base models on this disk, read from their files without torch, for comparison with imports."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tiregistry.bases.families import ENCODER_ROLES
from tiregistry.bases.fingerprints import token_tables
from tiregistry.bases.locating import EMBEDDED, embedded_folder, looks_like_hub_id
from tiregistry.bases.tensor_files import StoredTensor
from tiregistry.concepts import BaseModel
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.families import base_role
from tiregistry.embeddings.inspection import Inspection, Vocabulary, inspect_encoder
from tiregistry.errors import TiregError

_TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
"""Folders of the tokenizers in a diffusers folder, in the order of `ENCODER_ROLES`."""
_MOST_BYTES = 2**30
_KINDS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


class Vocabularies:
    """Finds the vocabulary for an encoder among base models on this disk; nothing is downloaded.

    Args:
        bases: the base models to look at, best first.
    """

    def __init__(self, bases: Iterable[BaseModel]) -> None:
        known = list(bases)
        self.families: dict[str, str] = {EMBEDDED: "sd1", **{base.name: base.family for base in known}}
        """Name of each base model to its family."""
        self._places = {base.name: _place(base) for base in known}
        self._places.setdefault(EMBEDDED, embedded_folder())
        self._known: dict[str, dict[str, Vocabulary]] = {}

    def find(self, encoder: str, dim: int) -> Vocabulary | None:
        """The first vocabulary of this encoder (or of the encoder of this layer) and width, or None."""
        encoder = base_role(encoder)
        for name, place in self._places.items():
            if place is None:
                continue
            if name not in self._known:
                self._known[name] = _read(name, place, self.families[name])
            vocabulary = self._known[name].get(encoder)
            if vocabulary is not None and vocabulary.dim == dim:
                return vocabulary
        return None

    def inspect(self, embedding: Embedding) -> tuple[Inspection, ...]:
        """Every encoder's vectors beside a vocabulary, where one is at hand."""
        return tuple(
            inspect_encoder(embedding, shape.encoder, self.find(shape.encoder, shape.dim)) for shape in embedding.shapes
        )


def _place(base: BaseModel) -> Path | None:
    """The folder or file of a base model, when it is on this disk."""
    if base.source == EMBEDDED:
        return embedded_folder()
    if looks_like_hub_id(base.source):
        from huggingface_hub import try_to_load_from_cache

        try:
            index = try_to_load_from_cache(base.source, "model_index.json", revision=base.revision or None)
        except ValueError:  # no id that the Hub could have
            return None
        return Path(index).parent if isinstance(index, str) else None
    path = Path(base.source).expanduser()
    return path if path.exists() else None


def _read(name: str, place: Path, family: str) -> dict[str, Vocabulary]:
    """The vocabulary of each encoder role; empty when the model's files are not as expected."""
    found: dict[str, Vocabulary] = {}
    try:
        for role, tensor in token_tables(place).items():
            position = ENCODER_ROLES[family].index(role)  # type: ignore[index]
            words = _words(place / _TOKENIZERS[position], tensor.shape[0]) if place.is_dir() else []
            found[role] = Vocabulary(name, words, _table(tensor))
    except (OSError, ValueError, KeyError, TiregError):
        return found
    return found


def _table(tensor: StoredTensor) -> npt.NDArray[Any]:
    """A 2-D tensor mapped from its file; bfloat16 as 16-bit integers."""
    if tensor.dtype not in _KINDS or len(tensor.shape) != 2 or tensor.end - tensor.begin > _MOST_BYTES:
        raise ValueError("no table of token embeddings")
    return np.memmap(tensor.file, dtype=_KINDS[tensor.dtype], mode="r", offset=tensor.begin, shape=tensor.shape)


def _words(tokenizer: Path, count: int) -> list[str]:
    """The whole word that each of `count` ids stands for; empty text for parts of words and marks.

    CLIP ends whole words with `</w>` and writes them in signs for bytes; T5 begins them with `▁`.
    """
    words = [""] * count
    for token, index in _tokens(tokenizer):
        if isinstance(token, str) and type(index) is int and 0 <= index < count:
            if token.endswith("</w>"):
                words[index] = _text(token.removesuffix("</w>"))
            elif token.startswith("▁"):
                words[index] = token.removeprefix("▁")
    return words


_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = sorted(set(range(256)) - set(_PRINTABLE))
_BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + n): byte for n, byte in enumerate(_OTHERS)}
"""Sign of byte-level BPE (GPT-2's table) to the byte that it stands for."""


def _text(signs: str) -> str:
    """The text of a token of byte-level BPE; empty when its bytes are only a part of a letter, or cannot be seen."""
    if not all(sign in _BYTES for sign in signs):
        return signs  # of a tokenizer whose signs are letters
    try:
        text = bytes(_BYTES[sign] for sign in signs).decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() and not text.isspace() else ""


def _tokens(tokenizer: Path) -> Iterable[tuple[Any, Any]]:
    """Tokens with their ids, from whichever file of the tokenizer has them in the clear."""
    for file, keys in (("vocab.json", ()), ("tokenizer.json", ("model", "vocab"))):
        try:
            vocabulary = json.loads((tokenizer / file).read_text(encoding="utf-8"))
            for key in keys:
                vocabulary = vocabulary[key]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(vocabulary, dict):
            return list(vocabulary.items())
        if isinstance(vocabulary, list):  # T5: [token, score] in the order of the ids
            return [(entry[0], index) for index, entry in enumerate(vocabulary) if isinstance(entry, list) and entry]
    return ()
