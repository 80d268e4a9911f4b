"""What an allow-listed global of a torch pickle stands for here: inert descriptions, never the class or function.

Sources of the layout: torch's `torch/_utils.py` and `torch/serialization.py`, numpy's `multiarray` pickling. The list
holds what the embedding files of all known producers ask for, and nothing that can act.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tiregistry.embeddings.tensors import ITEM_SIZE, RawTensor, damaged
from tiregistry.errors import DamagedEmbedding
from tiregistry.text import safe


class Global(NamedTuple):
    """A name that a pickle asked for; it is only ever compared, not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Module:
    """A `ParameterDict` (or another torch container) whose state a BUILD filled in."""

    state: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class NumpyType:
    """A numpy dtype: kind and size such as `f4`, and its byte order."""

    code: str
    order: str = "<"


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A tensor storage that a persistent id named."""

    dtype: str
    key: str
    load: Callable[[], bytes | memoryview]
    offset: int = 0
    little: bool = True


STORAGES = {
    "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "DoubleStorage": "F64",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}  # fmt: skip
_KEY_LIMIT = 1 << 31
_NUMPY = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u1": "U8"}
_TORCH_NAMES = {
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "Size", "device", "Tensor",
}  # fmt: skip
_REBUILD = {
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state",
    "_rebuild_device_tensor_from_numpy",
}  # fmt: skip
_CONTAINERS = {Global("torch.nn.modules.container", "ParameterDict"), Global("collections", "OrderedDict")}
_BUILTINS = ("builtins", "__builtin__")


def is_allowed(wanted: Global) -> bool:
    """Whether a pickle may name this global at all."""
    module, name = wanted
    if module in ("torch", "torch.cuda"):
        return name in STORAGES or (module == "torch" and name in _TORCH_NAMES)
    if module == "torch._utils":
        return name in _REBUILD
    if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
        return name in ("ndarray", "dtype") if module == "numpy" else name in ("_reconstruct", "scalar")
    if module in ("numpy.core.numeric", "numpy._core.numeric"):
        return name == "_frombuffer"
    return (
        wanted in _CONTAINERS
        or wanted in (Global("torch._tensor", "_rebuild_from_type_v2"), Global("torch.nn.parameter", "Parameter"))
        or wanted == Global("_codecs", "encode")
        or (module in _BUILTINS and name in ("set", "frozenset", "bytearray"))
    )


def refuse(wanted: Global) -> DamagedEmbedding:
    """The error for a pickle that asked for something an embedding has no need of."""
    return DamagedEmbedding(
        f"the file asks for {safe(wanted, limit=120)}, which could run code; it was not run",
        "open it nowhere unless you trust it; ask its author for a .safetensors file",
    )


def call(function: Any, arguments: Any, spend: Callable[[int], None]) -> Any:
    """What calling an allow-listed global would give, as an inert value.

    Args:
        function: what the pickle wants to call.
        arguments: the argument tuple.
        spend: charges the bytes or items that the call copies against the reader's budget.

    Raises:
        UnreadableEmbedding: it is not callable here, or the arguments are not what its real code takes.
    """
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise damaged("the pickle calls something that is no function")
    if not is_allowed(function):
        raise refuse(function)
    try:
        return _call(function, arguments, spend)
    except (IndexError, ValueError, TypeError, AttributeError, KeyError, struct.error):
        raise damaged(f"{function} is called with arguments it does not take") from None


def _call(function: Global, args: tuple[Any, ...], spend: Callable[[int], None]) -> Any:
    name = function.name
    if name == "OrderedDict":
        pairs = args[0] if args else ()
        if not isinstance(pairs, (list, tuple)):
            raise TypeError
        spend(len(pairs))
        result: dict[Any, Any] = {}
        for key, value in pairs:
            result[plain_key(key)] = value
        return result
    if name == "ParameterDict":
        return Module()
    if name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
        storage, offset, size, stride = args[:4]
        if not isinstance(storage, Storage):
            raise TypeError
        return RawTensor(
            storage.dtype, _sizes(size), storage.load, _size(offset) + storage.offset, _sizes(stride), storage.little
        )
    if name in ("_rebuild_parameter", "_rebuild_parameter_with_state", "_rebuild_device_tensor_from_numpy"):
        return args[0] if isinstance(args[0], RawTensor) else _type_error()
    if name == "Parameter":
        return args[0] if args and isinstance(args[0], RawTensor) else _type_error()
    if name == "_rebuild_from_type_v2":
        inner, _, inner_args = args[:3]
        if not isinstance(inner, Global) or inner.module != "torch._utils":
            raise TypeError
        return call(inner, inner_args, spend)
    if name == "_reconstruct":
        return RawTensor("U8", (0,), bytes)
    if name == "_frombuffer":
        raw, kind, shape, order = args
        array = RawTensor("U8", (0,), bytes)
        build(array, (1, shape, kind, order == "F", raw))
        return array
    if name == "scalar":
        kind, raw = args[:2]
        return struct.unpack(kind.order + {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i"}[kind.code], raw)[0]
    if name == "dtype":
        code = args[0]
        return NumpyType(code.lstrip("<>=|"), ">" if code.startswith(">") else "<")
    if name == "encode":
        text, encoding = args[:2]
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise TypeError
        spend(len(text))
        return text.encode("latin-1")
    if name in ("set", "frozenset"):
        items = args[0] if args else ()
        spend(len(items))
        return {plain_key(item) for item in items}
    if name == "bytearray" and isinstance(args[0], bytes):
        spend(len(args[0]))
        return args[0]
    if name == "Size":
        return _sizes(args[0])
    if name == "device":
        return ":".join(str(part) for part in args if isinstance(part, (str, int)))
    raise refuse(function)


def build(target: Any, state: Any) -> None:
    """Give `target` its state, as BUILD does; attributes that only code would read are dropped.

    Raises:
        UnreadableEmbedding: `target` takes no state, or not this one.
    """
    if isinstance(target, Module) and isinstance(state, dict):
        target.state.update(state)
    elif isinstance(target, NumpyType) and isinstance(state, tuple) and len(state) > 1 and state[1] in (*"<>|=",):
        target.order = ">" if state[1] == ">" else "<"
    elif isinstance(target, RawTensor) and isinstance(state, tuple) and len(state) == 5:
        _, shape, kind, fortran, raw = state
        dtype = _NUMPY.get(kind.code) if isinstance(kind, NumpyType) else None
        if dtype is None or not isinstance(raw, bytes):
            raise damaged("a numpy array of an unknown kind")
        try:
            sizes = _sizes(shape)
        except (TypeError, ValueError):
            raise damaged("a numpy array without a shape") from None
        target.dtype, target.shape, target.load = dtype, sizes, lambda: raw
        target.little = kind.order == "<"
        target.strides = _fortran(sizes) if fortran else None
    elif isinstance(target, (dict, RawTensor)) and (state is None or isinstance(state, (dict, tuple))):
        pass  # `_metadata` of a state dict, attributes set on a tensor: nothing an embedding needs
    else:
        raise damaged("the pickle gives a state to something that has none")


def module_items(module: Module) -> dict[Any, Any]:
    """The entries of a `ParameterDict`, in every layout torch has used for it."""
    items: dict[Any, Any] = {}
    for holder in ("_parameters", "_buffers"):
        inner = module.state.get(holder)
        if isinstance(inner, dict):
            items.update(inner)
    keys = module.state.get("_keys")
    for key in keys if isinstance(keys, dict) else ():
        if key not in items and key in module.state:  # plain tensors, torch 1.12 and later
            items[key] = module.state[key]
    return items


def plain_key(key: Any) -> Any:
    """`key` when it is text or a small number.

    Hashing anything deeper could take for ever, and so could filling a mapping with numbers of one hash, such as the
    multiples of 2^61 - 1; text has a secret in its hash.

    Raises:
        DamagedEmbedding: the key is anything else.
    """
    if isinstance(key, (str, bytes, Global)) or key is None:
        return key
    if isinstance(key, (int, float)) and abs(key) < _KEY_LIMIT:
        return key
    raise damaged("a mapping has a key that is neither text nor a small number")


def is_storage(wanted: Any) -> bool:
    """Whether a global names a storage class."""
    return isinstance(wanted, Global) and wanted.module in ("torch", "torch.cuda") and wanted.name in STORAGES


def storage_bytes(dtype: str, numel: int) -> int:
    """Bytes of a storage of `numel` values."""
    return ITEM_SIZE[dtype] * numel


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**40:
        raise ValueError
    return value


def _sizes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)) or len(values) > 8:
        raise ValueError
    return tuple(_size(value) for value in values)


def _fortran(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in shape:
        strides.append(step)
        step *= max(size, 1)
    return tuple(strides)


def _type_error() -> Any:
    raise TypeError
