"""Makes hostile files from good ones: blind damage, and damage that knows zip, safetensors, PNG and pickle."""

from __future__ import annotations

import io
import json
import pickletools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

_INTERESTING = [
    0,
    1,
    2,
    16,
    127,
    128,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63,
    2**64 - 1,
]
_WORDS = [
    b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"data.pkl", b"../", b"IDAT",
    b"tEXt", b"zTXt",
    b"sd-ti-embedding\0", b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n", b"c_codecs\nencode\n", b"__metadata__", b'"dtype"',
    b"NaN", b"string_to_param", b"emb_params", b"clip_l", b"text_encoders_0", b"bundle_emb.", b"\x80\x05",
    b"\x95" + b"\xff" * 8,
]  # fmt: skip
OPCODES = [op.code.encode("latin-1") for op in pickletools.opcodes]
_GLOBALS = [
    b"os\nsystem\n", b"builtins\neval\n", b"posix\nsystem\n", b"torch._utils\n_rebuild_tensor_v2\n",
    b"torch._utils\n_rebuild_parameter\n", b"torch._utils\n_rebuild_device_tensor_from_numpy\n",
    b"torch._tensor\n_rebuild_from_type_v2\n", b"torch\nFloatStorage\n", b"torch\nBFloat16Storage\n",
    b"torch.nn.modules.container\nParameterDict\n", b"collections\nOrderedDict\n", b"numpy\nndarray\n",
    b"numpy\ndtype\n", b"numpy.core.multiarray\n_reconstruct\n", b"numpy.core.multiarray\nscalar\n",
    b"_codecs\nencode\n",
    b"numpy._core.numeric\n_frombuffer\n", b"builtins\nset\n", b"builtins\nbytearray\n",
    b"torch\nSize\n", b"torch\ndevice\n",
]  # fmt: skip


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to four mutations of `data`, those that know its format more often than the blind ones."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        knowing = _knowing(data)
        choices: list[Callable[[bytes, random.Random], bytes]] = [*_BLIND, *knowing * 3]
        spliced = rng.random() < 0.05
        data = _splice(data, rng.choice(others), rng) if spliced else rng.choice(choices)(data, rng)
        data = data[: 1 << 20]
    return data


def _knowing(data: bytes) -> list[Callable[[bytes, random.Random], bytes]]:
    if data[:2] == b"PK":
        return [_zip_member, _zip_pickle, _zip_names, _zip_header]
    if data[:4] == b"\x89PNG":
        return [_png_chunk]
    if data[8:9] == b"{":
        return [_safetensors_header, _safetensors_text]
    if data[:1] == b"\x80":
        return [_pickle_insert]
    return []


# -- blind ----------------------------------------------------------------------------------------------------------


def _flip(data: bytes, rng: random.Random) -> bytes:
    buffer = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        buffer[rng.randrange(len(buffer))] = rng.randrange(256)
    return bytes(buffer)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _delete(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 4, 8, 64)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    part = data[start : start + rng.choice((1, 4, 16, 64))]
    return data[:start] + part * rng.choice((2, 3, 100, 1000)) + data[start:]


