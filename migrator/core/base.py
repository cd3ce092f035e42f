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

Whether a patch is idempotent is not a question of its operations but of the document, and is answered by trying:
applied to its own result, it must leave that as it is. Whether it is guarded is answered the same way: one of the
values that are tested must be another one afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from migrator.core.compare import same
from migrator.core.model import Base, Json, Kind, Operation, Seen, Step, Touched
from migrator.core.patch import CannotApply, apply, pointer_to, value_at
from migrator.core.plan import operations_of, patch_body
from migrator.core.styles import Style
from migrator.core.values import MAX_OBJECT_BYTES

MAX_GUARDED_BYTES = 2 * MAX_OBJECT_BYTES
"""A body with its guard may hold every value twice. One that would be larger goes without."""


def examine(step: Step, seen: Seen, style: Style) -> Base:
    """Find the base of a change.

    Args:
        step: as planned.
        seen: the object as it was read.
        style: how it can be guarded.
    """
    body = step.body
    operations = _operations_on(step, seen.document, style)
    try:
        result = apply(operations, seen.document)
    except CannotApply:
        # The service decides, and most likely says no; until then nothing is known but the version.
        return Base(seen.etag, None, body, guarded=style.guards_by_etag and seen.etag is not None)
    touched = tuple(
        Touched(path, value_at(seen.document, path), value_at(result, path))
        for path in _places(operations, seen.document)
    )
    if style.guards_by_etag:
        return Base(seen.etag, touched, body, guarded=seen.etag is not None)
    testable = step.kind is Kind.PATCH and any(
        place.before is not UNSET and not same_place(place.before, place.after) for place in touched
    )
    if not testable:
        return Base(seen.etag, touched, body, guarded=False)
    guarded = patch_body(
        _with_tests(operations, touched)
        if _leaves(step, result, style)
        else _as_effect(operations, touched, seen.document)
    )
    if len(guarded) > MAX_GUARDED_BYTES:
        return Base(seen.etag, touched, body, guarded=False)
    return Base(seen.etag, touched, guarded, guarded=True)


def same_place(one: Json | UnsetType, other: Json | UnsetType) -> bool:
    """Whether the same stands at a place, or both times nothing."""
    if one is UNSET or other is UNSET:
        return one is other
    return same(one, other)


def result_of(step: Step, document: Json, style: Style) -> Json:
    """Return what `document`, which stays as it is, becomes by a change.

    Raises:
        CannotApply: the change does not fit.
    """
    return apply(_operations_on(step, document, style), document)


def is_idempotent(step: Step, document: Json, style: Style) -> bool:
    """Whether a change may be applied to `document` as often as one likes."""
    try:
        return _leaves(step, result_of(step, document, style), style)
    except CannotApply:
        return False


def _leaves(step: Step, document: Json, style: Style) -> bool:
    """Whether a change leaves a document as it is."""
    try:
        return same(result_of(step, document, style), document)
    except CannotApply:
        return False


def _operations_on(step: Step, document: Json, style: Style) -> tuple[Operation, ...]:
    """Return a change as the patch that it comes to on `document`."""
    if step.kind is Kind.PATCH:
        return operations_of(step.body)
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
    return [path for path in found if not any(other != path and _is_above(other, path) for other in found)]


def _places_of(operation: Operation, document: Json) -> Iterator[str]:
    """Yield the places that an operation changes: a member, or an array whose elements it moves."""
    if operation.op == "test":
        return
    # An array that an earlier operation has made is inside of a place that is found already.
    above = operation.path.rpartition("/")[0]
    moves_elements = operation.op != "replace" and isinstance(value_at(document, above), list)
    yield above if moves_elements else operation.path


def _is_above(path: str, other: str) -> bool:
    return other.startswith(path + "/")


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
            place.path == operation.path or _is_above(place.path, operation.path) for place in touched
        ):
            yield Operation("test", operation.path, value_at(document, operation.path))
    for place in touched:
        if place.after is UNSET:
            yield Operation("remove", place.path)
        elif not same_place(place.before, place.after):
            yield Operation("add" if place.before is UNSET else "replace", place.path, place.after)


def _tests(touched: Iterable[Touched]) -> Iterator[Operation]:
    for place in touched:
        if place.before is not UNSET:
            yield Operation("test", place.path, place.before)


def now_at(places: Iterable[Touched], document: Json) -> list[Json | UnsetType]:
    """Return what stands now where a change touches an object."""
    return [value_at(document, place.path) for place in places]
