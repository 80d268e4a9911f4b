"""The pickle interpreter: it reads what torch and numpy write, refuses everything else by name, and stays in bounds."""

from __future__ import annotations

import contextlib
import os
import pickle
import pickletools
import struct
import subprocess
import time
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.embeddings.samples import Called, Named, Tensor, plain_pickle, torch_legacy, torch_zip, vectors
from tests.fuzz.mutations import OPCODES, argument
from tiregistry.embeddings import pickle_ops, pickle_reader
from tiregistry.embeddings.pickle_reader import read_pickle
from tiregistry.embeddings.reading import read_embedding
from tiregistry.errors import TiregError, UnreadableEmbedding

SMALL = st.integers(-(2**31) + 1, 2**31 - 1)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=5) | SMALL, inner, max_size=5)
        | st.tuples(inner, inner)
        | st.sets(SMALL | st.text(max_size=3), max_size=5)
    ),
    max_leaves=20,
)


def test_every_opcode_of_pickle_is_known():
    known = set(pickle_reader._OPERATIONS) | {b"."}
    assert known == {op.code.encode("latin-1") for op in pickletools.opcodes}


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_values_come_back_as_python_reads_them(value, protocol):
    if protocol < 3 and _holds(value, (bytes, set)):
        protocol = 3  # older protocols write bytes and sets as calls; see the next test
    data = pickle.dumps(value, protocol)
    assert read_pickle(data)[0] == value


def _holds(value, kinds):
    if isinstance(value, kinds):
        return True
    if isinstance(value, dict):
        return any(_holds(item, kinds) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_holds(item, kinds) for item in value)


def test_old_protocols_write_bytes_and_sets_as_calls():
    assert read_pickle(pickle.dumps([b"\xff\x00", {1, 2}], 2))[0] == [b"\xff\x00", {1, 2}]
    assert read_pickle(pickle.dumps(OrderedDict([("a", 1)]), 2))[0] == {"a": 1}
    assert read_pickle(pickle.dumps(bytearray(b"abc"), 4))[0] == b"abc"
    assert read_pickle(pickle.dumps([np.float32(1.5), np.int64(7)], 4))[0] == [1.5, 7]


class Attack:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "named"),
    [(os.system, "system"), (eval, "eval"), (subprocess.Popen, "Popen"), (getattr, "getattr"), (open, "open")],
)
def test_code_is_never_run_and_the_global_is_named(tmp_path, function, named, protocol):
    proof = tmp_path / "proof"
    data = pickle.dumps({"<a>": Attack(function, f"touch {proof}")}, protocol)
    for given_file in (data, torch_zip_of(data)):
        with pytest.raises(UnreadableEmbedding, match=named):
            read_embedding(given_file)
    assert not proof.exists()


def torch_zip_of(stream: bytes) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/version", "3")
    return buffer.getvalue()


STORAGES = "Float Half BFloat16 Double Long Int Short Char Byte Bool"
DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool"
ALLOWED = {
    *(f"{module}.{name}Storage" for module in ("torch", "torch.cuda") for name in STORAGES.split()),
    *(f"torch.{name}" for name in DTYPES.split()),
    *(f"torch.{name}" for name in ("Size", "Tensor", "device")),
    "torch._tensor._rebuild_from_type_v2",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch.nn.modules.container.ParameterDict",
    "torch.nn.parameter.Parameter",
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    "collections.OrderedDict",
    "_codecs.encode",
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "bytearray")),
}


def test_nothing_joins_the_allow_list_unnoticed():
    assert {str(allowed) for allowed in pickle_ops._MEANINGS} == ALLOWED


