"""Whether a folder is a place for ledgers: it can be written, and it is on a disk of this machine.

SQLite's write-ahead log needs memory that all processes share, and locks that hold; on a file system over a network
neither is to be relied on (https://www.sqlite.org/wal.html, https://www.sqlite.org/faq.html#q5).
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from filelock import FileLock
from msgspec import Struct

from migrator.core.errors import LedgerFailed
from migrator.ledger.database import ledger_errors, sync

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux says what is mounted (proc(5))."""

REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "9p", "davfs"}
    | {"ncpfs", "ocfs2", "gfs2", "orangefs"}
)
"""File systems that other machines have a part in."""

LOCAL_FUSE = frozenset({"fuseblk", "fuse.ntfs-3g", "fuse.fuse-overlayfs"})
"""Of those that a process serves, the ones that are known to lie on a disk here."""

FLEETING = frozenset({"tmpfs", "ramfs", "overlay", "fuse.fuse-overlayfs"})
"""File systems that go with the machine or the container."""


class FileSystem(Struct, frozen=True):
    """What a folder lies on.

    Attributes:
        kind: as the system calls it, such as `ext4`.
        mount: where it is mounted.
    """

    kind: str
    mount: Path

    @property
    def remote(self) -> bool:
        """Whether it may be reached over a network."""
        return self.kind in REMOTE or (self.kind.startswith("fuse") and self.kind not in LOCAL_FUSE)

    @property
    def fleeting(self) -> bool:
        """Whether it is gone after a restart."""
        return self.kind in FLEETING


def nearest(folder: Path) -> Path:
    """Return `folder`, or the nearest folder above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def file_system(folder: Path, mounts: Path = MOUNTS) -> FileSystem | None:
    """Return what an existing folder lies on, or `None` if this system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    there = folder.resolve()
    found = [mounted for mounted in map(_mounted, lines) if there.is_relative_to(mounted.mount)]
    # What was mounted last lies on top of what was mounted at the same place before.
    return max(reversed(found), key=lambda mounted: len(mounted.mount.parts), default=None)


def _mounted(line: str) -> FileSystem:
    r"""Read a line: `36 35 98:0 /root /mount options … - kind source options`; a blank in it is `\040`."""
    left, _, right = line.partition(" - ")
    mount = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), left.split(" ")[4])
    return FileSystem(right.split(" ")[0], Path(mount))


def try_out(folder: Path) -> None:
    """Do in a folder below an existing one what a run would do: lock, write a ledger, sync. Nothing stays.

    Raises:
        LedgerFailed: one of it does not work.
    """
    with ledger_errors(folder), tempfile.TemporaryDirectory(prefix=".migrator-", dir=folder) as name:
        place = Path(name)
        with FileLock(place / "lock", timeout=0), closing(sqlite3.connect(place / "ledger.sqlite")) as db:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("CREATE TABLE tried (x)")
            sync(place)
        if mode != "wal":
            raise LedgerFailed(f"{folder} cannot hold ledgers: SQLite keeps no write-ahead log there")


def free_octets(folder: Path) -> int:
    """Return how much room there is."""
    return shutil.disk_usage(folder).free
