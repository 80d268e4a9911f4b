"""Builds embedding files of every format from the facts of the formats, without the code under test and without torch.

Pickles are made by Python's own pickler with classes that only carry the right names, so the bytes are those that
torch would have written, while nothing here shares code with the reader.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import random
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, Any]


def vectors(count: int = 2, dim: int = 768, seed: int = 0) -> Array:
    """`[count, dim]` float32 values as a learned word has them."""
    return (np.random.default_rng(seed).normal(size=(count, dim)) * 0.03).astype(np.float32)


def bfloat16(array: Array) -> Array:
    """The upper halves of float32 values, as 16-bit integers."""
    return (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)


# -- safetensors ----------------------------------------------------------------------------------------------------


def safetensors(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file; a tensor is an array, or (dtype name, array of raw values)."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    names = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint8": "U8"}
    data = b""
    for key, value in tensors.items():
        dtype, array = value if isinstance(value, tuple) else (names[str(value.dtype)], value)
        header[key] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    return raw_safetensors(json.dumps(header).encode(), data)


def raw_safetensors(header: bytes, data: bytes = b"") -> bytes:
    """A safetensors file with any bytes for a header."""
    return struct.pack("<Q", len(header)) + header + data


# -- torch ----------------------------------------------------------------------------------------------------------


class Named:
    """A stand-in that pickles as the global `module.name`."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __reduce__(self) -> str:
        return self.name


