"""JSON Patch (RFC 6902), carried out to the letter.

It is written here and not borrowed from the library that the client uses: the two should be able to disagree, and each
choice about patches (C-16 to C-18) is one line of it. `check` holds each operation to its form without a document,
`apply` carries the operations out on a document of the caller's own.

An operation looks before it writes: one that fails has changed nothing, so what a failed patch leaves behind are the
whole effects of the operations before it.
"""

from __future__ import annotations

import copy
import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from migrator.emulator.errors import ProblemError

_POINTERS = {
    "add": ("path",),
    "replace": ("path",),
    "test": ("path",),
    "remove": ("path",),
    "copy": ("path", "from"),
    "move": ("path", "from"),
}
"""Members of each operation that are pointers."""

_NEEDED = {
    name: frozenset({*members, "value"} if name in ("add", "replace", "test") else members)
    for name, members in _POINTERS.items()
}
"""Members that each operation needs beside ``op``. What else it has is ignored (RFC 6902, section 4)."""

OPERATIONS = frozenset(_POINTERS)
"""All operations of RFC 6902."""

Operation = dict[str, Any]
Tokens = tuple[str, ...]

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)


class _NowhereError(Exception):
    """A pointer leads to nothing."""


def check(patch: Any, allowed: frozenset[str]) -> list[Operation]:
    """Check the form of a patch, without a document.

    Args:
        patch: any JSON value.
        allowed: operations that may occur (C-07).

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


def pointers(operation: Operation) -> list[Any]:
    """The pointers of a checked operation: ``path``, and ``from`` where it counts."""
    return list(map(operation.__getitem__, _POINTERS[operation["op"]]))


@lru_cache(maxsize=1024)
def tokens(pointer: str) -> Tokens:
    """The reference tokens of a well-formed pointer, unescaped; none for the root. Most have been asked for before."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def apply(document: Any, patch: list[Operation], *, upsert: bool = False) -> tuple[Any, ProblemError | None]:
    """Apply the operations of a checked patch up to the first that fails (C-17).

    Returns:
        What came of those before it, and its failure: kind ``test-failed``, or 422 when a pointer leads nowhere. The
        failure is None when none fails.
    """
    for operation in patch:
        try:
            document = _carry_out(document, operation, upsert=upsert)
        except ProblemError as failure:
            return document, failure
        except _NowhereError as nowhere:
            return document, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "patch-unresolvable", str(nowhere))
        except RecursionError:
            detail = "a value is nested too deeply to be copied or compared"
            return document, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "too-deep", detail)
    return document, None


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal (RFC 6902, section 4.6): 1 equals 1.0, and true is no number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[member]) for member, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def _carry_out(document: Any, operation: Operation, *, upsert: bool) -> Any:
    name, path = operation["op"], operation["path"]
    if name == "replace":
        return _replace(document, path, operation["value"], upsert=upsert)
    if name == "add":
        return _add(document, path, operation["value"])
    if name == "remove":
        return _remove(document, path)
    if name == "test":
        return _test(document, path, operation["value"])
    source = operation["from"]
    if name == "copy":
        return _add(document, path, copy.deepcopy(_find(document, tokens(source))))
    return _move(document, source, path)


def _add(document: Any, pointer: str, value: Any) -> Any:
    if not pointer:
        return value
    parent, last = _above(document, pointer)
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(_place(parent, last), value)
    else:
        raise _NowhereError(f"can't add '{last}' to what has no members")
    return document


def _remove(document: Any, pointer: str) -> Any:
    if not pointer:
        raise _NowhereError("can't remove the whole document")
    parent, last = _above(document, pointer)
    del parent[_existing(parent, last, "remove")]
    return document


def _replace(document: Any, pointer: str, value: Any, *, upsert: bool) -> Any:
    if not pointer:
        return value
    parent, last = _above(document, pointer)
    if upsert and isinstance(parent, dict):
        parent[last] = value
    else:
        parent[_existing(parent, last, "replace")] = value
    return document


def _move(document: Any, source: str, pointer: str) -> Any:
    """Remove, then add. If the second fails, the first is undone."""
    if pointer.startswith(f"{source}/"):
        raise _NowhereError("can't move a value into itself")
    if source == pointer:
        _find(document, tokens(source))
        return document
    parent, last = _above(document, source)
    place = _existing(parent, last, "move")
    value = parent.pop(place)
    try:
        return _add(document, pointer, value)
    except _NowhereError:
        _add(document, source, value)
        raise


def _test(document: Any, pointer: str, wanted: Any) -> Any:
    try:
        found = _find(document, tokens(pointer))
    except _NowhereError as nowhere:
        raise _test_failed(f"there is no {pointer}: {nowhere}") from nowhere
    if not equal(found, wanted):
        raise _test_failed(f"{pointer} is not what it is tested for")
    return document


def _test_failed(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, "test-failed", detail)


def _above(document: Any, pointer: str) -> tuple[Any, str]:
    """What a pointer other than the root's leads to lies in this value, under this token."""
    path = tokens(pointer)
    return _find(document, path[:-1]), path[-1]


def _find(document: Any, path: Tokens) -> Any:
    for token in path:
        is_member = type(document) is dict and token in document  # as most are
        document = document[token if is_member else _existing(document, token, "find")]
    return document


def _existing(parent: Any, token: str, verb: str) -> Any:
    """The member or index that a token stands for, if there is one."""
    if isinstance(parent, dict) and token in parent:
        return token
    if isinstance(parent, list) and (index := _index(token)) is not None and index < len(parent):
        return index
    raise _NowhereError(f"can't {verb} a non-existent object '{token}'")


@lru_cache(maxsize=256)
def _index(token: str) -> int | None:
    """The index that a token stands for in an array; None when it is none."""
    return int(token) if _INDEX.fullmatch(token) else None


def _place(parent: list[Any], last: str) -> int:
    """Where in an array a value is to be inserted."""
    if last == "-":
        return len(parent)
    if (index := _index(last)) is not None and index <= len(parent):
        return index
    raise _NowhereError(f"can't insert at '{last}' in an array of {len(parent)}")


def _complaint(operation: Any, allowed: frozenset[str]) -> str | None:
    if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
        return "an operation is an object with an op"
    name = operation["op"]
    if name not in _NEEDED or name not in allowed:
        return f"operation {name} is not one of {', '.join(sorted(allowed))}"
    if not operation.keys() >= _NEEDED[name]:
        return f"operation {name} needs {' and '.join(sorted(_NEEDED[name]))}"
    for text in pointers(operation):
        if not (isinstance(text, str) and _is_pointer(text)):
            return f"{text!r} is not a JSON Pointer"
    return None


def _is_pointer(text: str) -> bool:
    """Whether a text is a JSON Pointer (RFC 6901, section 3)."""
    return not text or (text[0] == "/" and ("~" not in text or not _BAD_ESCAPE.search(text)))


def _malformed(detail: str, pointer: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, "malformed-patch", detail, pointer)
