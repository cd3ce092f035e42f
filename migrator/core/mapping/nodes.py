"""Nodes: the shapes of one table, compiled for one direction.

What belongs here: how a value is carried over, and where a part of a pointer leads. Values are translated as deep as
the table goes; below it they are copied. What cannot be carried over is told to the walk and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from msgspec import Struct

from migrator.core.compare import same
from migrator.core.mapping.capping import is_whole
from migrator.core.mapping.losses import Loss, Severity
from migrator.core.mapping.shapes import (
    DPS,
    XCORE,
    Channel,
    Data,
    Date,
    Keyed,
    Lost,
    Many,
    Member,
    Members,
    Ref,
    Rule,
    Shape,
    Text,
    Whole,
    Word,
)
from migrator.core.mapping.walk import LEFT, Context, Walk
from migrator.core.mapping.words import spelling
from migrator.core.model import Json
from migrator.core.pointers import pointer_to


class Below(Struct, frozen=True):
    """Where a part of a pointer leads.

    Attributes:
        names: what the part is called in the target; more than one where the object there decides.
        node: of what is there.
        entry: the member, or `None` where it is not one with a line in a table.
    """

    names: tuple[str, ...]
    node: Node
    entry: Entry | None = None


class Node:
    """A value that is carried over as it is, and has no members that a pointer could lead to.

    Attributes:
        plain: whether every value is carried over as it is.
    """

    plain: ClassVar[bool] = True

    def convert(self, value: Json, walk: Walk, at: str) -> Json:  # noqa: ARG002 - others tell
        """Return the value in the target's spelling, or `LEFT`.

        Args:
            value: the value in the source.
            walk: is told what is lost.
            at: pointer to the value in the source.
        """
        return value

    def below(self, part: str) -> Below | None:  # noqa: ARG002 - others look
        """Return where a part of a pointer leads, or `None` if nowhere."""
        return None


class DataNode(Node):
    """See `Data`."""

    def below(self, part: str) -> Below:
        """Lead on, whatever the part is."""
        return Below((part,), self)


class _Converting(Node):
    plain: ClassVar[bool] = False


class TextNode(_Converting):
    """See `Text`."""

    def __init__(self, shape: Text) -> None:
        """Look for what `shape` says."""
        self._finds, self._tells = re.compile(shape.foreign).search, shape.tells

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Keep the value; tell of what means something else in another sandbox."""
        if walk.context.other_sandbox and isinstance(value, str) and self._finds(value):
            walk.refuse(at, value, Loss.TEXT_IDS, f"{self._tells}, which may be others in another sandbox")
        return value


class WholeNode(_Converting):
    """See `Whole`."""

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Refuse what is not a whole number."""
        return value if is_whole(value) else walk.malformed(at, value, "a whole number")


class DateNode(_Converting):
    """See `Date`. Neither zones nor instants change, only their spelling."""

    _FORM = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|z|[+-]\d\d:\d\d)", re.ASCII)
    _ZERO = ("Z", "z", "+00:00", "-00:00")

    def __init__(self, to: str) -> None:
        """Spell dates as `to` does."""
        self._to = to

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Spell a date as the target does: with milliseconds and an offset in dps, as short as it can be in xcore."""
        found = self._FORM.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            walk.inform(at, value, Loss.DATES, "is no date and time with a zone: left as it is, and not guessed")
            return value
        day, time, fraction, zone = found.groups()
        utc = zone in self._ZERO
        if self._to == DPS:
            return f"{day}T{time}.{(fraction or '').ljust(3, '0')}{'+00:00' if utc else zone}"
        seconds = f".{fraction}" if (fraction or "").strip("0") else ""
        return f"{day}T{time}{seconds}{'Z' if utc else zone}"