class Tensor:
    """An array to be pickled the way torch does: a call of `_rebuild_tensor_v2` on a storage."""

    def __init__(
        self,
        array: Array,
        storage: str = "FloatStorage",
        *,
        parameter: bool = False,
        offset: int = 0,
        strides: tuple[int, ...] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.array = np.ascontiguousarray(array)
        self.storage, self.parameter, self.offset = storage, parameter, offset
        self.shape = shape if shape is not None else self.array.shape
        self.strides = strides or tuple(
            s // self.array.itemsize for s in np.empty(self.shape, self.array.dtype).strides
        )


class Called:
    """Pickles as a call of the global `module.name` with `args`, and a BUILD with `state` if one is given."""

    def __init__(self, module: str, name: str, args: tuple[Any, ...] = (), state: Any = None) -> None:
        self.module, self.name, self.args, self.state = module, name, args, state


class _Pickler(pickle._Pickler):
    """Python's pickler, taught to write the stand-ins above under their torch names."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: io.BytesIO, protocol: int, legacy: bool) -> None:
        super().__init__(file, protocol)
        self.legacy = legacy
        self.storages: list[Array] = []

    def persistent_id(self, item: Any) -> Any:
        return item[1] if isinstance(item, tuple) and len(item) == 2 and item[0] == "__persistent__" else None

    def _global(self, module: str, name: str) -> None:
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(b"\x93")
        else:
            self.write(b"c" + f"{module}\n{name}\n".encode())

    def _named(self, item: Named) -> None:
        self._global(item.module, item.name)

    def _called(self, item: Called) -> None:
        self._global(item.module, item.name)
        self.save(item.args)
        self.write(b"R")
        if item.state is not None:
            self.save(item.state)
            self.write(b"b")

    def _tensor(self, item: Tensor) -> None:
        identity: tuple[Any, ...] = (
            "storage", Named("torch", item.storage), str(len(self.storages)), "cpu", item.array.size,
        )  # fmt: skip
        if self.legacy:
            identity += (None,)
        self.storages.append(item.array)
        storage = ("__persistent__", identity)
        hooks = OrderedDict()
        call = Called(
            "torch._utils", "_rebuild_tensor_v2", (storage, item.offset, item.shape, item.strides, False, hooks)
        )
        if item.parameter:
            call = Called("torch._utils", "_rebuild_parameter", (call, True, OrderedDict()))
        self._called(call)

    dispatch[Named] = _named
    dispatch[Called] = _called
    dispatch[Tensor] = _tensor


def parameter_dict(tensors: Mapping[str, Array]) -> Called:
    """An `nn.ParameterDict` as the paper's code saves it."""
    parameters = OrderedDict((key, Tensor(array, parameter=True)) for key, array in tensors.items())
    state = {
        "training": True,
        "_parameters": parameters,
        "_buffers": OrderedDict(),
        "_modules": OrderedDict(),
        "_keys": dict.fromkeys(tensors),
    }
    return Called("torch.nn.modules.container", "ParameterDict", (), state)


def torch_zip(
    value: Any, folder: str = "archive", extra: Mapping[str, bytes] | None = None, protocol: int = 2, comment: str = ""
) -> bytes:
    """torch's zip format."""
    file = io.BytesIO()
    pickler = _Pickler(file, protocol, legacy=False)
    pickler.dump(value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{folder}/data.pkl", file.getvalue())
        for index, array in enumerate(pickler.storages):
            archive.writestr(f"{folder}/data/{index}", array.tobytes())
        archive.writestr(f"{folder}/version", "3\n")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
        archive.comment = comment.encode()
    return buffer.getvalue()


def torch_legacy(value: Any, protocol: int = 2) -> bytes:
    """torch's format before 2020: a row of pickles, then the storages."""
    file = io.BytesIO()
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    for item in (0x1950A86A20F9469CFC6C, 1001, machine):
        pickle.dump(item, file, protocol=2)
    pickler = _Pickler(file, protocol, legacy=True)
    pickler.dump(value)
    keys = [str(index) for index in range(len(pickler.storages))]
    pickle.dump(keys, file, protocol=2)
    for array in pickler.storages:
        file.write(struct.pack("<q", array.size) + array.tobytes())
    return file.getvalue()


def plain_pickle(value: Any, protocol: int = 2) -> bytes:
    """A pickle of `value` alone."""
    file = io.BytesIO()
    _Pickler(file, protocol, legacy=False).dump(value)
    return file.getvalue()


def a1111(array: Array, name: str = "gnome", step: int | None = 500, **more: Any) -> dict[str, Any]:
    """What A1111 saves, with `Tensor`s."""
    return {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": Tensor(array)},
        "name": name,
        "step": step,
        "sd_checkpoint": "81761151",
        "sd_checkpoint_name": "v1-5-pruned-emaonly",
        **more,
    }


# -- pictures -------------------------------------------------------------------------------------------------------


def a1111_json(array: Array, name: str = "gnome", step: int | None = 500) -> bytes:
    """The JSON document of A1111's pictures."""
    return json.dumps(
        {
            "string_to_token": {"*": 265},
            "string_to_param": {"*": {"TORCHTENSOR": array.tolist()}},
            "name": name,
            "step": step,
            "sd_checkpoint": None,
            "sd_checkpoint_name": None,
        }
    ).encode()


def png_with_chunk(document: bytes, kind: bytes = b"tEXt") -> bytes:
    """A PNG with the document in a text chunk `sd-ti-embedding`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(buffer, "PNG")
    png = buffer.getvalue()
    text = base64.b64encode(document)
    body = {
        b"tEXt": b"sd-ti-embedding\0" + text,
        b"zTXt": b"sd-ti-embedding\0\0" + zlib.compress(text),
        b"iTXt": b"sd-ti-embedding\0\1\0\0\0" + zlib.compress(text),
    }[kind]
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:33] + chunk + png[33:]  # after signature (8) and IHDR (25)


def lcg_nibbles(count: int) -> list[int]:
    """The hiding sequence, one step at a time."""
    state, result = 0, []
    for _ in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        result.append((state % 255) & 0x0F)
    return result


def hide_in_pixels(document: bytes, picture: Array, border: int = 0) -> Array:
    """Pixels `[height, width, 3]` with the document in the low nibbles beside `picture`, one value at a time."""
    packed = zlib.compress(document, 9)
    height = picture.shape[0]
    width = -(-len(packed) // (height * 3))
    count = height * width * 3
    packed = (packed * (count // len(packed) + 1))[:count]
    key = lcg_nibbles(count)
    noise = random.Random(1)
    low = np.array([((b & 15) ^ k) | (noise.randrange(1, 16) << 4) for b, k in zip(packed, key, strict=True)], np.uint8)
    high = np.array(
        [((b >> 4) ^ k) | (noise.randrange(1, 16) << 4) for b, k in zip(packed, key, strict=True)], np.uint8
    )
    black = np.zeros((height, 1, 3), np.uint8)
    shape = (height, width, 3)
    whole = np.concatenate([low.reshape(shape), black, picture, black, high.reshape(shape)], axis=1)
    return np.pad(whole, ((border, border), (border, border), (0, 0)))


def find_in_pixels(pixels: Array) -> bytes:
    """The document in pixels without a border, decoded one value at a time."""
    low_bits = pixels & 15
    black = [x for x in range(pixels.shape[1]) if not low_bits[:, x].any()]
    low, high = low_bits[:, : black[0]].reshape(-1), low_bits[:, black[-1] + 1 :].reshape(-1)
    key = lcg_nibbles(len(low))
    return zlib.decompress(bytes((int(a) ^ k) | ((int(b) ^ k) << 4) for a, b, k in zip(low, high, key, strict=True)))


def image_bytes(pixels: Array, kind: str = "PNG") -> bytes:
    """Pixels as a lossless picture file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"lossless": True, "quality": 100} if kind == "WEBP" else {}))
    return buffer.getvalue()


