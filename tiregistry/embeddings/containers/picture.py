"""Embeddings hidden in pictures, as the A1111 web UI shares them: a PNG text chunk, or the low bits of the pixels.

Facts of the format, checked against files that this module writes: the text chunk `sd-ti-embedding` holds base64 of a
JSON document in which a tensor is `{"TORCHTENSOR": nested list}`. In pixels, the same JSON is zlib-packed; the low
nibbles of its bytes fill a block at the picture's left edge, the high nibbles one at its right edge, each parted from
the picture by a black column. A block's rows run across its pixels' three channels; each nibble sits in a channel's low
four bits, XORed with the low nibble of a linear congruential sequence (a 1664525, c 1013904223, modulo 2^32, then
modulo 255) that starts anew for each block. The high bits of a block are decoration.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tiregistry.embeddings.limits import MAX_PICTURE_PIXELS, MAX_TEXT_CHUNK
from tiregistry.embeddings.tensors import damaged, from_array
from tiregistry.errors import UnreadableEmbedding
from tiregistry.text import safe

CHUNK = "sd-ti-embedding"
PNG = b"\x89PNG\r\n\x1a\n"
Pixels = npt.NDArray[np.uint8]


class NoEmbeddingInPicture(UnreadableEmbedding):
    """An ordinary picture."""


def looks_like_picture(head: bytes) -> str:
    """`PNG`, `WEBP`, `AVIF`, another picture format's name, or an empty string."""
    if head.startswith(PNG):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    return "JPEG XL" if head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")) else ""


def read_picture_embedding(data: bytes, kind: str) -> tuple[Any, bool]:
    """The JSON document in a picture, with its tensors as `RawTensor`, and whether it came from the pixels.

    Raises:
        NoEmbeddingInPicture: it is a picture and nothing more.
        UnreadableEmbedding: there is an embedding but it is damaged or too large.
    """
    if kind == "PNG" and (chunk := _text_chunk(data)) is not None:
        try:
            raw = base64.b64decode(chunk, validate=True)
        except (binascii.Error, ValueError):
            raise damaged(f"the text chunk {CHUNK} is not base64") from None
        return _document(raw), False
    if kind == "JPEG XL":
        raise UnreadableEmbedding("JPEG XL pictures cannot be searched for an embedding", "save it as PNG, losslessly")
    if kind in ("JPEG", "GIF"):
        raise NoEmbeddingInPicture(f"a {kind} picture holds no embedding", "A1111 shares them as PNG or WebP")
    return _document(_from_pixels(_decode(data, kind))), True


def _text_chunk(data: bytes) -> bytes | None:
    """The embedding's text chunk (tEXt, zTXt or iTXt) of a PNG, or None."""
    position = len(PNG)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if len(body) != length:
            return None
        position += 12 + length
        if kind == b"IEND":
            return None
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or not body.startswith(CHUNK.encode() + b"\0"):
            continue
        body = body[len(CHUNK) + 1 :]
        if kind == b"iTXt":
            packed, rest = body[:1] == b"\1", body[2:].split(b"\0", 2)
            body = rest[2] if len(rest) == 3 else b""
        else:
            packed = kind == b"zTXt"
            body = body[1:] if packed else body
        if packed:
            body = _inflate(body)
        if len(body) > MAX_TEXT_CHUNK:
            raise damaged("the picture's text chunk is larger than any embedding")
        return body.strip()
    return None