def test_types_are_named_and_never_called():
    types = {str(allowed) for allowed, meaning in pickle_ops._MEANINGS.items() if meaning is None}
    storages = {name for name in ALLOWED if name.endswith("Storage")}
    assert types == storages | {f"torch.{name}" for name in DTYPES.split()} | {"torch.Tensor", "numpy.ndarray"}
    for name in types:
        module, _, attribute = name.rpartition(".")
        assert read_pickle(plain_pickle(Named(module, attribute)))[0] == pickle_ops.Global(module, attribute)
        with pytest.raises(UnreadableEmbedding, match="could run code"):
            read_pickle(plain_pickle(Called(module, attribute, ())))


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name in ALLOWED}))
def test_allowed_names_are_allowed_in_their_own_module_only(module):
    for name in {name.rpartition(".")[2] for name in ALLOWED}:
        assert pickle_ops.is_allowed(pickle_ops.Global(module, name)) == (f"{module}.{name}" in ALLOWED)


def test_allowed_names_in_the_wrong_module_are_refused():
    for module, name in (
        ("os", "_rebuild_tensor_v2"),
        ("torch", "load"),
        ("torch._utils", "_import_dotted_name"),
        ("", ""),
    ):
        with pytest.raises(UnreadableEmbedding, match="asks for"):
            read_pickle(plain_pickle(Called(module, name)))


def test_dotted_names_do_not_reach_into_allowed_modules():
    for name in ("_utils._rebuild_tensor_v2", "FloatStorage.__class__", "serialization.os.system"):
        with pytest.raises(UnreadableEmbedding, match="asks for"):
            read_pickle(plain_pickle(Called("torch", name), protocol=4))


def test_allowed_globals_with_wrong_arguments():
    calls = [
        Called("torch._utils", "_rebuild_tensor_v2", ("x", 0, (1,), (1,), False, {})),
        Called("torch._utils", "_rebuild_tensor_v2", ()),
        Called("torch._utils", "_rebuild_parameter", ("x", True, {})),
        Called("torch._tensor", "_rebuild_from_type_v2", (Named("os", "system"), None, ("x",), {})),
        Called("_codecs", "encode", ("x", "zip")),
        Called("_codecs", "encode", (["x"], "latin1")),
        Called("collections", "OrderedDict", (7,)),
        Called("collections", "OrderedDict", ([(1, 2, 3)],)),
        Called("numpy", "dtype", (7,)),
        Called("numpy", "dtype", ("f4", False, True), "state"),
        Called("builtins", "set", ([[1]],)),
        Called("builtins", "bytearray", ("x", "latin-1")),
        Called("builtins", "bytearray", ()),
        Called("torch", "Size", ([-1],)),
        Called("torch", "FloatStorage", ()),
    ]
    for call in calls:
        with pytest.raises(UnreadableEmbedding):
            read_pickle(plain_pickle(call))


def test_extensions_buffers_and_unknown_protocols_are_refused():
    for stream in (
        b"\x80\x02\x82\x01.",
        b"\x80\x05\x97.",
        b"\x80\x63N.",
        b"\x80\x02\xff.",
        b"\x80\x02Pabc\n.",
        b"\x80\x02.",
    ):
        with pytest.raises(UnreadableEmbedding):
            read_pickle(stream)


def test_deep_nesting_is_refused_without_recursion():
    for opener, closer in ((b"]", b"a"), (b"", b"\x85"), (b"}K\x00", b"s")):
        if closer == b"\x85":
            stream = b"\x80\x02N" + closer * 100_000 + b"."
        else:
            stream = b"\x80\x02" + opener * 50_000 + b"N" + closer * 50_000 + b"."
        with pytest.raises(UnreadableEmbedding, match="deep"):
            read_pickle(stream)


