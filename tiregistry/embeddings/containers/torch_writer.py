"""torch zip files written without torch: exactly `archive/data.pkl`, `archive/data/N` and `archive/version`.

Files saved by recent torch also hold `byteorder` and `.data/serialization_id`, in a folder called like the file. The
A1111 web UI calls a file with any other member malicious and refuses it; that of 2022 also any other folder.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

_EPOCH = (1980, 1, 1, 0, 0, 0)
MAX_COMMENT = 0xFFFF
"""Longest comment of a zip archive, in bytes."""


def write_torch(value: Mapping[str, Any], comment: str = "") -> bytes:
    """The bytes of a torch zip holding `value`.

    Args:
        value: nested dicts of text, numbers, None and float32 arrays; arrays become CPU tensors.
        comment: ASCII text for the archive's comment, which torch does not look at; left out when it is too long.
    """
    writer = _Pickle()
    writer.value(value)
    members = [("archive/data.pkl", bytes(writer.out) + b".")]
    members += [(f"archive/data/{index}", array.tobytes()) for index, array in enumerate(writer.arrays)]
    members.append(("archive/version", b"3\n"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
        archive.comment = comment.encode("ascii") if len(comment) <= MAX_COMMENT else b""
    return buffer.getvalue()


class _Pickle:
    """Emits protocol 2, the one torch uses; no value is shared, so nothing needs remembering."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.arrays: list[np.ndarray[Any, Any]] = []

    def value(self, value: Any) -> None:
        if value is None:
            self.out += b"N"
        elif isinstance(value, bool):
            self.out += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self.integer(value)
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            raw = value.encode("utf-8", "surrogatepass")
            self.out += b"X" + struct.pack("<I", len(raw)) + raw
        elif isinstance(value, Mapping):
            self.out += b"}("
            for key, item in value.items():
                self.value(key)
                self.value(item)
            self.out += b"u"
        elif isinstance(value, np.ndarray):
            self.tensor(np.ascontiguousarray(value, dtype="<f4"))
        else:
            raise TypeError(f"a {type(value).__name__} cannot be written into an embedding file")

    def integer(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += b"\x8a" + struct.pack("<B", len(raw)) + raw

    def integers(self, values: tuple[int, ...]) -> None:
        self.out += b"("
        for value in values:
            self.integer(value)
        self.out += b"t"

    def tensor(self, array: np.ndarray[Any, Any]) -> None:
        """A call of `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`."""
        self.out += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        self.value("storage")
        self.out += b"ctorch\nFloatStorage\n"
        self.value(str(len(self.arrays)))
        self.value("cpu")
        self.integer(array.size)
        self.out += b"tQ"
        self.integer(0)
        self.integers(array.shape)
        self.integers(tuple(step // array.itemsize for step in array.strides))
        self.out += b"\x89ccollections\nOrderedDict\n)RtR"
        self.arrays.append(array)
