"""Takes out of a picture file everything but the picture: camera, place, time, names, comments, hidden attachments.

JPEG, PNG and WebP are rewritten piece by piece and keep their pixels bit for bit; other formats become PNG. How the
picture is to be turned (EXIF orientation) is kept, because without it the picture would lie on its side.
"""

from __future__ import annotations

import io
import struct
import zlib

from tiregistry.errors import InvalidImage
from tiregistry.images import decode_picture

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP bKGD sBIT pHYs cICP mDCV cLLI".split())
_WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"))


def strip_picture(data: bytes, filename: str) -> tuple[bytes, str]:
    """The picture without anything else, and its file suffix.

    Bytes that hold nothing else come back unchanged.

    Raises:
        InvalidImage: it is no picture that can be read.
    """
    orientation = _orientation(data, filename)
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data, orientation), ".jpeg"
        if data.startswith(_PNG) and b"acTL" not in data[:4096]:
            return _png(data, orientation), ".png"
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and b"ANIM" not in data[:64]:
            return _webp(data, orientation), ".webp"
    except (struct.error, IndexError, ValueError):
        pass  # Pillow reads it, so its pixels can be written anew
    return _written_anew(data, filename), ".png"


def _orientation(data: bytes, filename: str) -> int:
    """EXIF orientation, 1 to 8; also proves that the picture can be read."""
    from PIL import Image

    decode_picture(data, filename)
    try:
        value = Image.open(io.BytesIO(data)).getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 (whatever is wrong with the EXIF block, it is about to go)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _exif(orientation: int) -> bytes:
    """A TIFF block that says nothing but the orientation."""
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", orientation, 0) + b"\0\0\0\0"


def _written_anew(data: bytes, filename: str) -> bytes:
    picture = decode_picture(data, filename).image
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg(data: bytes, orientation: int) -> bytes:
    """Keep the segments that decoding needs, up to the end of the first picture.

    What follows it is where phones put depth maps, second pictures and films.
    """
    out = bytearray(b"\xff\xd8")
    if orientation != 1:
        block = b"Exif\0\0" + _exif(orientation)
        out += b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if marker == 0xD9:
            return bytes(out + b"\xff\xd9")
        if marker in (0x01, *range(0xD0, 0xD8)):
            at += 2
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        segment = data[at : at + 2 + length]
        if length < 2 or len(segment) != length + 2:
            raise ValueError("cut off")
        at += 2 + length
        body = segment[4:]
        is_profile = marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")
        is_adobe = marker == 0xEE and body.startswith(b"Adobe")
        is_jfif = marker == 0xE0 and body.startswith(b"JFIF\0")
        if is_jfif:
            segment = _plain_jfif(body)
        if is_jfif or is_profile or is_adobe or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            out += segment
        if marker == 0xDA:
            end = _end_of_scan(data, at)
            out += data[at:end]
            at = end


def _plain_jfif(body: bytes) -> bytes:
    """A JFIF segment without the thumbnail it may carry."""
    if len(body) < 14:
        raise ValueError("cut off")
    return b"\xff\xe0\0\x10" + body[:12] + b"\0\0"


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the compressed values that begin at `at` end: at the next real marker."""
    while True:
        at = data.index(b"\xff", at)
        following = data[at + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at


def _png(data: bytes, orientation: int) -> bytes:
    """Keep the chunks that hold the picture."""
    out = bytearray(_PNG)
    at = len(_PNG)
    while True:
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise ValueError("cut off")
        if kind in _PNG_KEPT:
            out += data[at:end]
        if kind == b"IHDR" and orientation != 1:
            block = b"eXIf" + _exif(orientation)
            out += struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
        if kind == b"IEND":
            return bytes(out)
        at = end


def _webp(data: bytes, orientation: int) -> bytes:
    """Keep the chunks that hold the picture, and say in the header what is there."""
    chunks: list[tuple[bytes, bytes]] = []
    at, end = 12, min(len(data), 8 + struct.unpack("<I", data[4:8])[0])
    while at + 8 <= end:
        kind = data[at : at + 4]
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        body = data[at + 8 : at + 8 + length]
        if len(body) != length:
            raise ValueError("cut off")
        if kind in _WEBP_KEPT:
            chunks.append((kind, body))
        at += 8 + length + (length & 1)
    if orientation != 1:
        if chunks[0][0] != b"VP8X":
            raise ValueError("an orientation without an extended header")
        chunks.append((b"EXIF", _exif(orientation)))
    if chunks[0][0] == b"VP8X":
        header = bytearray(chunks[0][1])
        header[0] = header[0] & ~0x0C | (0x08 if orientation != 1 else 0)
        chunks[0] = (b"VP8X", bytes(header))
    body = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) & 1) for kind, part in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def check_stripped(data: bytes) -> None:
    """Make sure that nothing about the photographer is left: the last look before anything is sent.

    Raises:
        InvalidImage: something is.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        left = {*picture.getexif()} - {0x0112}
        left_names = {"exif", "xmp", "XML:com.adobe.xmp", "comment", "photoshop", "Raw profile type exif"}
        found = left_names & set(picture.info)
        if left or found - {"exif"} or getattr(picture, "text", None):
            raise InvalidImage("a picture still holds metadata after they were taken out", "push without --with-images")
