"""The containers: every trick of zip and safetensors is refused in time and memory that a small file may take."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.core.embeddings.samples import (
    Tensor,
    image_bytes,
    png_with_chunk,
    raw_safetensors,
    safetensors,
    small_files,
    torch_zip,
    vectors,
)
from tiregistry.embeddings import limits
from tiregistry.embeddings.containers.safetensors_file import write_safetensors
from tiregistry.embeddings.containers.source import open_source
from tiregistry.embeddings.containers.zip_archive import ZipArchive
from tiregistry.embeddings.reading import read_embedding
from tiregistry.errors import FileMissing, TiregError, UnreadableEmbedding

WORD = {"<a>": Tensor(vectors(1, 16))}


def refused(data: bytes, reason: str = "") -> str:
    """Read `data`, expect a refusal in under two CPU seconds, and return its message."""
    started = time.thread_time()
    with pytest.raises(UnreadableEmbedding, match=reason or None) as caught:
        read_embedding(data, filename="x.pt")
    assert time.thread_time() - started < 2
    return caught.value.message


# -- truncation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(small_files()))
def test_files_cut_off_at_every_byte(name):
    data = small_files()[name]
    started = time.thread_time()
    for length in range(len(data)):
        try:
            read_embedding(data[:length], filename=name)
        except TiregError:
            continue
        # A picture may lose what follows its embedding; anything else that is cut off must be noticed.
        assert name.endswith((".png", ".webp", ".avif")) or name == "protocol0.pt"
    assert time.thread_time() - started < 20


# -- zip ------------------------------------------------------------------------------------------------------------


def zip_of(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED, word: bool = True) -> bytes:
    """A torch zip with further members."""
    import warnings

    buffer = io.BytesIO(torch_zip(WORD) if word else b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(buffer, "a", method) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "C:\\evil", "..\\evil", "\\\\server\\x"])
def test_zip_names_that_leave_the_archive(name):
    refused(zip_of((name, b"x")), "points outside")


def test_zip_duplicates_two_pickles_and_links():
    refused(zip_of(("archive/data/0", b"x")), "two members")
    refused(zip_of(("other/data.pkl", b"x")), "two data.pkl")
    link = zipfile.ZipInfo("archive/link")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO(torch_zip(WORD))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(buffer.getvalue(), "link")


def test_zip_programs_other_archives_and_methods():
    refused(zip_of(("archive/code/__torch__.py", b"x")), "TorchScript")
    refused(zip_of(("a.txt", b"x"), word=False), "no data.pkl")
    refused(zip_of(("x", b"x" * 100), method=zipfile.ZIP_LZMA), "method 14")
    refused(zip_of(("x", b"x" * 100), method=zipfile.ZIP_BZIP2), "method 12")
    refused(b"PK\x05\x06" + bytes(18), "no data.pkl")


def test_zip_encryption_and_split_archives():
    data = bytearray(torch_zip(WORD))
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    refused(bytes(data), "encrypted")
    data = bytearray(torch_zip(WORD))
    end = data.rindex(b"PK\x05\x06")
    data[end + 4] = 1
    refused(bytes(data), "split")


def test_zip_bombs_are_refused_before_they_unpack():
    bomb = zip_of(("archive/bomb", bytes(limits.MAX_UNPACKED)), method=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**20
    refused(bomb, "unpacks to more")
    # A member whose directory entry lies about its size: it is unpacked to that size and one byte, no further.
    small = bytearray(zip_of(("archive/data.pkl", bytes(2**26)), method=zipfile.ZIP_DEFLATED, word=False))
    entry = small.index(b"PK\x01\x02")
    struct.pack_into("<I", small, entry + 24, 100)
    refused(bytes(small), "checksum")


def test_zip_directories_with_very_many_entries():
    refused(zip_of(*((f"m{n}", b"") for n in range(5000)), word=False), "members")
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 60000, 60000, 2**31, 0, 0)
    refused(b"PK\x03\x04" + bytes(100) + end)


def test_zip_overlapping_members_cost_nothing():
    data = torch_zip(WORD)
    entry_at = data.index(b"PK\x01\x02")
    end_at = data.rindex(b"PK\x05\x06")
    entries = b"".join(
        data[entry_at : entry_at + 46].replace(data[entry_at + 28 : entry_at + 30], struct.pack("<H", 4), 1)
        + f"{n:04d}".encode()
        for n in range(3000)
    )
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 3000, 3000, len(entries), entry_at, 0)
    assert end_at
    refused(data[:entry_at] + entries + end)


def test_zip64_is_read():
    plain = torch_zip(WORD)
    entries, start = bytearray(), plain.index(b"PK\x01\x02")
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        for info in archive.infolist():
            name = info.filename.encode()
            extra = struct.pack("<HHQQQ", 1, 24, info.file_size, info.compress_size, info.header_offset)
            fields = (
                b"PK\x01\x02",
                45,
                45,
                0,
                0,
                0,
                0,
                info.CRC,
                2**32 - 1,
                2**32 - 1,
                len(name),
                len(extra),
                0,
                0,
                0,
                0,
                2**32 - 1,
            )
            entries += struct.pack("<4sHHHHHHIIIHHHHHII", *fields) + name + extra
        count = len(archive.infolist())
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(entries), start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start + len(entries), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    wide = plain[:start] + bytes(entries) + end64 + locator + end
    assert read_embedding(wide)[0].embedding == read_embedding(plain)[0].embedding
    refused(wide.replace(b"PK\x06\x07", b"XX\x06\x07"), "zip64")


def test_zip_archives_compressed_by_hand_are_read():
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(torch_zip(WORD))) as plain,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert read_embedding(buffer.getvalue())[0].embedding == read_embedding(torch_zip(WORD))[0].embedding


def test_zip_damage_is_noticed():
    data = bytearray(torch_zip(WORD))
    place = data.index(vectors(1, 16).tobytes())
    data[place] ^= 1
    refused(bytes(data), "checksum")
    archive = ZipArchive(torch_zip(WORD))
    with pytest.raises(UnreadableEmbedding, match="no member"):
        archive.read("archive/nothing")


# -- safetensors ----------------------------------------------------------------------------------------------------


def test_safetensors_writer_is_read_by_the_reference_reader():
    from safetensors.numpy import load

    array = vectors(3, 24)
    data = write_safetensors({"b": array, "a": array[:1]}, {"note": "ü\n"})
    loaded = load(data)
    assert np.array_equal(loaded["b"], array)
    assert np.array_equal(loaded["a"], array[:1])
    assert data == write_safetensors({"a": array[:1], "b": array}, {"note": "ü\n"})
    assert int.from_bytes(data[:8], "little") % 8 == 0


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [1, 8], "data_offsets": [0, 32], **changes}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"a": entry(data_offsets=[0, 31])}, "bytes"),
        ({"a": entry(data_offsets=[4, 36])}, "holes"),
        ({"a": entry(), "b": entry()}, "overlap"),
        ({"a": entry(shape=[2, 8], data_offsets=[0, 64])}, "described"),
        ({"a": entry(shape=[1, 4], data_offsets=[0, 16])}, "described"),
        ({"a": entry(shape=[-1, -8])}, "shape"),
        ({"a": entry(shape=[2**50, 2**50])}, "shape"),
        ({"a": entry(shape=[1.0, 8])}, "shape"),
        ({"a": entry(shape=[True, 8])}, "shape"),
        ({"a": entry(dtype="F4")}, "dtype"),
        ({"a": entry(dtype=None)}, "dtype"),
        ({"a": []}, "described"),
        ({"__metadata__": {"a": 1}, "a": entry()}, "strings"),
        ({"__metadata__": [], "a": entry()}, "strings"),
        ({}, "described"),
    ],
)  # fmt: skip
def test_safetensors_headers_that_lie(header, reason):
    refused(raw_safetensors(json.dumps(header).encode(), bytes(32)), reason)


def test_safetensors_header_limits():
    refused(struct.pack("<Q", limits.MAX_HEADER + 1) + b"{" + bytes(limits.MAX_HEADER), "header")
    refused(struct.pack("<Q", 2**39) + b"{}", "header")
    refused(raw_safetensors(b'{"a":' + b"[" * 100_000), "JSON")
    refused(raw_safetensors(b'{"a":1' + b"0" * 10_000 + b"}"), "JSON")
    refused(raw_safetensors(b"{\xff\xfe}"), "JSON")
    many = {f"k{n}": entry(shape=[0, 8], data_offsets=[0, 0]) for n in range(20_000)}
    refused(raw_safetensors(json.dumps(many).encode()), "tensors")


def test_safetensors_duplicate_keys():
    text = json.dumps({"a": entry()})[:-1]
    refused(raw_safetensors(f"{text}, {text[1:]}}}".encode(), bytes(32)), "twice")


def test_a_large_lora_is_read_by_its_header(tmp_path):
    path = tmp_path / "lora.safetensors"
    word = vectors(2, 768)
    header = {
        "lora_unet.lora_up.weight": {
            "dtype": "F32",
            "shape": [2**25],
            "data_offsets": [word.nbytes, word.nbytes + 2**27],
        },
        "bundle_emb.gnome.clip_l": {"dtype": "F32", "shape": [2, 768], "data_offsets": [0, word.nbytes]},
    }
    with open(path, "wb") as file:
        file.write(raw_safetensors(json.dumps(header).encode(), word.tobytes()))
        file.truncate(file.tell() + 2**27)
    tracemalloc.start()
    (found,) = read_embedding(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()
    assert np.array_equal(found.embedding.tensors["clip_l"], word)
    assert found.files == {}
    assert "not kept" in found.warnings[-1]


def test_large_files_of_other_kinds_are_refused_unread(tmp_path):
    path = tmp_path / "model.ckpt"
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2**30)
    with pytest.raises(UnreadableEmbedding, match=r"1\.1 GB"):
        read_embedding(path)


# -- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_that_unpack_to_too_much():
    zeros = zlib.compress(bytes(limits.MAX_TEXT_CHUNK * 4))
    body = b"sd-ti-embedding\0\0" + zeros
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + bytes(4)
    png = png_with_chunk(b"{}")
    refused(png[:33] + chunk + png[33:], "unpacks")
    for side in (3_000, 20_000):
        plain = image_bytes(np.full((8, 8, 3), 90, np.uint8))
        size = b"IHDR" + struct.pack(">II", side, side) + plain[24:29]
        refused(plain[:12] + size + struct.pack(">I", zlib.crc32(size)) + plain[33:], "too many")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit needs Linux")
def test_heavy_files_stay_in_memory_and_time(tmp_path):
    """In a process that may grow by 500 MB and no more, watched for time by the fuzzer's guard."""
    noise = np.random.default_rng(0).integers(16, 256, (2800, 2801, 3), dtype=np.uint8)
    noise[:, 1399:1401] = 0  # hidden blocks as large as a picture may be
    small = np.zeros((1, 8), np.float32)
    wide = Tensor(small, shape=(512, 8192), strides=(0, 0))  # 32 bytes that are read as 16 MB
    many = {f"k{n}": entry(shape=[0, 8], data_offsets=[0, 0]) for n in range(50_000)}
    text = "x" * 10_000_000 + "\U0001f600"
    heavy = {
        "lists.png": png_with_chunk(b"[" + b"[]," * 2_000_000 + b"1]", b"zTXt"),
        "objects.png": png_with_chunk(b"[" + b"{}," * 2_000_000 + b"1]", b"zTXt"),
        "numbers.png": png_with_chunk(b"[" + b"1e5," * 1_500_000 + b"1]", b"zTXt"),
        "blocks.png": image_bytes(noise[:, :2800]),
        "zeros.bin": zip_of(("archive/z", bytes(limits.MAX_UNPACKED - 2**20)), method=zipfile.ZIP_DEFLATED),
        "pickle.zip": zip_of(("a/data.pkl", bytes(limits.MAX_PICKLE)), method=zipfile.ZIP_DEFLATED, word=False),
        "header.safetensors": raw_safetensors(json.dumps(many).encode()),
        "brackets.safetensors": raw_safetensors(b"{" + b'"a":' + b"[[]," * 900_000),
        "lists.pkl": b"\x80\x04" + b"]" * 240_000 + b".",
        "text.pkl": pickle.dumps([text, {"a": text}], 4),
        "views.bin": torch_zip({f"<{n}x>": wide for n in range(250)}),
        "list.bin": torch_zip([{str(n): wide} for n in range(250)]),
        "rows.bin": torch_zip({f"x_v{n}": Tensor(small, shape=(8192,), strides=(0,)) for n in range(600)}),
        "large.bin": torch_zip({"<a>": Tensor(np.zeros((2**23, 1), np.float32))}),
    }
    for name, data in heavy.items():
        (tmp_path / name).write_bytes(data)
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.fuzz import guard, worker\n"
        "guard.install(); worker._limit_memory()\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    trouble = guard.run(path.read_bytes())\n"
        "    if trouble: print(path.name, trouble)\n"
    )
    root = Path(__file__).parents[3]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(root), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_views_that_multiply_a_small_file():
    small = np.zeros((1, 8), np.float32)
    wide = Tensor(small, shape=(512, 8192), strides=(0, 0))
    refused(torch_zip({f"<{n}x>": wide for n in range(250)}), "values")
    refused(torch_zip([{str(n): wide} for n in range(250)]), "vectors")
    refused(torch_zip({f"x_v{n}": Tensor(small, shape=(8192,), strides=(0,)) for n in range(600)}), "600 vectors")


