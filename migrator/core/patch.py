"""JSON Patch as this program accepts it: which operations (RFC 6902), on which pointers (RFC 6901), to which effect.

What belongs here: whether one operation may be sent in one endpoint style, how it becomes an `Operation`, and what a
document is once it is applied (the one border to the library `jsonpatch`). What must
never: a column, a line or a file. An operation does not know whether it was written in a cell or in a JSONL line; what
is wrong with it is a `Fault`, which names a member of the operation, and whoever knows the row makes a `Problem` of it.

Every check is made before the first request, so all of them err on the side of refusing: a pointer that is legal but
points nowhere in an offer (an empty part, a `-` in the middle) is a slip of the keyboard, and the service could only
answer it with an error or, worse, with success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import jsonpatch
from jsonpointer import JsonPointerException
from msgspec import UNSET

from migrator.core.model import Json, Operation
from migrator.core.pointers import APPEND, parts_of, value_at
from migrator.core.styles import PatchRules
from migrator.core.values import Fault, did_you_mean, json_kind, shown

RFC_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})
"""All operations of RFC 6902, section 4. Each style documents a part of them."""

TAKES_VALUE = frozenset({"add", "replace", "test"})
"""The operations that have a `value`; the others must not (RFC 6902, section 4)."""

XCORE_ROOT = "/_instance"
"""Where xcore keeps the fields of an object (contract 3.4); here only to recognise a pointer of the other style."""

_BAD_TILDE = re.compile(r"~(?![01])")


def operation_faults(raw: Mapping[str, Json], rules: PatchRules) -> list[Fault]:
    """List everything that is wrong with one operation.

    Args:
        raw: the operation as written: `op`, `path` and, where given, `value` and `from`. Other members are allowed and
            mean nothing (RFC 6902, section 4).
        rules: what the style accepts.

    Returns:
        One fault per member at most; empty when the operation may be sent.
    """
    op = raw.get("op", "")
    refused = _op_fault(op, rules)
    path = pointer_fault("path", raw.get("path", ""), rules, may_append=op in ("add", "copy"))
    if refused:
        return [refused, path] if path else [refused]
    found = (path, _value_fault(op, raw), _from_fault(op, raw, rules))
    return [fault for fault in found if fault]


def operation(raw: Mapping[str, Json]) -> Operation:
    """Build the operation of a `raw` in which `operation_faults` found nothing."""
    return Operation(raw["op"], raw["path"], raw.get("value"), raw.get("from", ""))


def _op_fault(op: Json, rules: PatchRules) -> Fault | None:
    if not isinstance(op, str):
        return Fault("op", f"must be text, not {json_kind(op)}")
    if op in rules.operations:
        return None
    known = ", ".join(sorted(rules.operations))
    if not op:
        return Fault("op", "the operation is missing", f"write one of {known}")
    if op in RFC_OPERATIONS:
        way_out = "; write a move as an add and a remove" if op == "move" else ""
        return Fault("op", f"{rules.style} has no operation '{op}'", f"it has {known}{way_out}")
    hint = did_you_mean(op, sorted(rules.operations)) or f"write one of {known}"
    return Fault("op", f"'{op}' is not an operation", hint)


def _value_fault(op: str, raw: Mapping[str, Json]) -> Fault | None:
    if (op in TAKES_VALUE) == ("value" in raw):
        return None
    if op in TAKES_VALUE:
        return Fault("value", f"{op} needs a value", 'write "" for an empty string, null for null')
    return Fault("value", f"{op} takes no value", "leave the value empty")


def _from_fault(op: str, raw: Mapping[str, Json], rules: PatchRules) -> Fault | None:
    if op != "copy":
        return Fault("from", f"{op} takes no 'from'", "only copy has one") if "from" in raw else None
    if "from" not in raw:
        return Fault("from", "copy needs a 'from'", "write the pointer of the member to copy")
    return pointer_fault("from", raw["from"], rules, may_append=False)


def pointer_fault(member: str, pointer: Json, rules: PatchRules, *, may_append: bool) -> Fault | None:
    """Say what is wrong with a pointer as the target of an operation.

    Args:
        member: the member the pointer stands in, for the fault.
        pointer: the pointer as written.
        rules: what the style accepts.
        may_append: whether its last part may be `-`.
    """
    if not isinstance(pointer, str):
        return Fault(member, f"must be text, not {json_kind(pointer)}")
    return _target_fault(member, pointer, rules.style, rules.root, may_append)


@lru_cache(maxsize=4096)  # a file of a million rows has a handful of pointers
def _target_fault(member: str, pointer: str, style: str, root: str, may_append: bool) -> Fault | None:
    if not pointer:
        return Fault(member, "the pointer is missing", f"name the member to change, e.g. {root}/…")
    return (
        pointer_syntax_fault(member, pointer)
        or _place_fault(member, pointer, style, root)
        or _append_fault(member, pointer, may_append)
    )


def pointer_syntax_fault(member: str, pointer: str) -> Fault | None:
    """Say why `pointer` is not a JSON Pointer (RFC 6901) to a member. The empty pointer is nobody's member."""
    if not pointer.startswith("/"):
        return Fault(member, f"'{pointer}' is not a JSON Pointer", f"begin it with a slash: /{pointer}")
    if slip := _BAD_TILDE.search(pointer):
        message = f"'{pointer}' has a ~ at character {slip.start() + 1} that stands for nothing"
        return Fault(member, message, "write ~0 for ~ and ~1 for / inside a name")
    if _has_slip(pointer.split("/")):
        return Fault(member, f"'{pointer}' has an empty part", "take out the surplus slash")
    return None


