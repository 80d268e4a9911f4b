"""What the registry must know about the disk it lives on: durable writes, refusals, whether it is a network mount."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiregistry.errors import FULL_DISK, Busy, DiskFull, RegistryReadOnly

NOT_WRITABLE = frozenset({errno.EPERM, errno.EACCES, errno.EROFS})
"""What systems say of a folder that cannot be written."""

# Write-ahead logging needs memory shared by all processes, which these cannot give across machines.
# fmt: off
_NETWORK = frozenset([
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "lustre", "gpfs", "beegfs",
    "glusterfs", "fuse.glusterfs", "fuse.sshfs", "sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "davfs",
    "fuse.davfs2", "webdav", "afpfs", "panfs", "orangefs", "pvfs2", "ocfs2", "gfs2", "fuse.ceph", "fuse.juicefs",
    "fuse.goofys", "fuse.smbnetfs", "fuse.mfs", "vboxsf", "fuse.vmhgfs-fuse", "prl_fs",
])
# fmt: on


def on_network(folder: Path, mountinfo: str | None = None) -> bool:
    """Whether `folder` lies on a network file system.

    Args:
        folder: an existing folder.
        mountinfo: the text of `/proc/self/mountinfo`; read from the system when None. Where there is no such file
            (macOS, Windows) the answer is False, except for a Windows network path (`\\\\server\\share`).
    """
    resolved = str(folder.resolve())
    if resolved.startswith("\\\\"):
        return True
    if mountinfo is None:
        if not sys.platform.startswith("linux"):
            return False
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount on the same point hides the earlier one
            best, kind = point, right.split(" ")[0]
    return kind in _NETWORK


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; does nothing where folders cannot be opened (Windows)."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents, each name made durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync_folder(folder.parent)


@contextmanager
def folder_lock(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the folder's advisory lock: any number of sharers, or one who excludes them.

    gc excludes backups with it, which SQLite's locks cannot do for files. Where the system has no such locks
    (Windows), or the folder cannot be written, nothing is held.

    Raises:
        Busy: others have held it for a minute.
    """
    try:
        import fcntl

        handle = os.open(folder / "files.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except (ImportError, OSError):
        yield
        return
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Busy(f"another process is cleaning up or backing up {folder}", "try again later") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)  # gives the lock back, as does the end of the process however it comes


def process_exists(pid: int | str) -> bool:
    """Whether a process of this machine may have this id, e.g. the one that named a file it is writing by it.

    Where asking for a process may end it (Windows), every number may; age or heartbeat decide there.
    """
    if isinstance(pid, str) and not pid.isdecimal():
        return False
    if os.name != "posix":
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the disk's refusals into ours, which name the folder.

    Raises:
        DiskFull, RegistryReadOnly: instead of what the system raised within the block.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise DiskFull(f"no space left in {folder}", kept="nothing was lost") from error
        if error.errno in NOT_WRITABLE:
            raise RegistryReadOnly(f"{folder} cannot be written: {error.strerror}", "check its rights") from error
        raise