class ChannelNode(_Converting):
    """See `Channel`."""

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Spell a very old channel as they are spelled today."""
        if not isinstance(value, str) or "/xdm/channels/" not in value:
            return value
        new = value.replace("/xdm/channels/", "/xdm/channel-types/")
        walk.inform(at, value, Loss.WORDING, f"is a very old spelling: written as {new}")
        return new


class WordNode(_Converting):
    """See `Word`."""

    def __init__(self, shape: Word, to: str) -> None:
        """Choose what each word becomes."""
        self._words = spelling(shape, to)
        self._downgraded = dict(shape.downgraded) if to == DPS else {}
        self._prefix, self._to = shape.prefix, to

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Replace a word; one that nobody knows stays, and is told."""
        if not isinstance(value, str):
            return walk.malformed(at, value, "text")
        if (known := self._words.get(value)) is not None:
            return known
        if value in self._downgraded:
            walk.inform(at, value, Loss.WORDING, f"dps has no such word: written as {self._downgraded[value]}")
            return self._downgraded[value]
        made = self._guessed(value)
        walk.inform(at, value, Loss.WORDING, f"no table has this word: written as {made}")
        return made

    def _guessed(self, value: str) -> str:
        if not self._prefix:
            return value
        return value.rpartition("/")[2].removeprefix("content-component-") if self._to == DPS else self._prefix + value


class RefNode(_Converting):
    """See `Ref`."""

    def __init__(self, shape: Ref) -> None:
        """Look for ids of the types that `shape` says."""
        self._types, self._loss = shape.types, shape.loss

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Look up the id in the target."""
        if not isinstance(value, str):
            return walk.malformed(at, value, "an id")
        found = self.found(value, walk.context)
        if found is LEFT:
            types, resolve = " or ".join(self._types), walk.context.resolve
            both = any(resolve(type_, value) is not None for type_ in self._types)
            why = f"has both a {types} with this id" if both else f"has no {types} with this id"
            walk.refuse(at, value, self._loss, f"the id map {why}")
        return found

    def found(self, value: Json, context: Context) -> Json:
        """Return the id in the target, or `LEFT` if there is not just one."""
        found = LEFT
        for type_ in self._types if isinstance(value, str) else ():
            target = context.resolve(type_, value)
            if target is not None:
                if found is not LEFT and found != target:
                    return LEFT
                found = target
        return found


class ManyNode(_Converting):
    """See `Many`."""

    def __init__(self, of: Node) -> None:
        """Take elements of this kind."""
        self._of = of

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Carry each element over, in order."""
        if not isinstance(value, list):
            return walk.malformed(at, value, "a list")
        if self._of.plain:
            return value
        convert = self._of.convert
        made = (convert(element, walk, f"{at}/{index}") for index, element in enumerate(value))
        return [element for element in made if element is not LEFT]

    def below(self, part: str) -> Below | None:
        """Lead to an element by its index, or behind the last."""
        is_index = part == "-" or (part.isascii() and part.isdecimal())
        return Below((part,), self._of) if is_index else None


