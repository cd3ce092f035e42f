"""JSON Patch (RFC 6902): the one border to the ``jsonpatch`` library.

A patch is checked for its form first, because the library notices a missing ``value`` only on the way, after earlier
operations, and lets a pointer that is not text surface as whatever it trips over. It is applied to a document of the
caller's own, fresh from its encoded form, so nothing that is kept can be changed by a patch that fails half-way.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jsonpatch
from jsonpointer import JsonPointer, JsonPointerException

from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMBERS = {
    "add": ("path", "value"),
    "replace": ("path", "value"),
    "test": ("path", "value"),
    "remove": ("path",),
    "copy": ("path", "from"),
    "move": ("path", "from"),
}
"""Members that each operation needs beside ``op``."""

_POINTERS = ("path", "from")


def check(patch: Any, allowed: frozenset[str]) -> list[dict[str, Any]]:
    """Check the form of a patch, without a document.

    Args:
        patch: any JSON value.
        allowed: operations that the style documents (C-07).

    Returns:
        The same patch, known to be a list of well-formed operations.

    Raises:
        ProblemError: 400; the pointer leads to the operation in the patch.
    """
    if not isinstance(patch, list):
        raise _malformed("a patch is a JSON array of operations", "")
    for number, operation in enumerate(patch):
        complaint = _complaint(operation, allowed)
        if complaint is not None:
            raise _malformed(complaint, f"/{number}")
    return patch


def pointers(patch: list[dict[str, Any]]) -> Iterator[str]:
    """All pointers of a checked patch, ``from`` included."""
    for operation in patch:
        for member in _MEMBERS[operation["op"]]:
            if member in _POINTERS:
                yield operation[member]


def apply(document: Any, patch: list[dict[str, Any]]) -> Any:
    """Apply a checked patch to a document, which is used up.

    Returns:
        The result. The document given must not be used any more, whether this succeeds or not.

    Raises:
        ProblemError: 409 for a failed ``test`` (C-16), 422 when a pointer leads nowhere (C-18).
    """
    try:
        return jsonpatch.apply_patch(document, patch, in_place=True)
    except jsonpatch.JsonPatchTestFailed as failure:
        raise ProblemError(HTTPStatus.CONFLICT, "test-failed", str(failure)) from failure
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError) as failure:
        # TypeError: some releases index a list with the "-" of a pointer that cannot stand for an element.
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "patch-unresolvable", _without_document(failure)
        ) from failure


def _without_document(failure: Exception) -> str:
    """Say what was not found, without the whole document in which it was not found."""
    return str(failure).partition(" in {")[0]


def _complaint(operation: Any, allowed: frozenset[str]) -> str | None:
    if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
        return "an operation is an object with an op"
    name = operation["op"]
    if name not in _MEMBERS or name not in allowed:
        return f"operation {name} is not one of {', '.join(sorted(allowed))}"
    missing = [member for member in _MEMBERS[name] if member not in operation]
    if missing:
        return f"operation {name} needs {' and '.join(missing)}"
    return _pointer_complaint([operation[member] for member in _MEMBERS[name] if member in _POINTERS])


def _pointer_complaint(texts: list[Any]) -> str | None:
    for text in texts:
        if not isinstance(text, str):
            return "a pointer is text"
        try:
            JsonPointer(text)
        except JsonPointerException as failure:
            return f"{text} is not a JSON Pointer: {failure}"
    return None


def _malformed(detail: str, pointer: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, "malformed-patch", detail, pointer)
