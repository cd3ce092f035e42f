"""The base of a change: what the object was before, what it will be after, and what guards the change.

A change that may have been sent twice must not be applied twice. Where the service can refuse the second one, it is
made to: that is the guard. It differs by style (contract 3.6, 4.4, section 6):

* xcore refuses a write whose `If-Match` is not the object's etag. The change goes as it was planned.
* dps has `test` operations in a patch. One is put in front for each value that the patch touches, with what was read.
  A patch that would do more if it were applied twice, such as an append, is rewritten: test the whole array as it was,
  replace it by the array as it will be. What cannot be tested is that something is *not* there, so a patch that only
  adds members that were absent has no guard. Nor has a replacement.

A replacement is the patch that it comes to: it sets each member that it has, and removes the object's others, but for
those that are the service's.

Where a patch was located by placement and language, those are tested, too: what was read at a place may stand in
another text as well, which has taken that place since.

Whether a patch is idempotent is not a question of its operations but of the document, and is answered by trying:
applied to its own result, it must leave that as it is. Whether it is guarded is answered the same way: one of the
values that are tested must be another one afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.compare import same, same_place
from migrator.core.edit import Conflict, edits_body, edits_of, located
from migrator.core.model import Base, Json, Kind, Operation, Seen, Step, Touched
from migrator.core.patch import CannotApply, apply
from migrator.core.plan import name_in
from migrator.core.pointers import is_inside, pointer_to, value_at
from migrator.core.styles import Style, TextNames
from migrator.core.values import MAX_OBJECT_BYTES, shown
from migrator.core.verdict import ErrorClass

MAX_GUARDED_BYTES = 2 * MAX_OBJECT_BYTES
"""A body with its guard may hold every value twice. One that would be larger goes without."""


class Unfit(Struct, frozen=True):
    """Why an edit becomes no patch of an object: there is no such place, or something else than was expected."""

    error: ErrorClass
    message: str


def examine(step: Step, seen: Seen, style: Style, *, strict: bool = False) -> Base | Unfit:
    """Find the base of a change.

    Args:
        step: as planned.
        seen: the object as it was read.
        style: how it can be guarded.
        strict: whether a patch has to fit; otherwise the service decides on one that does not.
    """
    name = name_in(value_at(seen.document, style.root))
    if step.kind is Kind.DELETE:
        return Base(seen.etag, (Touched("", before=seen.document),), b"", guarded=False, name=name)
    try:
        operations = _operations_on(step, seen.document, style, seen.etag)
        if step.kind is Kind.EDIT and not style.guards_by_etag:
            operations = (*_anchors(operations, seen.document, style.texts), *operations)
        result = apply(operations, seen.document)
    except CannotApply as error:
        if strict or step.kind is Kind.EDIT:
            return Unfit(ErrorClass.CONFLICT if isinstance(error, Conflict) else ErrorClass.CANNOT_APPLY, str(error))
        # The service most likely says no; until then nothing is known but the version.
        return Base(seen.etag, None, step.body, guarded=style.guards_by_etag and seen.etag is not None, name=name)
    touched = tuple(
        Touched(path, value_at(seen.document, path), value_at(result, path))
        for path in _places(operations, seen.document)
    )
    planned = edits_body(operations) if step.kind is Kind.EDIT else step.body
    if style.guards_by_etag:
        return Base(seen.etag, touched, planned, guarded=seen.etag is not None, name=name)
    guarded = None if step.kind is Kind.REPLACE else _guarded(operations, touched, seen.document, result)
    return Base(seen.etag, touched, guarded or planned, guarded=guarded is not None, name=name)


def _guarded(operations: Sequence[Operation], touched: Sequence[Touched], document: Json, result: Json) -> bytes | None:
    """Return a patch with its guard, or `None` if there can be none."""
    if not any(place.before is not UNSET and not same_place(place.before, place.after) for place in touched):
        return None
    guarded = (
        _with_tests(operations, touched)
        if _same_when_repeated(operations, result)
        else _as_effect(operations, touched, document)
    )
    body = edits_body(guarded)
    return body if len(body) <= MAX_GUARDED_BYTES else None


def _anchors(operations: Iterable[Operation], document: Json, names: TextNames) -> Iterator[Operation]:
    """Test what tells the texts that are changed from others: one with the same content may have taken their place."""
    for pointer in dict.fromkeys(pointer for one in operations for pointer in _telling(one.path, names)):
        value = value_at(document, pointer)
        if value is not UNSET:
            yield Operation("test", pointer, value)


def _telling(path: str, names: TextNames) -> Iterator[str]:
    """Yield the pointers to what tells the representation and the component at or around `path` from others."""
    if not path.startswith(names.representations + "/"):
        return
    index, *inside = path.removeprefix(names.representations + "/").split("/")
    if inside:
        yield f"{names.representations}/{index}/{names.placement}"
    if len(inside) > 2 and inside[0] == names.components:
        for member in (names.language, names.format):
            yield f"{names.representations}/{index}/{names.components}/{inside[1]}/{member}"


def _same_when_repeated(operations: Sequence[Operation], result: Json) -> bool:
    """Whether a patch applied to its own result leaves it as it is."""
    try:
        return same(apply(operations, result), result)
    except CannotApply:
        return False


def changes_nothing(base: Base) -> bool:
    """Whether the object is as wanted already."""
    return base.touched is not None and all(same_place(place.before, place.after) for place in base.touched)


def drift(planned: Base, now: Base | Unfit) -> str:
    """Say what has changed in an object since a plan was made, "" if nothing has.

    Args:
        planned: its base when the plan was made.
        now: its base as it was read just now, or why the change does not fit it any more.
    """
    if isinstance(now, Unfit):
        return now.message
    if planned.etag is not None and now.etag is not None:
        if planned.etag == now.etag:
            return ""
        version = f"version {planned.etag} then, {now.etag} now"
    elif planned.touched is not None and now.touched is not None and _same_places(planned.touched, now.touched):
        return ""
    else:
        version = "its version is not told"
    if planned.touched is None:
        return version
    before = {place.path: place.before for place in planned.touched}
    others = [
        f"{place.path or 'the object'} was {shown(before[place.path])}, is {shown(place.before)}"
        for place in now.touched or ()
        if place.path in before and not same_place(before[place.path], place.before)
    ]
    elsewhere = "the change does not fit it any more" if now.touched is None else "not where the change touches it"
    return f"{version}; {'; '.join(others) or elsewhere}"


def _same_places(some: Sequence[Touched], others: Sequence[Touched]) -> bool:
    return len(some) == len(others) and all(
        one.path == other.path and same_place(one.before, other.before) for one, other in zip(some, others, strict=True)
    )


def result_of(step: Step, document: Json, style: Style) -> Json:
    """Return what `document`, which stays as it is, becomes by a change.

    Raises:
        CannotApply: the change does not fit.
    """
    return apply(_operations_on(step, document, style), document)


def is_idempotent(step: Step, document: Json, style: Style) -> bool:
    """Whether a change may be applied to `document` as often as one likes."""
    try:
        once = result_of(step, document, style)
        return same(result_of(step, once, style), once)
    except CannotApply:
        return False


def _operations_on(step: Step, document: Json, style: Style, version: int | None = None) -> tuple[Operation, ...]:
    """Return a change as the patch that it comes to on `document`, which has `version` if that is known."""
    if step.kind is not Kind.REPLACE:
        return located(edits_of(step.body), document, style.texts, version)
    wanted = msgspec.json.decode(step.body)
    there = value_at(document, style.root)
    stays = {*wanted, *style.service_owned}
    return (
        *(Operation("add", pointer_to(style.root, name), value) for name, value in wanted.items()),
        *(Operation("remove", pointer_to(style.root, name)) for name in _members(there) if name not in stays),
    )


def _members(value: Json | UnsetType) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


def _places(operations: Iterable[Operation], document: Json) -> list[str]:
    """Return the outermost places that a patch changes, in the order in which it comes to them."""
    found = dict.fromkeys(path for operation in operations for path in _places_of(operation, document))
    return [path for path in found if not any(is_inside(path, other) for other in found)]


def _places_of(operation: Operation, document: Json) -> Iterator[str]:
    """Yield the places that an operation changes: a member, or an array whose elements it moves."""
    if operation.op == "test":
        return
    # An array that an earlier operation has made is inside of a place that is found already.
    above = operation.path.rpartition("/")[0]
    moves_elements = operation.op != "replace" and isinstance(value_at(document, above), list)
    yield above if moves_elements else operation.path


def _with_tests(operations: Sequence[Operation], touched: Sequence[Touched]) -> Iterator[Operation]:
    """Put a test of what was there before in front."""
    yield from _tests(touched)
    yield from operations


def _as_effect(operations: Sequence[Operation], touched: Sequence[Touched], document: Json) -> Iterator[Operation]:
    """Say what will be there instead of how it comes about."""
    yield from _tests(touched)
    for operation in operations:
        # What the author tested inside of a touched place is tested already. What is tested around one may have been
        # meant for the middle of the patch; here it stands in front, so that it must be what it was before.
        if operation.op == "test" and not any(
            place.path == operation.path or is_inside(operation.path, place.path) for place in touched
        ):
            yield Operation("test", operation.path, value_at(document, operation.path))
    for place in touched:
        if same_place(place.before, place.after):
            continue  # such as a member that is added and removed again
        if place.after is UNSET:
            yield Operation("remove", place.path)
        else:
            yield Operation("add" if place.before is UNSET else "replace", place.path, place.after)


def _tests(touched: Iterable[Touched]) -> Iterator[Operation]:
    for place in touched:
        if place.before is not UNSET:
            yield Operation("test", place.path, place.before)


def last_changed(seen: Seen) -> str:
    """Say who changed an object last, and when, as the end of a sentence; "" if it is not told."""
    by = seen.changed_by_client or seen.changed_by
    who = f" by {by}" if by else ""
    when = f" at {seen.changed_at}" if seen.changed_at else ""
    return f" (last changed{who}{when})" if who or when else ""


def now_at(places: Iterable[Touched], document: Json) -> list[Json | UnsetType]:
    """Return what stands now where a change touches an object."""
    return [value_at(document, place.path) for place in places]