class KeyedNode(_Converting):
    """See `Keyed`."""

    def __init__(self, of: Node) -> None:
        """Take values of this kind."""
        self._of = of

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Carry each value over under its key, the empty one included."""
        if not isinstance(value, dict):
            return walk.malformed(at, value, "an object")
        made = {key: self._of.convert(inner, walk, pointer_to(at, key)) for key, inner in value.items()}
        return {key: inner for key, inner in made.items() if inner is not LEFT}

    def below(self, part: str) -> Below:
        """Lead to the value of any key."""
        return Below((part,), self._of)


class Entry(Struct, frozen=True):
    """A member, in one direction.

    Attributes:
        names: its names in the target; the first is written, unless the object there has another.
        node: of its value.
        lost: why it is not translated, or `None`.
        unattested: whether no document shows it in the target.
        before: names in the source that count before this one.
        alias: what is to be said because it is read under a name that the target cannot tell.
    """

    names: tuple[str, ...]
    node: Node
    lost: Lost | None
    unattested: bool
    before: tuple[str, ...]
    alias: str

    def name(self, *, prefixed: bool) -> str:
        """Return the name to write where no object decides."""
        if prefixed:
            return next((name for name in self.names if name.startswith("xdm:")), self.names[0])
        return self.names[0]

    def told(self, value: Json, walk: Walk, at: str) -> None:
        """Tell what is said of this member whenever it is translated."""
        if self.unattested:
            walk.inform(at, value, Loss.UNATTESTED, f"no document shows a member {self.names[0]} here")
        if self.alias:
            walk.inform(at, value, Loss.SPELLING, self.alias)


class MembersNode(_Converting):
    """See `Members`.

    Attributes:
        entries: the members by each of their names in the source.
        rules: the rules of this direction.
    """

    def __init__(self, shape: Members, to: str) -> None:
        """Compile the members, and what is below them."""
        self.entries = {name: entry for member in shape.members for name, entry in _entries(member, to)}
        self.rules = tuple(rule for rule in shape.rules if rule.to == to)
        self._entire = shape.entire

    def convert(self, value: Json, walk: Walk, at: str) -> Json:
        """Carry each member over, then what holds between them."""
        if not isinstance(value, dict):
            return walk.malformed(at, value, "an object")
        rules = [rule for rule in self.rules if not rule.off(walk)] if self.rules else ()
        made = self.members(value, walk, at, rules)
        if made is not LEFT:
            for rule in rules:
                rule.settle(value, made, walk, at)
        return made

    def members(self, value: Mapping[str, Json], walk: Walk, at: str, rules: Iterable[Rule]) -> Any:
        """Carry over the members that none of `rules` reads."""
        made: dict[str, Json] = {}
        ruled = frozenset[str]().union(*(rule.reads for rule in rules))
        for name, inner in value.items():
            if name in ruled:
                continue
            entry, place = self.entries.get(name), pointer_to(at, name)
            if entry is None:
                walk.refuse(place, inner, Loss.UNKNOWN, "no table has this member")
            elif entry.lost is not None:
                tell_lost(entry.lost, inner, walk, place)
            elif not self._overruled(entry, inner, value, walk, place):
                one = entry.node.convert(inner, walk, place)
                if one is not LEFT:
                    entry.told(inner, walk, place)
                    made[entry.name(prefixed=walk.prefixed)] = one
                elif self._entire:
                    return LEFT
        return made

    def _overruled(self, entry: Entry, inner: Json, value: Mapping[str, Json], walk: Walk, place: str) -> bool:
        """Whether the object has the member under a name that counts before; tell if they differ."""
        better = next((name for name in entry.before if name in value), None) if entry.before else None
        if better is not None and not same(inner, value[better]):
            walk.inform(place, inner, Loss.SPELLING, f"the object has {better}, too, and that counts")
        return better is not None

    def below(self, part: str) -> Below | None:
        """Lead to a member."""
        entry = self.entries.get(part)
        return None if entry is None else Below(entry.names, entry.node, entry)


def tell_lost(lost: Lost, value: Json, walk: Walk, at: str) -> None:
    """Tell that a member has no counterpart."""
    severity = Severity.INFORMATIONAL if lost.harmless(value) else lost.severity
    walk.report(at, value, lost.loss, severity, lost.reason)


def _entries(member: Member, to: str) -> Iterable[tuple[str, Entry]]:
    source, target = (member.xcore, member.dps) if to == DPS else (member.dps, member.xcore)
    lost = member.lost if member.lost is not None and member.lost.to == to else None
    # Where xcore has a member under two names, the prefixed one counts (mapping 4.4).
    rank = sorted(source, key=lambda name: not name.startswith("xdm:"))
    node = compiled(member.shape, to)
    for name in source:
        alias = member.alias if to == XCORE and name != source[0] else ""
        yield name, Entry(target, node, lost, member.unattested == to, tuple(rank[: rank.index(name)]), alias)


def compiled(shape: Shape, to: str) -> Node:
    """Compile a shape for the direction that ends in `to`."""
    return _COMPILERS[type(shape)](shape, to)


_COMPILERS: Mapping[type[Shape], Callable[[Any, str], Node]] = {
    Shape: lambda _, __: Node(),
    Data: lambda _, __: DataNode(),
    Text: lambda shape, _: TextNode(shape),
    Whole: lambda _, __: WholeNode(),
    Date: lambda _, to: DateNode(to),
    Channel: lambda _, __: ChannelNode(),
    Word: WordNode,
    Ref: lambda shape, _: RefNode(shape),
    Many: lambda shape, to: ManyNode(compiled(shape.of, to)),
    Keyed: lambda shape, to: KeyedNode(compiled(shape.of, to)),
    Members: MembersNode,
}
