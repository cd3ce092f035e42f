"""What an object must look like before it is kept.

A document is the business part of an object: what the client wrote, without the members that the service adds on
reading. It is checked in the same way whether it comes from a create or out of a patch, and kept as encoded JSON: bytes
cannot be changed behind the store's back, need no copying, and go into an answer as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_LIMIT = 300 * 1024
"""Bytes that an object with its representations may take (errors-and-limits 4)."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one style writes the members that the rules speak of.

    Attributes:
        root: JSON Pointer from where patches start to the document: "" in dps, ``/_instance`` in xcore.
        name: member that holds the name.
        status: member that holds the status.
        service_owned: members of the document's top level that only the service writes (C-19).
    """

    root: str
    name: str
    status: str
    service_owned: frozenset[str]


XCORE = Spelling(root="/_instance", name="xdm:name", status="xdm:status", service_owned=frozenset({"@id"}))
DPS = Spelling(
    root="",
    name="name",
    status="status",
    service_owned=frozenset({"id", "etag", "created", "modified", "createdBy", "lastModifiedBy", "schemas"}),
)


def accept(document: Any, spelling: Spelling) -> tuple[str, bytes]:
    """Check a document and encode it.

    Returns:
        Its name and its JSON.

    Raises:
        ProblemError: 422; the pointer names the member, seen from where a patch of this style starts.
    """
    if not isinstance(document, dict):
        raise _invalid("not-an-object", "an offer is a JSON object", spelling.root)
    for member in spelling.service_owned & document.keys():
        raise service_owned(f"{spelling.root}/{member}")
    for member in (spelling.name, spelling.status):
        _require_text(document, member, spelling.root)
    return document[spelling.name], _encode(document, spelling)


def check_pointers(pointers: Iterator[str], spelling: Spelling) -> None:
    """Refuse a patch that reaches outside the document or at a member of the service (C-19).

    Reading such a member (``test``, ``copy``) is refused too: whether a patch can see it is not documented.

    Raises:
        ProblemError: 422 with the pointer.
    """
    inside = f"{spelling.root}/"
    for pointer in pointers:
        if pointer != spelling.root and not pointer.startswith(inside):
            raise _invalid("pointer-outside", f"pointers start with {spelling.root}", pointer)
        if pointer.removeprefix(inside).partition("/")[0] in spelling.service_owned:
            raise service_owned(pointer)


def service_owned(pointer: str) -> ProblemError:
    """The refusal of a write to a member that belongs to the service."""
    return _invalid("service-owned", "this member is written by the service only", pointer)


def _require_text(document: dict[str, Any], member: str, root: str) -> None:
    value = document.get(member)
    if not isinstance(value, str) or not value:
        raise _invalid("required-member", f"{member} is required and is text", f"{root}/{member}")


def _encode(document: dict[str, Any], spelling: Spelling) -> bytes:
    encoded = msgspec.json.encode(document)
    if len(encoded) > SIZE_LIMIT:
        detail = f"the object takes {len(encoded)} bytes, more than {SIZE_LIMIT}"
        raise _invalid("too-large", detail, spelling.root)
    return encoded


def _invalid(kind: str, detail: str, pointer: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, kind, detail, pointer)
