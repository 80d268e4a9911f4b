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
_UNPACKED = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i"}
_DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
Spend = Callable[[int], None]
"""Charges the bytes or items that a call copies against the reader's budget."""


def is_allowed(wanted: Global) -> bool:
    """Whether a pickle may name this global at all."""
    return wanted in _MEANINGS


def refuse(wanted: Global) -> DamagedEmbedding:
    """The error for a pickle that asked for something an embedding has no need of."""
    return DamagedEmbedding(
        f"the file asks for {safe(wanted, limit=120)}, which could run code; it was not run",
        "open it nowhere unless you trust it; ask its author for a .safetensors file",
    )


def call(function: Any, arguments: Any, spend: Spend) -> Any:
    """What calling an allow-listed global would give, as an inert value.

    Args:
        function: what the pickle wants to call.
        arguments: the argument tuple.
        spend: charged before anything is copied.

    Raises:
        UnreadableEmbedding: it is not callable here, or the arguments are not what its real code takes.
    """
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise damaged("the pickle calls something that is no function")
    meaning = _MEANINGS.get(function)
    if meaning is None:
        raise refuse(function)
    try:
        return meaning(arguments, spend)
    except (IndexError, ValueError, TypeError, AttributeError, KeyError, struct.error):
        raise damaged(f"{function} is called with arguments it does not take") from None


def _ordered_dict(args: tuple[Any, ...], spend: Spend) -> dict[Any, Any]:
    pairs = args[0] if args else ()
    if not isinstance(pairs, (list, tuple)):
        raise TypeError
    spend(len(pairs))
    result: dict[Any, Any] = {}
    for key, value in pairs:
        result[plain_key(key)] = value
    return result


def _parameter_dict(args: tuple[Any, ...], spend: Spend) -> Module:
    return Module()


def _tensor(args: tuple[Any, ...], spend: Spend) -> RawTensor:
    storage, offset, size, stride = args[:4]
    if not isinstance(storage, Storage):
        raise TypeError
    return RawTensor(
        storage.dtype, _sizes(size), storage.load, _size(offset) + storage.offset, _sizes(stride), storage.little
    )


def _parameter(args: tuple[Any, ...], spend: Spend) -> RawTensor:
    """Whatever wraps a tensor: the tensor."""
    if not isinstance(args[0], RawTensor):
        raise TypeError
    return args[0]


def _from_type(args: tuple[Any, ...], spend: Spend) -> Any:
    """A tensor subclass: what it is made from, by one of torch's own functions."""
    inner, _, inner_args = args[:3]
    if not isinstance(inner, Global) or inner.module != "torch._utils":
        raise TypeError
    return call(inner, inner_args, spend)


def _empty_array(args: tuple[Any, ...], spend: Spend) -> RawTensor:
    """An array whose shape and bytes come with its state."""
    return RawTensor("U8", (0,), bytes)


def _array_of_bytes(args: tuple[Any, ...], spend: Spend) -> RawTensor:
    raw, kind, shape, order = args
    array = RawTensor("U8", (0,), bytes)
    build(array, (1, shape, kind, order == "F", raw))
    return array


def _numpy_scalar(args: tuple[Any, ...], spend: Spend) -> Any:
    kind, raw = args[:2]
    return struct.unpack(kind.order + _UNPACKED[kind.code], raw)[0]


def _numpy_type(args: tuple[Any, ...], spend: Spend) -> NumpyType:
    code = args[0]
    return NumpyType(code.lstrip("<>=|"), ">" if code.startswith(">") else "<")


def _latin_bytes(args: tuple[Any, ...], spend: Spend) -> bytes:
    """Bytes as protocols 0 to 2 write them."""
    text, encoding = args[:2]
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError
    spend(len(text))
    return text.encode("latin-1")


def _set(args: tuple[Any, ...], spend: Spend) -> set[Any]:
    items = args[0] if args else ()
    spend(len(items))
    return {plain_key(item) for item in items}


def _bytearray(args: tuple[Any, ...], spend: Spend) -> bytes:
    if not isinstance(args[0], bytes):
        raise TypeError
    spend(len(args[0]))
    return args[0]


def _torch_size(args: tuple[Any, ...], spend: Spend) -> tuple[int, ...]:
    return _sizes(args[0])


def _device(args: tuple[Any, ...], spend: Spend) -> str:
    return ":".join(str(part) for part in args if isinstance(part, (str, int)))


_MEANINGS: dict[Global, Callable[[tuple[Any, ...], Spend], Any] | None] = {
    **{Global(module, name): None for module in ("torch", "torch.cuda") for name in STORAGES},
    **{Global("torch", name): None for name in (*_DTYPES, "Tensor")},
    Global("torch", "Size"): _torch_size,
    Global("torch", "device"): _device,
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    Global("torch._utils", "_rebuild_device_tensor_from_numpy"): _parameter,
    Global("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    Global("torch.nn.parameter", "Parameter"): _parameter,
    Global("torch.nn.modules.container", "ParameterDict"): _parameter_dict,
    Global("numpy", "ndarray"): None,
    Global("numpy", "dtype"): _numpy_type,
    Global("numpy.core.multiarray", "_reconstruct"): _empty_array,
    Global("numpy._core.multiarray", "_reconstruct"): _empty_array,
    Global("numpy.core.multiarray", "scalar"): _numpy_scalar,
    Global("numpy._core.multiarray", "scalar"): _numpy_scalar,
    Global("numpy.core.numeric", "_frombuffer"): _array_of_bytes,
    Global("numpy._core.numeric", "_frombuffer"): _array_of_bytes,
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("_codecs", "encode"): _latin_bytes,
    Global("builtins", "set"): _set,
    Global("__builtin__", "set"): _set,
    Global("builtins", "frozenset"): _set,
    Global("__builtin__", "frozenset"): _set,
    Global("builtins", "bytearray"): _bytearray,
    Global("__builtin__", "bytearray"): _bytearray,
}
"""The allow-list: what each global is made into; None for those that are only named, as the type of something."""


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
