"""The octets of an input file: opened, unpacked, hashed, and refused when they cannot be text.

Everything that can be wrong with a file as a whole, before a single character of it is read, is found here, and ends in
an `InputError`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.core.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE = 64 * 1024 * 1024
"""Octets that one line may have: far above any row that can be sent, far below what a machine runs out of."""

HEAD_BYTES = 64 * 1024
"""How much of the beginning of a file is looked at to find out what it is."""

_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SIGNATURES = {
    b"PK\x03\x04": ("is an Excel workbook or another zip archive", "in Excel, save it as CSV UTF-8"),
    b"\xd0\xcf\x11\xe0": ("is an Excel workbook", "in Excel, save it as CSV UTF-8"),
    b"\x28\xb5\x2f\xfd": ("is packed with zstd", "unpack it, or pack it with gzip"),
    b"\xfd7zXZ": ("is packed with xz", "unpack it, or pack it with gzip"),
    b"BZh": ("is packed with bzip2", "unpack it, or pack it with gzip"),
}


class Octets(io.RawIOBase):
    """The octets of a file after unpacking, hashed as they pass.

    Args:
        file: what to read, already unpacking.
        name: the file's name, for messages.
    """

    def __init__(self, file: io.BufferedIOBase, name: str) -> None:
        super().__init__()
        self._file = file
        self._name = name
        self._hash = hashlib.sha256()
        self._since_line_end = 0

    def readable(self) -> bool:
        """Tell `io` that this can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read up to the size of `buffer`, which then holds that many octets.

        Raises:
            InputError: if the file cannot be read on, or a line is longer than `MAX_LINE`.
        """
        try:
            octets = self._file.read(memoryview(buffer).nbytes)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{self._name} cannot be read to its end: {error}", "make the file again") from error
        memoryview(buffer)[: len(octets)] = octets
        self._hash.update(octets)
        self._check_line_length(octets)
        return len(octets)

    def _check_line_length(self, octets: bytes) -> None:
        """Bound the memory that a file without line ends can take, at a price per chunk instead of one per line."""
        last = max(octets.rfind(b"\n"), octets.rfind(b"\r"))
        self._since_line_end = len(octets) - last - 1 + (self._since_line_end if last < 0 else 0)
        if self._since_line_end > MAX_LINE:
            raise InputError(f"{self._name} has a line of more than {MAX_LINE >> 20} MiB", "is it a text file?")

    def drain(self) -> None:
        """Read and hash what is left."""
        while self.read(HEAD_BYTES):
            pass

    @property
    def sha256(self) -> str:
        """The hash, in hex, of what has been read so far."""
        return self._hash.hexdigest()


def open_octets(path: str | PathLike[str], stack: ExitStack) -> Octets:
    """Open a file, unpacking it if its first octets say gzip, whatever its name.

    Args:
        path: the file.
        stack: closes what was opened.

    Raises:
        InputError: if there is no such file, or it cannot be opened or unpacked.
    """
    try:
        file = stack.enter_context(Path(path).open("rb"))  # noqa: SIM115 - the caller's stack closes it
        packed = file.peek(len(_GZIP)).startswith(_GZIP)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", "check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory", "name a file in it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}", "check its permissions") from error
    unpacked = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
    return Octets(unpacked, str(path))


def check_head(head: bytes, name: str, *, wide: bool) -> None:
    """Refuse a file that is not text.

    Args:
        head: its first octets.
        name: its name, for messages.
        wide: whether it is to be read in an encoding of characters wider than an octet, where NUL bytes are text.

    Raises:
        InputError: if it is empty or not text, or is UTF-16 and nobody said so.
    """
    if not head:
        raise InputError(f"{name} is empty", "write a header and a row, or one JSON object a line")
    for signature, (what, hint) in _SIGNATURES.items():
        if head.startswith(signature):
            raise InputError(f"{name} {what}, not a text file", hint)
    if not wide and head.startswith(_UTF16):
        raise InputError(f"{name} is UTF-16, not UTF-8", "pass --encoding utf-16, or save it as UTF-8")
    if not wide and b"\0" in head:
        raise InputError(f"{name} holds NUL bytes: it is not a text file", "if it is UTF-16, pass --encoding utf-16")
