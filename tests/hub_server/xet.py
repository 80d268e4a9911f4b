"""The file-system CAS inside hf_xet (`local://`), read from the server's side: which file is in which shard.

`local://` is test plumbing of hf_xet and undocumented: tests that use it are skipped where it does not work.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stored:
    hash: str
    data: bytes


class XetStore:
    """A folder that hf_xet writes to and reads from.

    hf_xet does not tell the server which xet hash belongs to which sha256; a real CAS learns it from the shards that
    are uploaded to it, and so do we. The bytes themselves are only in the store's own format, so they are fetched
    with hf_xet once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def url(self) -> str:
        return f"local://{self.folder}"

    def hashes(self) -> dict[str, tuple[str, int]]:
        """sha256 to xet hash and size of every file in the shards."""
        found: dict[str, tuple[str, int]] = {}
        for shard in self.folder.rglob("*.mdb"):
            found |= _files(shard.read_bytes())
        return found

    def find(self, sha256: str) -> Stored | None:
        """The file with this sha256, if it was uploaded."""
        known = self.hashes().get(sha256)
        if known is None:
            return None
        data = self._read(*known)
        if hashlib.sha256(data).hexdigest() != sha256:
            return None
        return Stored(known[0], data)

    def _read(self, xet_hash: str, size: int) -> bytes:
        import subprocess
        import sys
        import tempfile

        # hf_xet's runtime is the client's: in a process of its own it cannot get into the client's way.
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "file"
            subprocess.run(
                [sys.executable, "-c", _FETCH, xet_hash, str(size), str(target), self.url], check=True, timeout=60
            )
            return target.read_bytes()


_FETCH = """
import sys, hf_xet
hash, size, target, url = sys.argv[1:]
info = hf_xet.PyXetDownloadInfo(target, hash, int(size)) if hasattr(hf_xet, "PyXetDownloadInfo") else None
hf_xet.download_files([info], url, ("xet", 4000000000), None, None)
"""


def _files(shard: bytes) -> dict[str, tuple[str, int]]:
    """The files that a shard describes: 48-byte records after a 48-byte header, up to 32 bytes of 0xff."""
    found: dict[str, tuple[str, int]] = {}
    at = 48
    while at + 48 <= len(shard) and shard[at : at + 32] != b"\xff" * 32:
        name = _text(shard[at : at + 32])
        flags, count = struct.unpack("<II", shard[at + 32 : at + 40])
        at += 48
        size = sum(struct.unpack("<I", shard[at + 48 * n + 36 : at + 48 * n + 40])[0] for n in range(count))
        at += 48 * count
        if flags & 1 << 31:
            at += 48 * count
        if flags & 1 << 30:
            found[_text(shard[at : at + 32])] = (name, size)
            at += 48
    return found


def _text(digest: bytes) -> str:
    """Hash text as xet writes it: four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))
