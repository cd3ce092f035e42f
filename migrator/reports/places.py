"""What a step does to its object, place by place, and how the two values of a place are shown side by side.

Long values are cut to the part that differs, so that the eye finds the changed word in a page of HTML.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.copying import Copy, copy_of, document_of
from migrator.core.diff import common_ends, differences
from migrator.core.model import CREATES, Base, Json, Kind, Touched
from migrator.core.plan import name_in
from migrator.core.pointers import pointer_to
from migrator.core.values import visible

AROUND = 24
"""Characters that are shown on either side of what differs in long values."""

WIDEST = 400
"""Characters of a value that are shown at the most."""


class Contrast(Struct, frozen=True, array_like=True):
    """The two values of a place, spelled as JSON and cut.

    Attributes:
        path: JSON Pointer, with what is invisible spelled out.
        head: what both begin with.
        before: what was there, between head and tail; `None` if there was nothing.
        after: what comes there, between head and tail; `None` if it is taken away.
        tail: what both end with.
    """

    path: str
    head: str
    before: str | None
    after: str | None
    tail: str


def places_of(kind: Kind, body: bytes, base: Base | None) -> tuple[Touched, ...] | None:
    """Return the places of an object that a step changes; `None` if they are not known, as of a patch without a base.

    Args:
        kind: what the step does.
        body: what was planned.
        base: what the object is, or was, if it was read.
    """
    if kind in CREATES:
        document = document_in(kind, body)
        return tuple(Touched(pointer_to("", name), after=value) for name, value in document.items())
    if kind is Kind.DELETE:
        return ()
    return None if base is None or base.touched is None else tuple(differences(base.touched))


def name_of(kind: Kind, body: bytes, base: Base | None) -> str:
    """Return what people call the object of a step, "" if that is not known."""
    if base and base.name:
        return base.name
    return name_in(document_in(kind, body)) if kind in CREATES else ""


def document_in(kind: Kind, body: bytes) -> Json:
    """Return the object that a step makes; of a copy, with the ids of the source where the others are not known yet."""
    return _copied(copy_of(body)) if kind is Kind.COPY else msgspec.json.decode(body)


def _copied(copy: Copy) -> Json:
    return msgspec.json.decode(document_of(copy, {(one.type, one.id): f"→ {one.id}" for one in copy.references}))


def contrast(place: Touched) -> Contrast:
    """Set the two values of a place against each other."""
    before, after = spell(place.before), spell(place.after)
    start, end = common_ends(before, after) if before and after else (0, 0)
    whole = before or after
    head, tail = whole[:start], whole[len(whole) - end :] if end else ""
    return Contrast(
        visible(place.path),
        head if len(head) <= AROUND else "…" + head[-AROUND:],
        _between(before, start, end),
        _between(after, start, end),
        tail if len(tail) <= AROUND else tail[:AROUND] + "…",
    )


def _between(value: str, start: int, end: int) -> str | None:
    if not value:
        return None
    inner = value[start : len(value) - end]
    return inner if len(inner) <= WIDEST else inner[:WIDEST] + "…"


def spell(value: Json | UnsetType) -> str:
    """Spell a value as JSON, with what is invisible spelled out; "" if there is none."""
    return "" if value is UNSET else visible(msgspec.json.encode(value).decode())
