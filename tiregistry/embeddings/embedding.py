"""`Embedding`: the learned vectors of one word, one fp32 matrix per text encoder, and their canonical identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tiregistry.concepts import EncoderShape
from tiregistry.errors import Damaged, UnreadableEmbedding

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The vectors of one learned word.

    Attributes:
        tensors: encoder role (`clip_l`, `clip_g`, `clip_h`, `t5`) to a finite float32 array `[num_vectors, dim]`.
    """

    tensors: Mapping[str, Matrix]

    def __post_init__(self) -> None:
        if not self.tensors:
            raise UnreadableEmbedding("the embedding has no vectors")
        clean: dict[str, Matrix] = {}
        for encoder in sorted(self.tensors):
            array = np.ascontiguousarray(np.atleast_2d(np.asarray(self.tensors[encoder])), dtype="<f4")
            if array.ndim != 2 or 0 in array.shape:
                raise UnreadableEmbedding(f"{encoder}: vectors of shape {array.shape} are not [num_vectors, dim]")
            if not np.isfinite(array).all():
                raise UnreadableEmbedding(f"{encoder}: the vectors contain NaN or infinite values")
            array.setflags(write=False)
            clean[encoder] = array
        object.__setattr__(self, "tensors", clean)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Embedding) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def num_vectors(self) -> int:
        """Most vectors that any encoder has."""
        return max(len(t) for t in self.tensors.values())

    @property
    def shapes(self) -> tuple[EncoderShape, ...]:
        """The shape of each encoder's matrix, in the order of the encoder names."""
        return tuple(EncoderShape(name, *array.shape) for name, array in self.tensors.items())

    def manifest(self) -> dict[str, dict[str, object]]:
        """The embedding's part of a version's manifest: encoder to shape, dtype and sha256 of little-endian bytes."""
        return {
            name: {"dtype": "F32", "shape": list(array.shape), "sha256": hashlib.sha256(array.tobytes()).hexdigest()}
            for name, array in self.tensors.items()
        }

    @property
    def digest(self) -> str:
        """Tensor identity, `sha256:<hex>`: equal for equal vectors whatever file they came in."""
        canonical = json.dumps(self.manifest(), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """The registry's own container: safetensors with one fp32 tensor per encoder role and no metadata."""
        from safetensors.numpy import save

        data: bytes = save({name: np.asarray(array) for name, array in self.tensors.items()})
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Embedding:
        """Read what `to_bytes` wrote.

        Raises:
            Damaged: the bytes are not such a container.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return cls(load(data))
        except (SafetensorError, UnreadableEmbedding, ValueError, KeyError) as error:
            raise Damaged(f"the stored embedding cannot be read: {error}", "run: tireg verify") from None
