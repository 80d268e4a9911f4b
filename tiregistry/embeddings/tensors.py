"""`RawTensor`: a tensor as a file describes it, checked before it is read, converted to float32 when asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tiregistry.embeddings.embedding import Matrix
from tiregistry.embeddings.limits import MAX_DIM, MAX_VECTORS, MIN_DIM
from tiregistry.errors import DamagedEmbedding, UnreadableEmbedding
from tiregistry.text import safe

ITEM_SIZE = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
    "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Bytes per value of every dtype that a container may name (safetensors' names)."""

FLOATS = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2"}
"""The dtypes that learned vectors come in; bfloat16 is read as 16-bit integers and widened."""


def damaged(what: str) -> DamagedEmbedding:
    """The error for a file that breaks the rules of its own format."""
    return DamagedEmbedding(f"the file is damaged: {what}", "download or export it again")


@dataclass(slots=True, eq=False)
class RawTensor:
    """A tensor as described in a file.

    Attributes:
        dtype: a key of `ITEM_SIZE`.
        shape: sizes of its dimensions; () for a single number.
        load: gives the bytes that the tensor lies in (its storage); called by `read` only.
        offset: index of the first value in the storage.
        strides: step per dimension in values, None for the dense row-major order.
        little: byte order of the storage.
    """

    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], bytes | memoryview]
    offset: int = 0
    strides: tuple[int, ...] | None = None
    little: bool = True

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def dim(self) -> int:
        """Size of the last dimension, 1 for a single number."""
        return self.shape[-1] if self.shape else 1

    @property
    def is_vectors(self) -> bool:
        """Whether dtype and shape can be learned vectors (`[dim]` or `[num_vectors, dim]`)."""
        return not self.refusal()

    def refusal(self) -> str:
        """Why these cannot be learned vectors, or an empty string."""
        if self.dtype.startswith("F8_"):
            return f"its values are {self.dtype}, and 8-bit floats are not read"
        if self.dtype not in FLOATS:
            return f"its values are {self.dtype}, not floating point"
        if len(self.shape) not in (1, 2) and not (len(self.shape) == 3 and self.shape[0] == 1):
            return f"its shape {list(self.shape[:6])} is not [dim] or [num_vectors, dim]"
        rows = self.count // self.dim if self.dim else 0
        if not 1 <= rows <= MAX_VECTORS:
            return f"it has {rows} vectors; 1 to {MAX_VECTORS} make a word"
        if not MIN_DIM <= self.dim <= MAX_DIM:
            return f"its vectors have {self.dim} values; {MIN_DIM} to {MAX_DIM} are possible"
        return ""

    def check(self, key: str = "") -> None:
        """Refuse what cannot be learned vectors, without reading it.

        Raises:
            UnreadableEmbedding: dtype or shape are wrong; the message names the tensor by `key`.
        """
        if reason := self.refusal():
            raise UnreadableEmbedding(f"{_label(key)} cannot be used: {reason}", "give an embedding file")

    def read(self, key: str = "") -> Matrix:
        """The vectors as a new float32 array `[num_vectors, dim]`.

        Raises:
            UnreadableEmbedding: dtype or shape cannot be learned vectors, the storage is too short, or a value is NaN
                or infinite.
        """
        self.check(key)
        label = _label(key)
        data = self.load()
        available = len(data) // ITEM_SIZE[self.dtype]
        strides = self.strides if self.strides is not None else _dense(self.shape)
        if len(strides) != len(self.shape) or self.offset < 0 or any(s < 0 for s in strides):
            raise damaged(f"{label} lies outside its storage")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, strides, strict=True))
        if last >= available:
            raise damaged(f"{label} is cut off: {last + 1} values are needed, {available} are there")
        # Only the stretch that the tensor covers is looked at, so a view into a large storage stays cheap.
        kind = ("<" if self.little else ">") + FLOATS[self.dtype]
        stretch: npt.NDArray[np.generic] = np.frombuffer(
            data, dtype=kind, count=last - self.offset + 1, offset=self.offset * ITEM_SIZE[self.dtype]
        )
        view = np.lib.stride_tricks.as_strided(
            stretch, self.shape, [s * stretch.itemsize for s in strides], writeable=False
        )
        if self.dtype == "BF16":
            values: Matrix = (np.ascontiguousarray(view).astype(np.uint32) << 16).view(np.float32)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                values = np.ascontiguousarray(view).astype(np.float32)
        if not np.isfinite(values).all():
            raise DamagedEmbedding(f"{label} contains NaN or infinite values", "its training diverged; train again")
        return values.reshape(-1, self.dim)


def _label(key: str) -> str:
    return f"tensor {safe(key, limit=60)!r}" if key else "the tensor"


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides of `shape`, in values."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= max(size, 1)
    return tuple(strides)


def from_array(array: npt.NDArray[np.float32]) -> RawTensor:
    """A `RawTensor` over values that are already in memory."""
    data = np.ascontiguousarray(array, dtype="<f4")
    return RawTensor("F32", tuple(int(n) for n in data.shape), data.tobytes)
