"""The vocabularies of base models on this disk, read from their files without torch, for comparison with imports."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tiregistry.bases.locating import EMBEDDED, embedded_folder
from tiregistry.bases.tensor_files import StoredTensor, read_tensors
from tiregistry.concepts import BaseModel
from tiregistry.embeddings.embedding import Embedding
from tiregistry.embeddings.inspection import Inspection, Vocabulary, inspect_encoder
from tiregistry.errors import TiregError

_FOLDERS = {
    "clip_l": (("text_encoder", "tokenizer"),),
    "clip_h": (("text_encoder", "tokenizer"),),
    "clip_g": (("text_encoder_2", "tokenizer_2"),),
}
"""Encoder role to the folders of a diffusers model that hold its weights and its tokenizer."""
_TABLE = "token_embedding.weight"
_MOST_BYTES = 2**29


class Vocabularies:
    """Finds the vocabulary for an encoder among base models on this disk; nothing is downloaded.

    Args:
        bases: the base models to look at, best first.
    """

    def __init__(self, bases: Iterable[BaseModel]) -> None:
        known = list(bases)
        self._folders = [(base.name, _folder(base.source)) for base in known]
        self.families: dict[str, str] = {EMBEDDED: "sd1", **{base.name: base.family for base in known}}
        """Name of each base model to its family."""
        if all(name != EMBEDDED for name, _ in self._folders):
            self._folders.append((EMBEDDED, embedded_folder()))
        self._known: dict[tuple[str, str], Vocabulary | None] = {}

    def find(self, encoder: str, dim: int) -> Vocabulary | None:
        """The first vocabulary of this encoder and width, or None."""
        for name, folder in self._folders:
            if folder is None:
                continue
            if (name, encoder) not in self._known:
                self._known[name, encoder] = _read(name, folder, encoder)
            vocabulary = self._known[name, encoder]
            if vocabulary is not None and vocabulary.dim == dim:
                return vocabulary
        return None

    def inspect(self, embedding: Embedding) -> tuple[Inspection, ...]:
        """Every encoder's vectors beside a vocabulary, where one is at hand."""
        return tuple(
            inspect_encoder(embedding, shape.encoder, self.find(shape.encoder, shape.dim)) for shape in embedding.shapes
        )


def _folder(source: str) -> Path | None:
    """The folder of a base model, when it is one on this disk."""
    if source == EMBEDDED:
        return embedded_folder()
    path = Path(source).expanduser()
    return path if path.is_dir() else None


def _read(name: str, folder: Path, encoder: str) -> Vocabulary | None:
    """The table and the words of one encoder, or None when the model's files are not as expected."""
    for weights, tokenizer in _FOLDERS.get(encoder, ()):
        try:
            files = sorted((folder / weights).glob("*.safetensors"))
            tensor = next(t for file in files for t in read_tensors(file) if t.name.endswith(_TABLE))
            table = _table(tensor)
            raw = json.loads((folder / tokenizer / "vocab.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, StopIteration, TiregError):
            continue
        words = [""] * len(table)
        for token, index in raw.items() if isinstance(raw, dict) else ():
            if isinstance(index, int) and 0 <= index < len(words) and token.endswith("</w>"):
                words[index] = token.removesuffix("</w>")
        return Vocabulary(name, words, table)
    return None


def _table(tensor: StoredTensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The float32 values of a 2-D tensor in a safetensors file."""
    kinds = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    if tensor.dtype not in kinds or len(tensor.shape) != 2 or tensor.end - tensor.begin > _MOST_BYTES:
        raise ValueError("no table of token embeddings")
    values = np.fromfile(
        tensor.file, dtype=kinds[tensor.dtype], count=tensor.shape[0] * tensor.shape[1], offset=tensor.begin
    ).reshape(tensor.shape)
    if tensor.dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)