def test_webp_that_claims_a_huge_canvas():
    plain = image_bytes(np.full((8, 8, 3), 90, np.uint8), "WEBP")
    assert plain[12:16] == b"VP8L"
    big = plain[:21] + (0x3FFF | 0x3FFF << 14).to_bytes(4, "little") + plain[25:]
    refused(big, "too many")
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\x00\xff\x3f\x00"
    body = b"WEBP" + extended + plain[12:]
    refused(b"RIFF" + struct.pack("<I", len(body)) + body, "too many")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[" * 100_000,
        b"{",
        b'{"string_to_param": {"*": {"TORCHTENSOR": [[1, "x"]]}}}',
        b'{"string_to_param": {"*": {"TORCHTENSOR": [[1, 2], [3]]}}}',
        b'{"string_to_param": {"*": {"TORCHTENSOR": 1}}}',
        b'{"string_to_param": {"*": {"TORCHTENSOR": [[NaN, NaN, 1, 1, 1, 1, 1, 1]]}}}',
        b"7",
        b"null",
    ],
)
def test_pictures_with_odd_documents(document):
    refused(png_with_chunk(document))


def test_png_chunk_that_is_not_base64():
    refused(png_with_chunk(b"{}").replace(b"e30=", b"e3!="), "base64")


# -- files ----------------------------------------------------------------------------------------------------------