def test_values_that_contain_themselves_end():
    assert read_pickle(b"\x80\x02]q\x00h\x00a.")[0][0]
    with pytest.raises(TiregError):
        read_embedding(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")


def test_keys_whose_hash_would_take_for_ever_are_refused():
    doubling = b"\x80\x02N\x85" + b"2\x86" * 60
    with pytest.raises(UnreadableEmbedding, match="key"):
        read_pickle(b"\x80\x02}" + doubling[2:] + b"Ns.")


@pytest.mark.parametrize("form", [dict.fromkeys, set])
def test_keys_that_all_have_the_same_hash_are_refused(form):
    modulus = 2**61 - 1  # of Python's hashes of numbers
    for keys in ([modulus, 2 * modulus], [-modulus, 0], [float(2**61), 1], [float("inf")]):
        with pytest.raises(UnreadableEmbedding, match="neither text nor a small number"):
            read_pickle(pickle.dumps(form(keys), 4))


def test_opcodes_memo_and_copies_are_counted():
    started = time.thread_time()
    with pytest.raises(UnreadableEmbedding, match="instructions"):
        read_pickle(b"\x80\x02" + b"N0" * 1_000_000 + b".")
    with pytest.raises(UnreadableEmbedding, match="remembers"):
        read_pickle(b"\x80\x04N" + b"\x94" * 200_000 + b".")
    text = "x" * 1_000_000
    bomb = (
        b"\x80\x02c_codecs\nencode\nq\x00X"
        + struct.pack("<I", len(text))
        + text.encode()
        + b"q\x01X\x06\0\0\0latin1q\x020"
    )
    bomb += b"0h\x00h\x01h\x02\x86R" * 5_000 + b"."
    with pytest.raises(UnreadableEmbedding, match="unpacks to far more"):
        read_pickle(bomb)
    assert time.thread_time() - started < 4


def test_huge_lengths_allocate_nothing():
    for stream in (
        b"B\xff\xff\xff\x7f",
        b"\x8e" + b"\xff" * 8,
        b"\x8d" + b"\xff" * 7 + b"\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"T\xff\xff\xff\xff",
    ):
        with pytest.raises(UnreadableEmbedding):
            read_pickle(b"\x80\x04" + stream + b"abc.")
    with pytest.raises(UnreadableEmbedding, match="digits"):
        read_pickle(b"I" + b"9" * 5000 + b"\n.")


def test_tensors_outside_their_storage():
    array = vectors(1, 16)
    for tensor in (
        Tensor(array, shape=(2, 16), strides=(16, 1)),
        Tensor(array, offset=1),
        Tensor(array, shape=(1, 16), strides=(1, 2)),
        Tensor(array, shape=(512, 8192), strides=(8192, 1)),
    ):
        for save in (torch_zip, torch_legacy):
            with pytest.raises(UnreadableEmbedding, match="cut off"):
                read_embedding(save({"<a>": tensor}))
    with pytest.raises(UnreadableEmbedding):
        read_embedding(torch_zip({"<a>": Tensor(array, strides=(-16, -1))}))


def test_repeated_rows_by_stride_zero_are_only_as_large_as_a_word():
    found = read_embedding(torch_zip({"<a>": Tensor(vectors(1, 16), shape=(512, 16), strides=(0, 1))}))
    assert found[0].embedding.num_vectors == 512
    with pytest.raises(UnreadableEmbedding, match="vectors"):
        read_embedding(torch_zip({"<a>": Tensor(vectors(1, 16), shape=(2**30, 16), strides=(0, 1))}))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(OPCODES), max_size=60), st.randoms(use_true_random=False))
def test_any_row_of_opcodes_gives_a_value_or_a_tireg_error(codes, rng):
    stream = b"\x80\x04" + b"".join(code + argument(code, rng) for code in codes) + b"."
    started = time.thread_time()
    with contextlib.suppress(TiregError):
        read_pickle(stream)
    assert time.thread_time() - started < 2


def test_legacy_streams_that_lie_about_their_storages():
    good = torch_legacy({"<a>": Tensor(vectors(1, 16))})
    count = good.rindex(struct.pack("<q", 16))
    for bad in (2**62, -1, 17, 2**40):
        with pytest.raises(UnreadableEmbedding):
            read_embedding(good[:count] + struct.pack("<q", bad) + good[count + 8 :])
    with pytest.raises(UnreadableEmbedding, match="protocol"):
        read_embedding(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(7, 2))