def _has_slip(parts: Sequence[str]) -> bool:
    """Whether a name is empty where no name is: only what a rule is defined on really has one (contract 5.4)."""
    return any(not part and above.removeprefix("xdm:") != "definedOn" for above, part in pairwise(parts))


def _place_fault(member: str, pointer: str, style: str, root: str) -> Fault | None:
    if pointer == root:
        return Fault(member, f"'{pointer}' is the whole object", f"name the member to change, e.g. {root}/…")
    if not pointer.startswith(root + "/"):
        return Fault(
            member,
            f"'{pointer}' is not under {root}, where {style} keeps the fields of an object",
            f"begin it with {root}/, or translate a file that was written for another style",
        )
    if not root and f"{pointer}/".startswith(XCORE_ROOT + "/"):
        return Fault(
            member,
            f"'{pointer}' is an xcore pointer; the style is {style}",
            f"write it without {XCORE_ROOT} and with {style}'s field names, or use the style xcore",
        )
    return None


def _append_fault(member: str, pointer: str, may_append: bool) -> Fault | None:
    *parts, last = pointer.split("/")
    if APPEND in parts:
        return Fault(member, f"'{pointer}' has a - before its end", "write the index of the element")
    if last == APPEND and not may_append:
        hint = "write the index of the element; only add can append"
        return Fault(member, f"'{pointer}' points behind the last element, where nothing is yet", hint)
    return None


class CannotApply(Exception):
    """A patch does not fit a document: a `test` fails, or a place is not there."""


def members_of(operation: Operation) -> dict[str, Json]:
    """Spell an operation as JSON, its members in the order in which RFC 6902 shows them."""
    if operation.op == "remove":
        return {"op": operation.op, "path": operation.path}
    if operation.op in ("copy", "move"):
        return {"op": operation.op, "from": operation.source, "path": operation.path}
    return {"op": operation.op, "path": operation.path, "value": operation.value}


_DOES_NOT_FIT = (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError, IndexError)
"""Not everything that does not fit has an exception of its own: adding to a text is a TypeError."""


def apply(operations: Sequence[Operation], document: Json) -> Json:
    """Return what `document`, which stays as it is, becomes by a patch.

    Raises:
        CannotApply: the patch does not fit.
    """
    try:
        patch = jsonpatch.JsonPatch([members_of(operation) for operation in operations])
        # Left to itself the library makes a `deepcopy`, which takes longer than all the rest.
        return patch.apply(_copied(document), in_place=True)
    except _DOES_NOT_FIT as error:
        raise CannotApply(_reason(operations, document)) from error


def _reason(operations: Sequence[Operation], document: Json) -> str:
    """Say which of the operations does not fit, and why. The library's own words quote the whole document."""
    document = _copied(document)
    for operation in operations:
        try:
            document = jsonpatch.JsonPatch([members_of(operation)]).apply(document, in_place=True)
        except _DOES_NOT_FIT:
            return f"{operation.op} {operation.path}: {_misfit(operation, document)}"
    return "the patch does not fit"


def _misfit(operation: Operation, document: Json) -> str:
    """Say what is in the way of an operation."""
    path = operation.source if operation.op in ("copy", "move") else operation.path
    now = value_at(document, path)
    if operation.op == "test":
        return f"it is {shown(now)}, not {shown(operation.value)}"
    if operation.op != "add" and now is UNSET:
        return f"{path} is not there"
    above = path.rpartition("/")[0]
    while above and value_at(document, above) is UNSET:
        above = above.rpartition("/")[0]
    held = value_at(document, above)
    if isinstance(held, dict):
        return f"{above or 'the object'} has no {parts_of(path[len(above) :])[0]}"
    return f"{above or 'the object'} is {json_kind(held)}" + (f" of {len(held)}" if isinstance(held, list) else "")


def _copied(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    return [_copied(member) for member in value] if isinstance(value, list) else value