def _word(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    word = rng.choice(_WORDS)
    return data[:start] + word + data[start + (len(word) if rng.random() < 0.7 else 0) :]


def _number(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    value = (rng.choice(_INTERESTING) % (1 << (8 * size))).to_bytes(size, rng.choice(("little", "big")))
    start = rng.randrange(max(1, len(data)))
    return data[:start] + value + data[start + size :]


def _splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


_BLIND: list[Callable[[bytes, random.Random], bytes]] = [_flip, _truncate, _delete, _repeat, _word, _number]


# -- zip ------------------------------------------------------------------------------------------------------------


def _members(data: bytes) -> list[tuple[str, bytes]] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()[:50]]
    except Exception:
        return None


def _zip(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def _zip_member(data: bytes, rng: random.Random) -> bytes:
    members = _members(data)
    if not members:
        return _flip(data, rng)
    index = rng.randrange(len(members))
    name, content = members[index]
    members[index] = (name, rng.choice(_BLIND)(content, rng))
    return _zip(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _zip_pickle(data: bytes, rng: random.Random) -> bytes:
    members = _members(data)
    if not members:
        return _flip(data, rng)
    changed = [(n, _pickle_insert(c, rng) if n.endswith("data.pkl") else c) for n, c in members]
    return _zip(changed)


def _zip_names(data: bytes, rng: random.Random) -> bytes:
    members = _members(data)
    if not members:
        return _flip(data, rng)
    index = rng.randrange(len(members))
    name, content = members[index]
    trick = rng.choice(
        (
            "../../etc/passwd",
            "/abs",
            "C:\\x",
            "a/data.pkl",
            "data.pkl",
            name,
            "archive/data/0",
            "archive/byteorder",
            "x" * 70000 if rng.random() < 0.1 else "x",
        )
    )
    if rng.random() < 0.5:
        members[index] = (trick[:60000], content)
    else:
        members.append((trick[:60000], content))
    if rng.random() < 0.1:
        members.append(("archive/bomb", b"\0" * (1 << 22)))
        return _zip(members, zipfile.ZIP_DEFLATED)
    if rng.random() < 0.05:
        members += [(f"archive/data/{n}", b"") for n in range(5000)]
    return _zip(members)


def _zip_header(data: bytes, rng: random.Random) -> bytes:
    """Change a field of a directory or end record: sizes, flags, counts, offsets."""
    places = [i for mark in (b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04") for i in _find_all(data, mark)]
    if not places:
        return _flip(data, rng)
    start = rng.choice(places) + rng.randrange(4, 46, 2)
    size = rng.choice((2, 4))
    return data[:start] + (rng.choice(_INTERESTING) % (1 << 8 * size)).to_bytes(size, "little") + data[start + size :]


def _find_all(data: bytes, mark: bytes) -> list[int]:
    found, start = [], data.find(mark)
    while start >= 0:
        found.append(start)
        start = data.find(mark, start + 1)
    return found


# -- pickle ---------------------------------------------------------------------------------------------------------


def argument(code: bytes, rng: random.Random) -> bytes:
    """A plausible argument for an opcode."""
    name = code.decode("latin-1")
    text = rng.choice((b"storage", b"0", b"cpu", b"<a>", b"latin1", b"f4", b"", b"\xff\xfe", b"x" * 300))
    number = rng.choice(_INTERESTING)
    if name in "c" + "i":
        return rng.choice(_GLOBALS)
    if name in "IL" + "gp":
        return str(rng.choice((0, 1, 5, number))).encode() + b"\n"
    if name == "F":
        return b"1.5\n"
    if name in "SV" + "P":
        return (b"'" + text + b"'" if name == "S" else text.replace(b"\n", b"")) + b"\n"
    if name in "X" + "T" + "B":
        return struct.pack("<I", len(text) if rng.random() < 0.9 else number & 0xFFFFFFFF) + text
    if name in "UC\x8c":
        return struct.pack("<B", min(len(text), 255)) + text[:255]
    if name in "\x8d\x8e\x96":
        return struct.pack("<Q", len(text) if rng.random() < 0.9 else number) + text
    if name in "J" + "j" + "r":
        return struct.pack("<I", rng.choice((0, 1, 768, number & 0xFFFFFFFF)))
    if name in "Khq\x80\x82":
        return bytes([rng.randrange(256) if rng.random() < 0.3 else rng.randrange(6)])
    if name in "M\x83":
        return struct.pack("<H", number & 0xFFFF)
    if name == "\x84":
        return struct.pack("<i", 1)
    if name == "G":
        return struct.pack(">d", rng.choice((0.0, 1.5, float("nan"), float("inf"))))
    if name == "\x8a":
        return b"\x04" + struct.pack("<I", number & 0xFFFFFFFF)
    if name == "\x8b":
        return struct.pack("<i", 4) + b"\1\2\3\4"
    if name == "\x95":
        return struct.pack("<Q", number)
    return b""


def random_pickle(rng: random.Random, length: int) -> bytes:
    """A stream of random opcodes with arguments; each opcode of the protocol occurs."""
    parts = [b"\x80\x04"]
    for _ in range(length):
        code = rng.choice(OPCODES)
        if code == b"." and rng.random() < 0.9:
            continue
        parts.append(code + argument(code, rng))
    return b"".join(parts) + b"."


def _pickle_insert(data: bytes, rng: random.Random) -> bytes:
    """Insert, replace or remove whole instructions of a pickle."""
    try:
        starts = [position for _, _, position in pickletools.genops(data) if position is not None]
    except Exception:
        return _flip(data, rng)
    index = rng.randrange(len(starts))
    start, end = starts[index], starts[index + 1] if index + 1 < len(starts) else len(data)
    new = b"".join(code + argument(code, rng) for code in rng.choices(OPCODES, k=rng.choice((1, 1, 2, 6))))
    how = rng.random()
    if how < 0.4:
        return data[:start] + new + data[start:]
    if how < 0.7:
        return data[:start] + new + data[end:]
    if how < 0.85:
        return data[:start] + data[end:]
    return data[:start] + data[start:end][:4096] * rng.choice((2, 50, 3000)) + data[end:]


# -- safetensors and PNG --------------------------------------------------------------------------------------------


def _safetensors_header(data: bytes, rng: random.Random) -> bytes:
    """Change the header's content and keep its length right."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        key = rng.choice(list(header))
    except Exception:
        return _flip(data, rng)
    value = rng.choice(
        (
            None,
            0,
            -1,
            2**63,
            1e308,
            "x",
            [],
            {},
            [[[]]],
            "\x1b[2J",
            {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
        )
    )
    how = rng.random()
    if how < 0.3:
        header[
            rng.choice(
                ("clip_l", "emb_params", "t5_out", "bundle_emb.a.clip_l", "IN01", "__metadata__", "<a>", "x_1", "")
            )
        ] = header[key]
    elif how < 0.5 or not isinstance(header[key], dict) or not header[key]:
        header[key] = value
    elif how < 0.8:
        header[key][rng.choice(list(header[key]))] = value
    else:
        header[key]["shape"] = rng.choice(([1], [1, 16], [2, 16], [16, 2], [-1, -16], [2**40], [0, 16], [1] * 50))
    text = json.dumps(header).encode()
    if rng.random() < 0.2:
        text = text[:-1] + b"," + text[1:]  # every key twice
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _safetensors_text(data: bytes, rng: random.Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    if length > len(data):
        return _flip(data, rng)
    text = rng.choice(_BLIND)(data[8 : 8 + length], rng)
    if rng.random() < 0.05:
        text = b'{"a":' + b"[" * 5000
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _png_chunk(data: bytes, rng: random.Random) -> bytes:
    """Change one chunk and give it a right checksum again."""
    chunks, position = [], 8
    while position + 12 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + size]))
        position += 12 + size
    if not chunks:
        return _flip(data, rng)
    index = rng.randrange(len(chunks))
    kind, body = chunks[index]
    chunks[index] = (kind, rng.choice(_BLIND)(body, rng))
    if rng.random() < 0.1:
        chunks.insert(rng.randrange(len(chunks)), rng.choice(chunks))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