def test_pipes_folders_and_missing_files(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "empty").touch()
    for path, kind in (
        (pipe, UnreadableEmbedding),
        (tmp_path, UnreadableEmbedding),
        (tmp_path / "empty", UnreadableEmbedding),
        (tmp_path / "no", FileMissing),
    ):
        with pytest.raises(kind):
            read_embedding(path)
    with pytest.raises(FileMissing):
        read_embedding(tmp_path / "a\0b")


def test_ranges_of_a_large_file(tmp_path):
    path = tmp_path / "big"
    with open(path, "wb") as file:
        file.truncate(limits.MAX_FILE + 10)
        file.seek(limits.MAX_FILE)
        file.write(b"0123456789")
    with open_source(path) as source:
        assert not source.is_whole
        assert source.read(limits.MAX_FILE + 2, 3) == b"234"
        with pytest.raises(UnreadableEmbedding, match="ends after"):
            source.read(limits.MAX_FILE, 11)
        with pytest.raises(UnreadableEmbedding, match="far more"):
            source.all()


def test_reading_needs_no_torch(tmp_path):
    for name, data in small_files().items():
        (tmp_path / name).write_bytes(data)
    script = (
        "import sys; from pathlib import Path\n"
        "from tiregistry.embeddings.folders import read_folder\n"
        "from tiregistry.embeddings import writing\n"
        f"print(sum(len(r.found) for r in read_folder(Path({str(tmp_path)!r}))))\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'safetensors', 'textual'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    count, loaded = result.stdout.splitlines()
    assert int(count) >= 25
    assert loaded == "[]"


def test_safetensors_helper_agrees_with_the_reference_writer():
    from safetensors.numpy import load

    assert np.array_equal(load(safetensors({"a": vectors(1, 8)}))["a"], vectors(1, 8))
