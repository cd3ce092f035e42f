"""From changes to steps: who merges with whom, what contradicts, and what a step and a plan are called.

What belongs here: decisions about a whole object or a whole input. What must never: where the changes are kept; a
plan of a million rows is sorted by the ledger, and this module sees one object at a time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import UNSET

from migrator.core.edit import edits_body
from migrator.core.model import CREATES, Change, Edit, EntityType, Json, Kind, Operation, Problem, Step, TextChange
from migrator.core.pointers import APPEND, is_index, parts_of, value_at
from migrator.core.styles import Style
from migrator.core.values import Fault, json_kind

_encode = msgspec.json.Encoder().encode

_VERBS = {"add": "sets", "replace": "sets", "remove": "removes", "copy": "copies something to"}

_SEPARATOR = "\x1f"


PATCHES = frozenset({Kind.PATCH, Kind.EDIT})
"""The kinds of which several rows of an object make one step."""


NO_EDITS = edits_body(())
"""The body of an edit that changes nothing: its step is settled when the plan is made, and nothing is sent for it."""


def body_of(change: Change) -> bytes:
    """Return the JSON text of what `change` does: a patch, a document, or nothing."""
    if change.kind in PATCHES:
        return edits_body(change.edits)
    return b"" if change.document is None else _encode(change.document)


_DELETED_IN: Mapping[EntityType, int] = {
    EntityType.DECISION: 1,
    EntityType.COLLECTION: 2,
    EntityType.PERSONALIZED_OFFER: 3,
    EntityType.FALLBACK_OFFER: 3,
    EntityType.PLACEMENT: 4,
    EntityType.DECISION_RULE: 4,
    EntityType.TAG: 4,
}
"""Stages of deletions: what refers to others goes before them (contract section 8)."""


def stage_of(change: Change) -> int:
    """Return the stage in which a change is made: deletions come last, in the order of reference, copies first."""
    if change.kind is Kind.COPY:
        return -_DELETED_IN[change.type]
    return _DELETED_IN[change.type] if change.kind is Kind.DELETE else 0


def restoring_stage_of(change: Change) -> int:
    """Return the stage of a change that restores what was: what was deleted comes back first, in the reverse order."""
    return -_DELETED_IN[change.type] if change.kind is Kind.CREATE else stage_of(change)


def identity(change: Change) -> str:
    """Name the object that a change is for, within its container and type.

    Two changes with the same identity are for the same object and become one step. A create has no id yet: it is
    known by the caller's key, or else by its content, so that the same create twice is noticed and not sent twice.
    """
    if change.kind not in CREATES:
        return f"{change.sought.by}:{change.sought.value}" if change.sought else identity_of(change.object)
    if change.key:
        return "key:" + change.key
    return "document:" + hashlib.sha256(body_of(change)).hexdigest()


def identity_of(object_: str) -> str:
    """Return the identity of a change of the object that has this id."""
    return "id:" + object_


def own_members(document: Json, style: Style) -> dict[str, Json]:
    """Return what an object consists of without what the service adds, so that it can be created anew.

    Args:
        document: as `Seen` has it.
        style: knows what is the service's.
    """
    members = value_at(document, style.root)
    if not isinstance(members, dict):
        return {}
    return {name: value for name, value in members.items() if name not in style.service_owned}


def name_in(document: Json) -> str:
    """Return the name that an object has, in the words of either style; "" if it has none."""
    if not isinstance(document, dict):
        return ""
    names = (document.get(member) for member in ("name", "xdm:name"))
    return next((name for name in names if isinstance(name, str)), "")


class Marker(msgspec.Struct, frozen=True):
    """What makes each create of a run another one, so that it is found again for certain.

    Attributes:
        pointer: to a member of the object that the user lets us write.
        run: the run's id.
    """

    pointer: str
    run: str

    def mark(self, change: Change) -> bytes | Fault | None:
        """Return the JSON text of what a create makes with the marker in it, or why there is no place for it."""
        if change.kind is not Kind.CREATE:
            return None
        *parts, last = parts_of(self.pointer)
        marked: Json = msgspec.json.decode(_encode(change.document))
        place = marked
        for part in parts:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                return Fault("create", f"cannot be marked at {self.pointer}: {part} is {json_kind(place)}")
        if last in place:
            return Fault("create", f"cannot be marked at {self.pointer}: there is something already")
        place[last] = f"{self.run}:{change.line}"
        return _encode(marked)


def step_key(style: str, container: str, type_: EntityType, name: str, kind: Kind, body: bytes) -> str:
    """Return the content-made identity of a step: 32 hexadecimal digits.

    It says what is done and to what, and not where in the file it stands or how often it was tried.
    """
    return key_in(key_frame(style, container, type_, kind), name, body)


def key_frame(style: str, container: str, type_: EntityType, kind: Kind) -> tuple[str, str]:
    """Return what the keys of all steps of one kind for objects of one type in one container have in common."""
    return _SEPARATOR.join((style, container, type_, "")), _SEPARATOR.join(("", kind, ""))


def key_in(frame: tuple[str, str], name: str, body: bytes) -> str:
    """Return the key of a step for the object of this name (`identity`) that has this body."""
    before, after = frame
    return hashlib.sha256(f"{before}{name}{after}".encode() + body).hexdigest()[:32]


class Fingerprint:
    """The name of a plan: a hash of where it goes and of every change in the order of the file."""

    def __init__(self, *target: str) -> None:
        """Begin with what the plan is aimed at: style, service, organisation, sandbox."""
        self._digest = hashlib.sha256()
        for part in target:
            self._digest.update(f"{part}{_SEPARATOR}".encode())

    def add(self, key: str) -> None:
        """Take in the key of the next change."""
        self._digest.update(key.encode())

    def hexdigest(self) -> str:
        """Return the fingerprint: 64 hexadecimal digits."""
        return self._digest.hexdigest()


def merge(style: str, changes: Sequence[Change]) -> Step | list[Problem]:
    """Merge all the changes of one object, in the order of the file, into one step.

    Args:
        style: name of the endpoint style, part of the step's key.
        changes: at least one, all with the same container, type and identity, in order of their lines.

    Returns:
        The step, or what is wrong with the later rows.
    """
    return list(_contradictions(changes)) or step_of(style, changes)


def step_of(style: str, changes: Sequence[Change]) -> Step:
    """Return the step that `changes` are, which do not contradict each other; see `merge`."""
    first = changes[0]
    kind = Kind.EDIT if any(change.kind is Kind.EDIT for change in changes) else first.kind
    body = edits_body(edit for change in changes for edit in change.edits) if kind in PATCHES else body_of(first)
    return Step(
        seq=first.line,
        key=step_key(style, first.container, first.type, identity(first), kind, body),
        container=first.container,
        type=first.type,
        object=first.object,
        kind=kind,
        body=body,
    )


def _contradictions(changes: Sequence[Change]) -> Iterator[Problem]:
    """Find the rows that cannot be merged with an earlier row of the same object."""
    first = changes[0]
    written = _Written()
    elements = _Elements()
    texts: dict[tuple[str, str, str], tuple[int, TextChange]] = {}
    for change in changes:
        if change is not first and not {first.kind, change.kind} <= PATCHES:
            yield _only_one(first, change)
        operations = list(filter(None, map(_as_operation, change.edits)))
        for operation in operations:
            earlier = written.clash(change.line, operation) or elements.take(change.line, operation)
            if earlier is not None:
                yield _clash(change.line, operation.path, earlier)
        for operation in operations:
            written.add(change.line, operation)
        for text in (edit for edit in change.edits if isinstance(edit, TextChange)):
            line, other = texts.setdefault(_place_of(text), (change.line, text))
            if line != change.line and other.content != text.content:
                yield _other_text(change.line, text, line)


def _as_operation(edit: Edit) -> Operation | None:
    """Return the operation that writes where `edit` does, or `None` if only the object can tell where that is."""
    if isinstance(edit, Operation):
        return edit
    if isinstance(edit, TextChange):
        return None
    return Operation("remove", edit.path) if edit.value is UNSET else Operation("add", edit.path, edit.value)


def _place_of(text: TextChange) -> tuple[str, str, str]:
    return text.placement, text.language.casefold(), text.format


def _other_text(line: int, text: TextChange, earlier: int) -> Problem:
    where = f"placement {text.placement}" + (f", language {text.language}" if text.language else "")
    message = f"{where}: contradicts line {earlier}, which writes another text there"
    return Problem(line, "content", message, "keep one of the two rows")


class _Write(msgspec.Struct, frozen=True):
    line: int
    operation: Operation


class _Written:
    """What the rows of one object have written so far, found again by pointer in time proportional to its depth."""

    def __init__(self) -> None:
        self._at: dict[str, _Write] = {}
        self._inside: dict[str, _Write] = {}
        """By every pointer above a written one: the first write below it."""

    def add(self, line: int, operation: Operation) -> None:
        if not _names_its_target(operation):
            return
        write = _Write(line, operation)
        self._at[operation.path] = write
        for above in _above(operation.path):
            self._inside.setdefault(above, write)

    def clash(self, line: int, operation: Operation) -> _Write | None:
        """Return the write of an earlier *row* that this operation loses, or that loses this operation.

        Three things lose somebody's change silently: another value at the same place, a write over a whole branch
        that an earlier row wrote into, and a write into a branch that an earlier row removed.
        """
        if not _names_its_target(operation):
            return None
        path = operation.path
        candidates = [self._inside.get(path)]
        if (same := self._at.get(path)) and not _same(same.operation, operation):
            candidates.append(same)
        candidates.extend(
            removal for above in _above(path) if (removal := self._at.get(above)) and removal.operation.op == "remove"
        )
        return next((write for write in candidates if write and write.line != line), None)


class _Elements:
    """The array elements that rows have replaced, each known by its index until the elements of an array move."""

    def __init__(self) -> None:
        self._moves: Counter[str] = Counter()
        """By the pointer of an array: how many operations may have moved its elements."""
        self._replaced: dict[tuple[str, int], _Write] = {}

    def take(self, line: int, operation: Operation) -> _Write | None:
        """Take in the next operation and return the replacement of an earlier row that it undoes with another value."""
        array, _, last = operation.path.rpartition("/")
        if operation.op in ("add", "remove", "copy") and (last == APPEND or is_index(last)):
            self._moves[array] += 1
        if operation.op != "replace" or not is_index(last):
            return None
        # The numbers of moves only grow, so an equal sum proves that none of the arrays above has changed.
        place = (operation.path, sum(self._moves[above] for above in _above(operation.path)))
        earlier = self._replaced.get(place)
        if earlier is None or earlier.line == line:
            self._replaced[place] = _Write(line, operation)
            return None
        return None if _same(earlier.operation, operation) else earlier


def _above(path: str) -> Iterator[str]:
    """Yield every pointer above `path`, nearest first, without the root."""
    while path := path.rpartition("/")[0]:
        yield path


def _only_one(first: Change, change: Change) -> Problem:
    if change.kind is Kind.CREATE:
        hint = "if both are wanted, give each a key of its own and let both be marked (--marker), or delete one row"
        return Problem(change.line, "key", f"creates the same object as line {first.line}", hint)
    what = f"{change.kind}s the object that line {first.line} {first.kind}s"
    return Problem(change.line, "id", what.replace("patchs", "patches"), "keep one of the two rows")


def _names_its_target(operation: Operation) -> bool:
    """Whether the operation writes, if only an unknown value, to a place that its pointer names for good."""
    last = operation.path.rpartition("/")[2]
    return operation.op in ("add", "replace", "remove", "copy") and last != APPEND and not is_index(last)


def _same(one: Operation, other: Operation) -> bool:
    """`add` and `replace` of the same value to the same member leave the same document; a `copy` may leave any."""
    if "copy" in (one.op, other.op):
        return False
    # Compared as JSON: to Python 1, 1.0 and True are equal, to the service they are not.
    return (one.op == "remove") == (other.op == "remove") and _encode(one.value) == _encode(other.value)


def _clash(line: int, path: str, earlier: _Write) -> Problem:
    return Problem(
        line,
        "path",
        f"{path}: contradicts line {earlier.line}, which {_VERBS[earlier.operation.op]} {earlier.operation.path}"
        " of the same object",
        "keep one of the two rows",
    )
