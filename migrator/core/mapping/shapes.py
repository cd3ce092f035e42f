"""Shapes: the vocabulary that the tables are written in.

What belongs here: values that *say* how two styles spell one thing. What must never: how that is carried out, which is
a matter of `nodes`, where each shape is compiled once for each direction.

A table is a tree: an object has `Members`, each with its name in either style and the shape of its value. From this one
tree come both directions, the translation of pointers, the reports of what is lost, and the page that shows it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

from migrator.core.mapping.losses import Loss, Severity
from migrator.core.mapping.walk import Walk
from migrator.core.model import Json, Operation

XCORE, DPS = "xcore", "dps"


class External(StrEnum):
    """What references may lead to outside of the Offer Library; an id map may have these types, too."""

    AUDIENCE = "audience"
    AI_MODEL = "ai-model"
    RANKING_FORMULA = "ranking-formula"


class Shape(Struct, frozen=True):
    """A value that both styles spell alike.

    Attributes:
        note: what the page says of it.
    """

    note: str = ""


ANY = Shape()


class Data(Shape, frozen=True):
    """A value whose members belong to somebody else: nothing in it is renamed, whatever it looks like."""


class Text(Shape, frozen=True, kw_only=True):
    """A text, which is never parsed; but it may hold what means something in one sandbox only.

    Attributes:
        foreign: a regular expression that finds such things.
        tells: what a text is or does in which they are found.
    """

    foreign: str
    tells: str


class Whole(Shape, frozen=True):
    """A whole number; a text that looks like one is none."""


class Date(Shape, frozen=True):
    """A date and time with a zone, which each style spells its own way."""


class Channel(Shape, frozen=True):
    """A channel's URI, of which there is a very old form."""


class Word(Shape, frozen=True, kw_only=True):
    """One of a few words.

    Attributes:
        pairs: the word in xcore and in dps.
        accepted: further spellings, each with the word of `pairs` in the other style that it stands for: to dps, to
            xcore.
        downgraded: words of xcore that dps does not have, each with what takes their place.
        prefix: what stands before an unknown word in xcore and not in dps.
    """

    pairs: tuple[tuple[str, str], ...]
    accepted: tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = ((), ())
    downgraded: tuple[tuple[str, str], ...] = ()
    prefix: str = ""


class Ref(Shape, frozen=True, kw_only=True):
    """The id of an object.

    Attributes:
        types: types that it may be of.
        loss: what it is if the id map does not have it.
    """

    types: tuple[str, ...]
    loss: Loss = Loss.REFERENCES


class Many(Shape, frozen=True, kw_only=True):
    """A list, whose order is kept, so that an index stays right."""

    of: Shape


class Keyed(Shape, frozen=True, kw_only=True):
    """An object whose keys are free, and whose values are of one shape."""

    of: Shape


class Lost(Struct, frozen=True):
    """Why a member has no counterpart.

    Attributes:
        to: the style that does not have it.
        loss: the class.
        severity: how bad it is.
        reason: a sentence without a full stop.
        harmless: tells values that lose nothing worth stopping for.
    """

    to: str
    loss: Loss
    severity: Severity
    reason: str
    harmless: Callable[[Json], bool] = lambda _: False


class Member(Struct, frozen=True):
    """A member in both styles.

    Attributes:
        xcore: its names there; all are read, the first is written. Empty if there is none.
        dps: the same in dps.
        shape: of its value.
        unattested: the style in which no document shows it, or "".
        lost: why it is not translated, in the direction that says, or `None`.
        note: what the page says of it.
        alias: what is to be said when another name than the first is read in dps.
    """

    xcore: tuple[str, ...]
    dps: tuple[str, ...]
    shape: Shape = ANY
    unattested: str = ""
    lost: Lost | None = None
    note: str = ""
    alias: str = ""


Settle: TypeAlias = Callable[[dict[str, Any], dict[str, Any], Walk, str], None]
"""Puts the members that a rule writes into the translation of an object: of the source, into the target, told to a
walk, where the object stands."""

Alone: TypeAlias = Callable[[Operation, str, Walk, Sequence[Operation]], tuple[Operation, ...]]
"""What an operation on a member that a rule reads becomes where the object is not known: the operation, the pointer to
the object's translation, a walk, and the whole patch. It reports what cannot be told."""

Merge: TypeAlias = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], dict[str, Any]]
"""What the members that a rule writes are to be, from what they really are, and from what the rule makes of the source
before and after a patch."""


class Rule(Struct, frozen=True, kw_only=True):
    """What holds between several members of one object, in one direction.

    Attributes:
        to: the style in which it writes.
        reads: members of the source that are translated by nothing else.
        watches: members of the source that it looks at besides.
        writes: members of the target.
        settle: see `Settle`.
        alone: see `Alone`.
        content_with_values: whether it has nothing to say alone where a watched member is set to what is not empty.
        needs: why an operation on what it reads needs the object, a sentence without a full stop; "" if it does not.
        at_end: whether operations are looked at together, once all are translated. Only where an object cannot move.
        by_target: whether the target alone shows what the source was.
        merge: see `Merge`; without it, what the rule makes of the source is it.
        off: tells a walk in which the rule does not hold.
    """

    to: str
    settle: Settle
    reads: frozenset[str] = frozenset()
    watches: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    alone: Alone | None = None
    content_with_values: bool = False
    needs: str = ""
    at_end: bool = False
    by_target: bool = False
    merge: Merge | None = None
    off: Callable[[Walk], bool] = lambda _: False


class Members(Shape, frozen=True, kw_only=True):
    """An object with known members.

    Attributes:
        members: its members.
        rules: what holds between several of them.
        entire: whether it is nothing worth having once one of its members is lost.
    """

    members: tuple[Member, ...]
    rules: tuple[Rule, ...] = ()
    entire: bool = False


def same(dps: str, shape: Shape = ANY, *, xcore: str | tuple[str, ...] = (), note: str = "") -> Member:
    """Return a member that documents show in both styles; in xcore with `xdm:` before it unless said otherwise."""
    return Member(_names(xcore) or (f"xdm:{dps}",), (dps,), shape, note=note)


def near(dps: str, shape: Shape = ANY, *, unattested: str, xcore: str | tuple[str, ...] = (), note: str = "") -> Member:
    """Return a member that documents show in one style only, and that the other is inferred to have."""
    return Member(_names(xcore) or (f"xdm:{dps}",), (dps,), shape, unattested, note=note)


def only_xcore(name: str, loss: Loss, reason: str, *, severity: Severity = Severity.INFORMATIONAL) -> Member:
    """Return a member that dps does not have."""
    return Member((name,), (), Data(), lost=Lost(DPS, loss, severity, reason))


def only_dps(
    name: str | tuple[str, ...],
    loss: Loss,
    reason: str,
    *,
    severity: Severity = Severity.INFORMATIONAL,
    harmless: Callable[[Json], bool] = lambda _: False,
) -> Member:
    """Return a member that xcore does not have, or several."""
    return Member((), _names(name), Data(), lost=Lost(XCORE, loss, severity, reason, harmless))


def _names(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given
