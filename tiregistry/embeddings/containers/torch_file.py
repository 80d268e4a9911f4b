"""torch's two file formats (a zip since 2020, before that a row of pickles) and plain pickles, read without torch.

Facts from torch's `torch/serialization.py`: the zip holds `<folder>/data.pkl` with persistent ids
`('storage', type, key, location, numel)` and `<folder>/data/<key>`; the legacy stream is a magic number, a protocol
number, a description of the machine, the value, the sorted storage keys, then per storage an int64 count and its bytes.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from tiregistry.embeddings.containers.zip_archive import ZipArchive
from tiregistry.embeddings.limits import MAX_OPCODES, MAX_TENSORS
from tiregistry.embeddings.pickle_ops import STORAGES, Global, Storage, is_storage, storage_bytes
from tiregistry.embeddings.pickle_reader import read_pickle
from tiregistry.embeddings.tensors import damaged
from tiregistry.errors import UnreadableEmbedding
from tiregistry.text import safe

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
# Pickle protocols 0 and 1 have no signature: these are the ways in which a mapping, a list or a call can begin.
_OLD_PICKLE = re.compile(rb"\((?:dp?\d*\n|lp?\d*\n|i)|c[\w.]+\n[\w.]+\n|[}\]]q|[}\]]\(|\(c")


def looks_like_pickle(head: bytes) -> bool:
    """Whether a file starting with `head` is a pickle stream (torch's legacy format is one)."""
    return (head[:1] == b"\x80" and head[1:2] <= b"\x05" and len(head) > 2) or _OLD_PICKLE.match(head) is not None


def read_torch_zip(data: bytes) -> tuple[Any, str]:
    """The value saved in a torch zip, its tensors as `RawTensor`, read when asked; and the archive's comment.

    Raises:
        UnreadableEmbedding: it is no torch archive, is damaged, or its pickle asks for something not allowed.
    """
    archive = ZipArchive(data)
    pickles = [name for name in archive.members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UnreadableEmbedding(
            "a zip archive that torch did not write (no data.pkl)" if not pickles else "the archive has two data.pkl",
            "give an embedding file; unpack archives first",
        )
    folder = pickles[0].removesuffix("data.pkl")
    if any(name.startswith(f"{folder}code/") for name in archive.members):
        raise UnreadableEmbedding("a TorchScript program, which is code and no embedding", "do not run it unread")
    order = archive.read(f"{folder}byteorder").strip() if f"{folder}byteorder" in archive.members else b"little"
    if order not in (b"little", b"big"):
        raise damaged(f"unknown byte order {safe(order, limit=20)!r}")

    def load(identity: Any) -> Any:
        kind, dtype, key, _, numel = _identity(identity)[:5]
        if kind != "storage":
            raise damaged("the pickle refers to data of an unknown kind")
        name = f"{folder}data/{key}"
        member = archive.members.get(name)
        if member is None or member.size < storage_bytes(dtype, numel):
            raise damaged(f"the archive has too few bytes for the tensor data {safe(key, limit=40)!r}")
        return Storage(dtype, key, partial(archive.read, name), little=order == b"little")

    return read_pickle(archive.read(pickles[0]), 0, load)[0], archive.comment.decode("ascii", "replace")


def read_pickle_file(data: bytes) -> Any:
    """The value in torch's legacy stream, or in a plain pickle.

    Raises:
        UnreadableEmbedding: it is damaged, or asks for something not allowed.
    """
    budget = [MAX_OPCODES]
    first, position = read_pickle(data, 0, _no_storage, budget)
    if type(first) is not int or first != MAGIC:
        return first
    protocol, position = read_pickle(data, position, None, budget)
    if protocol != PROTOCOL:
        raise damaged(f"unknown torch protocol {safe(protocol, limit=20)}")
    machine, position = read_pickle(data, position, None, budget)
    little = bool(machine.get("little_endian", True)) if isinstance(machine, dict) else True
    places: dict[str, tuple[int, int]] = {}
    wanted: dict[str, tuple[str, int]] = {}

    def bytes_of(key: str) -> memoryview:
        if key not in places:
            raise damaged(f"the tensor data {safe(key, limit=40)!r} are missing")
        begin, count = places[key]
        return memoryview(data)[begin : begin + count]

    def load(identity: Any) -> Any:
        kind, dtype, key, view, numel = _identity(identity)
        if kind == "module":
            return dtype
        known = wanted.setdefault(key, (dtype, numel))
        if known[0] != dtype or len(wanted) > MAX_TENSORS:
            raise damaged("the tensor data are described twice, differently")
        offset = 0
        if view is not None:  # (key of the view, offset, size) of a storage that shares another's bytes
            if not isinstance(view, tuple) or len(view) != 3 or type(view[1]) is not int or not 0 <= view[1] < 2**40:
                raise damaged("a shared storage is described wrongly")
            offset = view[1]
        return Storage(dtype, key, partial(bytes_of, key), offset, little)

    value, position = read_pickle(data, position, load, budget)
    keys, position = read_pickle(data, position, None, budget)
    if not isinstance(keys, list) or len(keys) > MAX_TENSORS:
        raise damaged("the list of tensor data is missing")
    for key in keys:
        if not isinstance(key, str) or key not in wanted:
            raise damaged("the list of tensor data does not match the value")
        count = int.from_bytes(data[position : position + 8], "little" if little else "big")
        position += 8
        size = storage_bytes(wanted[key][0], count)
        if position + size > len(data):
            raise damaged("the tensor data are cut off")
        places[key] = (position, size)
        position += size
    return value


def _no_storage(identity: Any) -> Any:
    raise damaged("a plain pickle refers to tensor data that are not there")


def _identity(identity: Any) -> tuple[str, Any, str, Any, int]:
    """Kind, dtype (or class), key, view and count of a persistent id; the zip has no view, it comes back as None."""
    if isinstance(identity, tuple) and len(identity) in (2, 4) and identity[0] == "module":
        if not isinstance(identity[1], Global):
            raise damaged("the pickle refers to a class without a name")
        return "module", identity[1], "", None, 0
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise damaged("the pickle refers to data of an unknown kind")
    _, storage, key, _, numel = identity[:5]
    if not is_storage(storage) or not isinstance(key, str) or type(numel) is not int or not 0 <= numel < 2**40:
        raise damaged("the pickle describes tensor data wrongly")
    return "storage", STORAGES[storage.name], key, identity[5] if len(identity) == 6 else None, numel
