"""Conditional requests: ``If-Match`` and ``If-None-Match`` (contract 3.6, C-08)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from migrator.emulator.http import Request
    from migrator.emulator.store import Record


def check_match(request: Request, record: Record, mismatch: int = HTTPStatus.CONFLICT) -> None:
    """Hold ``If-Match`` against the stored etag.

    Args:
        request: may carry ``"2"``, ``W/"2"``, a bare ``2``, a list of these, or ``*``.
        record: the object as it is.
        mismatch: status of the refusal: 409 and not 412 in the documents.

    Raises:
        ProblemError: none of the tags is the stored one.
    """
    header = request.headers.get("if-match")
    if header is not None and not _names(header, record.etag):
        raise ProblemError(mismatch, "etag-mismatch", f"the stored etag is {record.etag}")


def is_known(request: Request, record: Record) -> bool:
    """Whether ``If-None-Match`` says that the client has this version already."""
    header = request.headers.get("if-none-match")
    return header is not None and _names(header, record.etag)


def _names(header: str, etag: int) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return not tags.isdisjoint({"*", str(etag)})