def _inflate(packed: bytes) -> bytes:
    """zlib data, unpacked to at most `MAX_TEXT_CHUNK` bytes; what follows its end is ignored."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, MAX_TEXT_CHUNK + 1)
    except zlib.error:
        raise damaged("the packed embedding does not unpack") from None
    if len(raw) > MAX_TEXT_CHUNK:
        raise damaged("the packed embedding unpacks to far more than an embedding")
    if not unpacker.eof:
        raise damaged("the packed embedding is cut off")
    return raw


def _document(raw: bytes) -> Any:
    """JSON with `{"TORCHTENSOR": [...]}` turned into tensors."""

    def tensors(item: dict[str, Any]) -> Any:
        if len(item) != 1 or "TORCHTENSOR" not in item:
            return item
        try:
            return from_array(np.array(item["TORCHTENSOR"], dtype=np.float32))
        except (ValueError, TypeError, OverflowError):
            raise damaged("a tensor in the picture is not made of numbers") from None

    try:
        return json.loads(raw.decode("utf-8"), object_hook=tensors)
    except (ValueError, RecursionError):
        raise damaged("the embedding in the picture is not JSON") from None


def _decode(data: bytes, kind: str) -> Pixels:
    """The picture as RGB bytes `[height, width, 3]`."""
    from PIL import Image

    if kind not in Image.OPEN:
        Image.init()
    if kind not in Image.OPEN:  # AVIF came with Pillow 11.3, and not every build has it
        raise UnreadableEmbedding(f"the installed Pillow reads no {kind}", "update it, or save the picture as PNG")
    too_many = NoEmbeddingInPicture("the picture has too many pixels to search for an embedding", "")
    if kind == "WEBP" and _webp_pixels(data) > MAX_PICTURE_PIXELS:
        raise too_many  # its decoder takes memory for the whole picture before it tells the size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=[kind])
            if picture.width * picture.height > MAX_PICTURE_PIXELS:
                raise too_many
            return np.asarray(picture.convert("RGB"))
    except UnreadableEmbedding:
        raise
    except Image.DecompressionBombError:
        raise too_many from None
    except Exception as error:  # noqa: BLE001 (decoders raise whatever a broken file makes them raise)
        raise damaged(f"the picture does not decode ({safe(type(error).__name__)})") from None


def _webp_pixels(data: bytes) -> int:
    """Width times height as the first chunk of a WebP says; 0 when it says nothing."""
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return 0
    if kind == b"VP8X":
        return (int.from_bytes(body[4:7], "little") + 1) * (int.from_bytes(body[7:10], "little") + 1)
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    return (int.from_bytes(body[6:8], "little") & 0x3FFF) * (int.from_bytes(body[8:10], "little") & 0x3FFF)


def _from_pixels(pixels: Pixels) -> bytes:
    """The zlib-unpacked bytes hidden in the outer blocks of a picture."""
    lit: npt.NDArray[np.bool_] = np.asarray((pixels > 0).all(axis=2))
    columns, rows = np.asarray(lit.any(axis=0)), np.asarray(lit.any(axis=1))
    if not columns.any():
        raise NoEmbeddingInPicture("a black picture holds no embedding", "")
    left, right = int(columns.argmax()), len(columns) - int(columns[::-1].argmax())
    top, bottom = int(rows.argmax()), len(rows) - int(rows[::-1].argmax())
    nibbles = pixels[top:bottom, left:right] & 0x0F
    black = np.flatnonzero((nibbles == 0).all(axis=(0, 2)))
    if len(black) < 2:
        raise NoEmbeddingInPicture("the picture holds no embedding", "A1111 shares them as PNG or WebP")
    low, high = nibbles[:, : black[0]], nibbles[:, black[-1] + 1 :]
    if not 0 < low.size <= MAX_TEXT_CHUNK or low.size != high.size:
        raise NoEmbeddingInPicture("the picture holds no embedding", "A1111 shares them as PNG or WebP")
    key = xor_key(low.size)
    packed = (low.reshape(-1) ^ key) | ((high.reshape(-1) ^ key) << 4)
    # zlib begins with its method and a check of two bytes; anything else is a picture with dark columns.
    if packed[0] & 0x0F != 8 or int.from_bytes(packed[:2].tobytes(), "big") % 31:
        raise NoEmbeddingInPicture("the picture holds no embedding", "A1111 shares them as PNG or WebP")
    return _inflate(packed.tobytes())


def xor_key(count: int) -> Pixels:
    """The first `count` low nibbles of the sequence that hides a block.

    A linear congruential step composed with itself is again one, so the sequence is doubled instead of walked.
    """
    state = np.array([1013904223], dtype=np.uint64)  # the first value after the seed 0
    factor, shift, mask = 1664525, 1013904223, 0xFFFFFFFF
    while len(state) < count:
        state = np.concatenate([state, (state * np.uint64(factor) + np.uint64(shift)) & np.uint64(mask)])
        factor, shift = factor * factor & mask, (factor * shift + shift) & mask
    return ((state[:count] % np.uint64(255)).astype(np.uint8)) & np.uint8(0x0F)
