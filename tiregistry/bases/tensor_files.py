"""Reading safetensors files without loading them: what tensors they hold, and their bytes in pieces."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiregistry.errors import InvalidInput
from tiregistry.text import safe

CHUNK = 1 << 22
_MOST_HEADER = 100_000_000
_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies in a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    begin: int
    """Offset of the first byte in the file."""
    end: int

    def chunks(self) -> Iterator[bytes]:
        """The tensor's bytes in pieces of at most 4 MB, each a multiple of 8 bytes but the last.

        Raises:
            InvalidInput: the file ends too early.
        """
        with open(self.file, "rb") as file:
            file.seek(self.begin)
            left = self.end - self.begin
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise InvalidInput(f"{safe(self.file)} is truncated", "copy the model again")
                left -= len(piece)
                yield piece


def read_tensors(path: Path) -> list[StoredTensor]:
    """The tensors of a safetensors file, sorted by name; only the header is read.

    Raises:
        InvalidInput: the file cannot be read, is damaged, truncated, or no safetensors file.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(_MOST_HEADER, size - 8):
                raise InvalidInput(f"{safe(path)} is not a safetensors file, or is truncated", "copy the model again")
            header = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
        if not isinstance(header, dict):
            raise ValueError("its header is no mapping")
        header.pop("__metadata__", None)
        found = [_stored(name, entry, path, 8 + length, size) for name, entry in header.items()]
    except OSError as error:  # also a link that leads nowhere, as a pruned Hub cache leaves it
        raise InvalidInput(f"{safe(path)} cannot be read: {error.strerror}", "copy the model again") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{safe(path)} is damaged: {safe(error, limit=200)}", "copy the model again") from None
    return sorted(found, key=lambda tensor: tensor.name)


def _stored(name: str, entry: Any, path: Path, data: int, size: int) -> StoredTensor:
    begin, end = (int(offset) for offset in entry["data_offsets"])
    shape = tuple(int(n) for n in entry["shape"])
    dtype = str(entry["dtype"])
    if not 0 <= begin <= end or data + end > size:
        raise ValueError("a tensor lies beyond the end of the file")
    if dtype in _BYTES and math.prod(shape) * _BYTES[dtype] != end - begin:
        raise ValueError("a tensor's shape and length disagree")
    return StoredTensor(name, dtype, shape, path, data + begin, data + end)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice in its header")
    return result
