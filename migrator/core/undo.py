"""What undoes a change that was made, from what its ledger has captured of it.

Nothing is undone by force. Where a patch changed an object, what was there before is put back on the condition that
what it left is still there; what was created is deleted on the condition that nobody has edited it since. Whatever
somebody else has done in the meantime, elsewhere in the object or in the same place, stays.

What belongs here: what takes back one change, or why nothing can. What must never: how it is guarded while it is on
its way, which is that of any other change (`base`, `engine.surveying`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, Struct

from migrator.core.compare import same_place
from migrator.core.model import CREATES, Base, Change, EntityType, Kind, Step, Swap, Touched
from migrator.core.plan import own_members
from migrator.core.styles import Style

FIRST_VERSION = 1
"""The etag of an object that nobody has changed since it was created (contract 3.3, 4.3)."""


class Made(Struct, frozen=True):
    """A change that was made.

    Attributes:
        step: as it was planned; of a create, with the id that the service gave.
        base: what its object was before, or `None` if that was not captured.
        etag: the version of the object that the receipt, or a later look, told; `None` if neither did.
        told: whether it was the receipt.
    """

    step: Step
    base: Base | None
    etag: int | None
    told: bool


class Undo(Struct, frozen=True):
    """What takes a change back.

    Attributes:
        change: what is to be done, under the line of the step.
        version: of a deletion: the version that the object must still have; otherwise `None`.
    """

    change: Change
    version: int | None = None


class Lasting(Struct, frozen=True):
    """A change that cannot be undone.

    Attributes:
        line: the line of its first row.
        type: of its object.
        object: the id of its object, "" if it is not known.
        reason: why not, one sentence without a full stop.
    """

    line: int
    type: EntityType
    object: str
    reason: str


def undo(made: Made, style: Style, *, recreate: bool) -> Undo | Lasting | None:
    """Find what undoes a change.

    Args:
        made: the change.
        style: the endpoint style.
        recreate: whether what was deleted is to be created anew.

    Returns:
        What undoes it; why nothing can; `None` if it has left everything as it was.
    """
    if made.step.kind in CREATES:
        return _deleted(made)
    if made.step.kind is Kind.DELETE:
        return _recreated(made, style, recreate=recreate)
    return _put_back(made)


def _put_back(made: Made) -> Undo | Lasting | None:
    """Put back what was there, place by place, the last one first."""
    if made.base is None:
        return _lasting(made, "what was there before was not captured, as with --no-guard")
    if made.base.touched is None:
        return _lasting(made, "what it changed is not known: it did not fit the object as that was read")
    swaps = tuple(_swaps(made.base.touched, _version(made)))
    return Undo(_change(made.step, Kind.EDIT, edits=swaps)) if swaps else None


def _swaps(touched: tuple[Touched, ...], version: int | None) -> Iterator[Swap]:
    for place in reversed(touched):
        if not same_place(place.before, place.after):
            yield Swap(place.path, was=place.after, value=place.before, version=version)


def _deleted(made: Made) -> Undo | Lasting:
    if not made.step.object:
        return _lasting(made, "which object it made is not known")
    version = _version(made)
    if version is None:
        return _lasting(made, "whether somebody has edited it since cannot be told: its first version is not known")
    return Undo(_change(made.step, Kind.DELETE), version)


def _recreated(made: Made, style: Style, *, recreate: bool) -> Undo | Lasting:
    if made.base is None or not made.base.touched or made.base.touched[0].before is UNSET:
        return _lasting(made, "it was deleted, and what it was before was not captured, as with --no-guard")
    if not recreate:
        return _lasting(made, "it was deleted: --recreate creates it anew, under another id")
    document = own_members(made.base.touched[0].before, style)
    return Undo(_change(made.step, Kind.CREATE, document=document))


def _version(made: Made) -> int | None:
    """Return the version that the object had right after the change, or `None` if that is not known.

    What a look told may be a later one, which others have edited: unless it follows directly on what was there before.
    """
    if made.step.kind in CREATES:
        next_version: int | None = FIRST_VERSION
    else:
        before = made.base.etag if made.base else None
        next_version = None if before is None else before + 1
    return made.etag if made.told or made.etag == next_version else None


def _change(step: Step, kind: Kind, **members: Any) -> Change:
    object_ = "" if kind is Kind.CREATE else step.object
    return Change(step.seq, step.container, step.type, object_, kind, **members)


def _lasting(made: Made, reason: str) -> Lasting:
    return Lasting(made.step.seq, made.step.type, made.step.object, reason)
