"""safetensors, read and written by hand: an 8-byte length, a JSON header, then the tensors' bytes end to end.

Read by hand because the header needs rules that the reference reader does not have: a small limit, no duplicate
keys (two readers would disagree on which tensor is meant), and tensors loaded only when they are wanted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tiregistry.embeddings.containers.source import Source
from tiregistry.embeddings.limits import MAX_FILE, MAX_HEADER, MAX_TENSORS
from tiregistry.embeddings.tensors import ITEM_SIZE, RawTensor, damaged
from tiregistry.errors import UnreadableEmbedding
from tiregistry.text import safe


@dataclass(frozen=True, slots=True)
class SafetensorsFile:
    """A safetensors file whose header has been checked.

    Attributes:
        tensors: name to tensor, in the order of the header.
        metadata: the `__metadata__` strings.
    """

    tensors: dict[str, RawTensor]
    metadata: dict[str, str]


def looks_like_safetensors(head: bytes) -> bool:
    """Whether a file starting with `head` (16 bytes) is safetensors: a length, then an opening brace."""
    return len(head) >= 10 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40


def read_safetensors(source: Source) -> SafetensorsFile:
    """Check the header and describe the tensors; no tensor is read yet.

    Raises:
        UnreadableEmbedding: the header is too large, no JSON object, has a key twice, describes tensors that overlap,
            leave holes or reach beyond the file, or names an unknown dtype.
    """
    length = int.from_bytes(source.read(0, 8), "little")
    if length > MAX_HEADER:
        raise UnreadableEmbedding(
            f"{source.shown}: a safetensors header of {length} bytes; at most {MAX_HEADER} are read", "is it a word?"
        )
    header = _parse(source.read(8, length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged("__metadata__ is not a mapping of strings")
    if len(header) > MAX_TENSORS:
        raise UnreadableEmbedding(f"{source.shown} has {len(header)} tensors; at most {MAX_TENSORS} are read", "")
    tensors: dict[str, RawTensor] = {}
    ranges: list[tuple[int, int]] = []
    start_of_data = 8 + length
    for name, entry in header.items():
        dtype, shape, begin, end = _entry(name, entry)
        if end - begin != math.prod(shape) * ITEM_SIZE[dtype]:
            raise damaged(f"tensor {safe(name, limit=60)!r} has {end - begin} bytes, its shape needs another number")
        ranges.append((begin, end))
        tensors[name] = RawTensor(dtype, shape, partial(_load, source, start_of_data + begin, end - begin))
    ranges.sort()
    position = 0
    for begin, end in ranges:
        if begin != position:
            raise damaged("the tensors overlap or leave holes")
        position = end
    if start_of_data + position != source.size:
        raise damaged(f"{source.size} bytes, {start_of_data + position} are described")
    return SafetensorsFile(tensors, metadata)


def _load(source: Source, begin: int, count: int) -> bytes:
    if count > MAX_FILE:
        raise UnreadableEmbedding(f"{source.shown}: a tensor of {count} bytes is no learned word", "")
    return source.read(begin, count)


def _parse(raw: bytes) -> dict[str, Any]:
    """The header as a dict; duplicate keys, deep nesting and anything but an object are refused."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise damaged("a name occurs twice in the header")
        return result

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise damaged(f"the safetensors header is not JSON: {safe(error, limit=100)}") from None
    if not isinstance(header, dict):
        raise damaged("the safetensors header is not a JSON object")
    return header


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """dtype, shape, begin and end of one header entry."""
    where = f"tensor {safe(name, limit=60)!r}"
    if not isinstance(entry, dict):
        raise damaged(f"{where} is not described")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in ITEM_SIZE:
        raise UnreadableEmbedding(f"{where} has the unknown dtype {safe(dtype, limit=30)!r}", "")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2 or len(shape) > 8:
        raise damaged(f"{where} has no valid shape and offsets")
    if not all(type(n) is int and 0 <= n < 2**40 for n in [*shape, *offsets]):
        raise damaged(f"{where} has no valid shape and offsets")
    return dtype, tuple(shape), offsets[0], offsets[1]


def write_safetensors(tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file of float32 tensors; equal input gives equal bytes.

    Args:
        tensors: name to array; names are written in sorted order, as the reference writer does.
        metadata: strings for `__metadata__`.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    blocks: list[bytes] = []
    position = 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], dtype="<f4")
        block = array.tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [position, position + len(block)],
        }
        position += len(block)
        blocks.append(block)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)  # tensors start on an 8-byte boundary, as readers that map the file expect
    return b"".join([len(text).to_bytes(8, "little"), text, *blocks])
