"""A zip archive's directory and members, read by hand: bounded before anything is allocated, tricks refused by name.

`zipfile` builds an object per directory entry and trusts sizes until it has unpacked; a hostile 60 MB archive costs it
gigabytes. Here the directory is bounded first, and a member is unpacked to its stated size and not a byte further.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

from tiregistry.embeddings.limits import MAX_MEMBERS, MAX_UNPACKED
from tiregistry.embeddings.tensors import damaged
from tiregistry.errors import UnreadableEmbedding
from tiregistry.quantities import size
from tiregistry.text import safe

_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_END64_LOCATOR = b"PK\x06\x07"
_ENTRY = b"PK\x01\x02"
_LOCAL = b"PK\x03\x04"
_ENCRYPTED = 0x1 | 0x40 | 0x2000


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the directory."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    local: int


class ZipArchive:
    """The members of a zip archive held in memory.

    Raises:
        UnreadableEmbedding: on construction, when the directory is damaged, too large, or uses a trick (encryption,
            several disks, two members of one name, names that leave the folder, members that unpack to too much).
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.members: dict[str, Member] = {}
        self.comment = b""
        """What stands behind the archive's end record, at most 64 KiB."""
        entries, start, length = self._find_directory()
        if entries > MAX_MEMBERS:
            raise UnreadableEmbedding(f"the archive has {entries} members; at most {MAX_MEMBERS} are read", "")
        position, unpacked = start, 0
        for _ in range(entries):
            member, position = self._entry(position, start + length)
            if member.name in self.members:
                raise damaged(f"two members of the archive are called {safe(member.name, limit=60)!r}")
            unpacked += member.size
            if unpacked > MAX_UNPACKED:
                raise UnreadableEmbedding(
                    f"the archive unpacks to more than {size(MAX_UNPACKED)}", "a learned word has kilobytes"
                )
            self.members[member.name] = member

    def _unpack(self, layout: str, position: int) -> tuple[Any, ...]:
        if position < 0 or position + struct.calcsize(layout) > len(self._data):
            raise damaged("the archive is cut off")
        return struct.unpack_from(layout, self._data, position)

    def _find_directory(self) -> tuple[int, int, int]:
        """Number of entries, start and size of the directory, from the end record (zip64 included)."""
        end = self._data.rfind(_END, max(0, len(self._data) - 22 - 65535))
        if end < 0:
            raise damaged("the archive has no directory; it is cut off")
        disk, first_disk, here, count, size, start, comment = self._unpack("<4xHHHHIIH", end)
        if end + 22 + comment != len(self._data):
            raise damaged("bytes follow the archive's end")
        self.comment = self._data[end + 22 :]
        if 0xFFFF in (here, count) or 0xFFFFFFFF in (size, start):
            if self._data[max(0, end - 20) : end][:4] != _END64_LOCATOR:
                raise damaged("the archive's zip64 directory is missing")
            _, where, _ = self._unpack("<4xIQI", end - 20)
            if self._data[where : where + 4] != _END64:
                raise damaged("the archive's zip64 directory is missing")
            _, _, _, disk, first_disk, here, count, size, start = self._unpack("<4xQHHIIQQQQ", where)
        if disk or first_disk or here != count:
            raise UnreadableEmbedding("the archive is split over several files", "join them first")
        if start + size > len(self._data) or count * 46 > size:
            raise damaged("the archive's directory lies outside the file")
        return count, start, size

    def _entry(self, position: int, limit: int) -> tuple[Member, int]:
        """The directory entry at `position`, and where the next one starts."""
        magic, _, _, flags, method, _, _, crc, packed, size, name_len, extra_len, comment_len, _, _, mode, local = (
            self._unpack("<4sHHHHHHIIIHHHHHII", position)
        )
        after = position + 46 + name_len + extra_len + comment_len
        if magic != _ENTRY or after > limit:
            raise damaged("the archive's directory is broken")
        raw = self._data[position + 46 : position + 46 + name_len]
        try:
            name = raw.decode("utf-8" if flags & 0x800 else "cp437")
        except UnicodeDecodeError:
            raise damaged("a member's name is not text") from None
        extra = self._data[position + 46 + name_len : position + 46 + name_len + extra_len]
        if 0xFFFFFFFF in (packed, size, local):
            packed, size, local = _wide(extra, packed, size, local)
        shown = safe(name, limit=60)
        if flags & _ENCRYPTED:
            raise UnreadableEmbedding(f"the archive's member {shown!r} is encrypted", "unpack it first")
        if method not in (0, 8):
            raise UnreadableEmbedding(f"the archive's member {shown!r} is packed with method {method}", "")
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or "\0" in name or ":" in name:
            raise UnreadableEmbedding(f"the archive's member {shown!r} points outside the archive", "do not trust it")
        if (mode >> 16) & 0o170000 == 0o120000:
            raise UnreadableEmbedding(f"the archive's member {shown!r} is a link", "do not trust it")
        return Member(name, method, crc, packed, size, local), after

    def read(self, name: str) -> bytes:
        """The unpacked bytes of one member, checked against its size and checksum.

        Raises:
            UnreadableEmbedding: there is no such member, or it is damaged.
        """
        member = self.members.get(name)
        if member is None:
            raise damaged(f"the archive has no member {safe(name, limit=60)!r}")
        magic, name_len, extra_len = self._unpack("<4s22xHH", member.local)
        begin = member.local + 30 + name_len + extra_len
        if magic != _LOCAL or begin + member.packed > len(self._data):
            raise damaged(f"the archive's member {safe(name, limit=60)!r} is cut off")
        raw = self._data[begin : begin + member.packed]
        if member.method == 8:
            unpacker = zlib.decompressobj(-15)
            try:
                raw = unpacker.decompress(raw, member.size + 1)
            except zlib.error as error:
                raise damaged(f"the archive's member {safe(name, limit=60)!r}: {error}") from None
        if len(raw) != member.size or zlib.crc32(raw) != member.crc:
            raise damaged(f"the archive's member {safe(name, limit=60)!r} does not match its checksum")
        return raw


def _wide(extra: bytes, packed: int, size: int, local: int) -> tuple[int, int, int]:
    """Sizes and offset with those that overflowed 32 bits taken from the zip64 extra field."""
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, position)
        body = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if tag != 1:
            continue
        values = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body) - 7, 8)]
        wide: list[int] = []
        for value in (size, packed, local):  # the order in which the field lists them
            if value != 0xFFFFFFFF:
                wide.append(value)
            elif values:
                wide.append(values.pop(0))
            else:
                break
        if len(wide) == 3:
            return wide[1], wide[0], wide[2]
    raise damaged("the archive's zip64 sizes are missing")