def avif_pixels() -> bytes:
    """`pixels.png` of `small_files` as AVIF, by `avifenc --lossless` (libavif 0.11): Pillow cannot write AVIF so that
    it keeps every bit."""
    return (Path(__file__).parents[2] / "data" / "embeddings" / "pixels.avif").read_bytes()


# -- one small file of every kind -----------------------------------------------------------------------------------


def _block(array: Array) -> str:
    """The provenance block of a word on CLIP-L."""
    part = {"clip_l": {"dtype": "F32", "shape": list(array.shape), "sha256": sha256(array.tobytes()).hexdigest()}}
    identity = sha256(json.dumps(part, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    manifest = {"format": "tireg-manifest/1", "embedding": part, "images": [], "parents": [], "training": {"seed": 1}}
    block = {"format": 1, "embedding": f"sha256:{identity}", "version": "sha256:" + "ab" * 32, "manifest": manifest}
    return json.dumps(block | {"reference": "gnome@2", "placeholder_token": "<gnome>", "part": "clip_l"})


def small_files() -> dict[str, bytes]:
    """A small valid file of every container and layout; the start of every fuzz run."""
    from PIL import features

    one, two = vectors(1, 16), vectors(2, 16, 1)
    document = a1111_json(vectors(1, 8))
    xti = ["IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{n:02d}" for n in range(3, 12))]
    grey = np.full((16, 16, 3), 120, np.uint8)
    numpy_array = Called(
        "torch._utils", "_rebuild_device_tensor_from_numpy", (two, Named("torch", "float32"), "mps:0", False)
    )
    return {
        "diffusers.safetensors": safetensors({"<gnome>": two}, {"format": "pt"}),
        "told.safetensors": safetensors({"<gnome>": two}, {"tireg": _block(two)}),
        "told.bin": torch_zip({"<gnome>": Tensor(two)}, comment=_block(two)),
        "diffusers-1d.bin": torch_zip({"<gnome>": Tensor(one[0])}),
        "half.bin": torch_zip({"<gnome>": Tensor(one.astype(np.float16), "HalfStorage")}),
        "legacy.bin": torch_legacy({"<gnome>": Tensor(two)}),
        "protocol4.bin": torch_zip({"<gnome>": Tensor(two)}, protocol=4),
        "protocol0.pt": plain_pickle({"<gnome>": two}, protocol=0),
        "a1111.pt": torch_zip(a1111(two)),
        "a1111-legacy.pt": torch_legacy(a1111(two)),
        "ldm.pt": torch_zip({"string_to_token": {"*": 1}, "string_to_param": parameter_dict({"*": two})}),
        "numpy.pt": torch_zip({"<gnome>": numpy_array}),
        "list.pt": torch_zip([{"a": Tensor(one)}, {"b": Tensor(two)}]),
        "bare.pt": torch_zip(Tensor(two)),
        "multi.bin": torch_zip({"x_v0": Tensor(one[0]), "x_v1": Tensor(two[0])}),
        "optimizer.pt.optim": torch_zip({"hash": "ab12", "optimizer_state_dict": {"state": {}}}),
        "emb-params.safetensors": safetensors({"emb_params": two}, {"modelspec.title": "gnome", "step": "12"}),
        "onetrainer.safetensors": safetensors({"emp_params": two, "emp_params_out": one}),
        "sdxl.safetensors": safetensors({"clip_l": two, "clip_g": vectors(2, 24)}),
        "flux.safetensors": safetensors({"clip_l": two, "t5": vectors(2, 32), "t5xxl": vectors(2, 32)}),
        "pti.pti": safetensors({"text_encoders_0": two, "text_encoders_1": vectors(2, 24)}),
        "bundle.safetensors": safetensors({"lora_a.lora_up": one, "bundle_emb.gnome.clip_l": two}),
        "xti.safetensors": safetensors(dict.fromkeys(xti, one)),
        "bf16.safetensors": safetensors({"<gnome>": ("BF16", bfloat16(two))}),
        "chunk.png": png_with_chunk(document),
        "ztxt.png": png_with_chunk(document, b"zTXt"),
        "itxt.png": png_with_chunk(document, b"iTXt"),
        "pixels.png": image_bytes(hide_in_pixels(document, grey, border=2)),
        "pixels.webp": image_bytes(hide_in_pixels(document, grey), "WEBP"),
        **({"pixels.avif": avif_pixels()} if features.check("avif") else {}),
    }
