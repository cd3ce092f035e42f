"""Patches in the other style, one operation after the other (mapping, section 7).

Most operations are renamed, and their value is carried over by the table. What is left are operations on members that
rules hold between: these may become several or none, and may need the object. Where it is known, such a rule is asked
what it makes of the object before and after, and the difference is what is sent; otherwise the rule says itself what
can be told without, or the patch is refused. So a patch is never half a translation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.compare import same_place, shows
from migrator.core.mapping.documents import translate_document
from migrator.core.mapping.losses import ALLOWABLE, Loss, Refused, Translated, Translation
from migrator.core.mapping.nodes import RefNode
from migrator.core.mapping.routes import ROOTS, Route, Table, Touch, spelled, table
from migrator.core.mapping.shapes import XCORE
from migrator.core.mapping.walk import LEFT, UNKNOWN, Context, Known, Walk
from migrator.core.model import EntityType, Json, Operation
from migrator.core.patch import CannotApply, apply
from migrator.core.pointers import APPEND, pointer_to, value_at
from migrator.core.styles import STYLES
from migrator.core.values import shown

_SETTING = ("add", "replace")
_NOT_TO_BE_TOLD = "what becomes of this is known only with the object that the patch was written for"


class _Share(IntEnum):
    """How much of an operation a rule has taken care of."""

    NONE = 0
    EFFECT = 1
    """What is sent; the value is still to be looked at, for what is lost in it."""
    ALL = 2


Carry: TypeAlias = Callable[[Json, Context], Json]
"""Returns a value in the target's spelling, for a context; or `LEFT` if there is something to be told of it, so that it
has to be translated as any other."""


class Setting(Struct, frozen=True):
    """How all operations are translated that set a place in an object that is not known, to a value that is not empty.

    Attributes:
        path: the place in the target.
        carry: see `Carry`; `None` if every value stays as it is.
    """

    path: str
    carry: Carry | None


def setting(type_: EntityType, operation: Operation, to: str, context: Context) -> Setting | None:
    """Return how operations of this `op` and `path` are translated, or `None` if it takes more than that.

    It says what `translate_operations` does, to be said once for many lines.

    Args:
        type_: of the objects.
        operation: one of the operations.
        to: the style that is wanted.
        context: what is allowed.
    """
    compiled = table(type_, to)
    route = compiled.route(operation.path)
    if operation.op not in _SETTING or not route.set_as:
        return None
    if route.keeps_values(context):
        return Setting(route.set_as, None)
    if isinstance(route.node, RefNode):
        return Setting(route.set_as, route.node.found)

    walk, convert, path = Walk(context, type_, compiled.direction, ""), route.node.convert, operation.path

    def carry(value: Json, context: Context) -> Json:
        walk.context = context
        made = convert(value, walk, path)
        if not walk.reports:
            return made
        walk.reports.clear()
        return LEFT

    return Setting(route.set_as, carry)


def translate_operations(
    type_: EntityType, operations: Sequence[Operation], from_: str, to: str, context: Context, known: Known = UNKNOWN
) -> Translation[tuple[Operation, ...]]:
    """Spell a patch in the other style.

    Args:
        type_: of the object.
        operations: the patch.
        from_: the style that it is in.
        to: the style that it is wanted in.
        context: what may be asked, and what is allowed.
        known: the object, as far as it is known.

    Returns:
        The operations, in their order, each where its original was or several or none; or what stands in the way.
        Pointers of reports are those of `operations`.
    """
    if from_ == to:
        return Translated(tuple(operations))
    compiled = table(type_, to)
    if known.source is UNSET and known.target is UNSET:
        plain = [_plain(operation, compiled, context) for operation in operations]
        if None not in plain:
            return Translated(tuple(filter(None, plain)))
    return _Patch(compiled, operations, context, known).translated()


def counterparts(type_: EntityType, to: str, pointer: str, context: Context) -> tuple[str, ...]:
    """Return the pointers in the other style that setting a member may lead to, if the object is not known.

    Args:
        type_: of the object.
        to: the style that is wanted.
        pointer: the member.
        context: what is allowed.
    """
    compiled = table(type_, to)
    route, walk = compiled.route(pointer), Walk(context, type_, compiled.direction, "")
    found: list[str] = []
    active = [touch for touch in route.touches if not touch.rule.off(walk)]
    for touch in active:
        if touch.rule.alone is not None:
            prefix, _ = spelled(ROOTS[to], touch.target)
            found += [made.path for made in touch.rule.alone(Operation("add", pointer), prefix, walk, ())]
    if route.lost is None and not any(touch.part in touch.rule.reads for touch in active):
        found.append(spelled(ROOTS[to], route.parts)[0])
    return tuple(found)


def _plain(operation: Operation, compiled: Table, context: Context) -> Operation | None:
    """Return an operation in the other style if it needs nothing but renaming, which most do."""
    if operation.op not in ("remove", *_SETTING):
        return None
    route = compiled.route(operation.path)
    sets = operation.op in _SETTING and operation.value and route.keeps_values(context)
    path = route.set_as if sets else route.renamed
    return Operation(operation.op, path, operation.value) if path else None


class _Patch:
    """One patch under way."""

    def __init__(self, compiled: Table, operations: Sequence[Operation], context: Context, known: Known) -> None:
        self._table = compiled
        self._operations = operations
        self._walk = Walk(context, compiled.type, compiled.direction, known.id)
        self._root = ROOTS[compiled.target]
        self._target = known.target
        self._derived = known.source is UNSET and known.target is not UNSET
        self._source = self._derive(known.target, context) if self._derived else known.source
        self._first = self._source
        self._later: dict[int, Touch] = {}
        self._made: list[Operation] = []

    def _derive(self, target: Json, context: Context) -> Json | UnsetType:
        """Return what the source would be, from what the target is: enough for rules that go by the target."""
        all_allowed = msgspec.structs.replace(context, allowed=frozenset(ALLOWABLE), resolve=lambda _, id_: id_)
        own = value_at(target, self._root)
        made = translate_document(self._table.type, own, self._table.target, self._table.source, all_allowed)
        if isinstance(made, Refused):
            return UNSET
        return {"_instance": made.result} if self._table.source == XCORE else made.result

    def translated(self) -> Translation[tuple[Operation, ...]]:
        """Translate all operations, then what rules make of them together."""
        for operation in self._operations:
            self._take(operation)
        for touch in self._later.values():
            if self._source is UNSET:
                self._walk.refuse(touch.source, None, Loss.NEEDS_OBJECT, touch.rule.needs or _NOT_TO_BE_TOLD)
            else:
                self._settle(touch, self._first)
        reports = tuple(self._walk.reports)
        return Refused(reports) if self._walk.refused else Translated(tuple(self._made), reports)

    def _refuse(self, operation: Operation, loss: Loss, reason: str) -> None:
        self._walk.refuse(operation.path, operation.value, loss, reason)

    # One operation

    def _take(self, operation: Operation) -> None:
        if operation.op not in STYLES[self._table.source].rules.operations:
            self._refuse(operation, Loss.OPERATION, f"{self._table.source} has no operation {operation.op}")
            return
        before = self._source
        self._advance(operation)
        if operation.op == "test":
            self._test(operation, before)
        elif operation.op == "copy":
            self._copy(operation, before)
        else:
            self._change(operation, before)

    def _advance(self, operation: Operation) -> None:
        """Make the operation on the source, as far as it is known."""
        if self._source is UNSET:
            return
        try:
            self._source = apply([operation], self._source)
        except CannotApply as error:
            if not self._derived:
                self._refuse(operation, Loss.OPERATION, f"the object is not one for this operation: {error}")
            elif not self._table.route(operation.path).touches:
                return  # what the target does not have of the source, no rule asks for
            self._source = UNSET

    def _change(self, operation: Operation, before: Json | UnsetType) -> None:
        route = self._table.route(operation.path)
        active = [touch for touch in route.touches if not touch.rule.off(self._walk)]
        share = max([self._ruled(touch, operation, before) for touch in active], default=_Share.NONE)
        if share is _Share.ALL:
            return
        if route.lost is not None:
            self._refuse(operation, route.lost.loss, route.lost.reason)
            return
        made = self._carried(operation, route)
        if made is not None and share is _Share.NONE:
            self._emit(made, operation)

    def _carried(self, operation: Operation, route: Route) -> Operation | None:
        """Rename an operation and carry its value over, or return `None` if nothing is left of it."""
        walk, value = self._walk, operation.value
        path, walk.prefixed = spelled(self._root, route.parts, self._target)
        if operation.op in _SETTING:
            value = route.node.convert(value, walk, operation.path)
        walk.prefixed = False
        if value is LEFT:
            return None
        for entry in route.entries:
            entry.told(operation.value, walk, operation.path)
        return Operation(operation.op, path, value)

    # What the target takes

    def _emit(self, made: Operation, origin: Operation) -> None:
        """Add an operation, as the target needs it if that is known."""
        if self._target is UNSET:
            self._made.append(made)
            return
        fitting = self._fitting(made, origin)
        if fitting is None:
            return
        try:
            self._target = apply([fitting], self._target)
        except CannotApply as error:
            self._refuse(origin, Loss.OPERATION, f"the object in {self._table.target} is not one for it: {error}")
            return
        self._made.append(fitting)

    def _fitting(self, made: Operation, origin: Operation) -> Operation | None:
        """Return an operation for a target that may lack what the source has (mapping 7, step 7)."""
        above, _, last = made.path.rpartition("/")
        if made.op == "add" and last in (APPEND, "0") and value_at(self._target, above) is UNSET:
            return Operation("add", above, [made.value])
        if made.op == "add" or value_at(self._target, made.path) is not UNSET:
            return made
        if made.op == "remove":
            self._walk.inform(origin.path, None, Loss.NO_COUNTERPART, "there is nothing to remove")
            return None
        return Operation("add", made.path, made.value)

    # Rules

    def _ruled(self, touch: Touch, operation: Operation, before: Json | UnsetType) -> _Share:
        """Ask a rule about an operation."""
        rule = touch.rule
        if self._source is UNSET or (self._derived and not rule.by_target):
            return self._ruled_alone(touch, operation)
        owns = touch.part in rule.reads
        if rule.at_end:
            self._later[id(rule)] = touch
            return _Share.ALL if owns else _Share.NONE
        self._settle(touch, before)
        if owns:
            return _Share.ALL
        entry = touch.node.entries[touch.part]
        return _Share.EFFECT if rule.writes.intersection(entry.names) else _Share.NONE

    def _ruled_alone(self, touch: Touch, operation: Operation) -> _Share:
        """Ask a rule about an operation on an object that is not known."""
        rule, owns = touch.rule, touch.part in touch.rule.reads
        if rule.alone is not None:
            prefix, _ = spelled(self._root, touch.target)
            for made in rule.alone(operation, prefix, self._walk, self._operations):
                self._emit(made, operation)
            return _Share.ALL if owns else _Share.NONE
        if owns and rule.needs:
            self._refuse(operation, Loss.NEEDS_OBJECT, rule.needs)
            return _Share.ALL
        return _Share.NONE

    def _settle(self, touch: Touch, before: Json | UnsetType) -> None:
        """Emit what a rule makes of the difference between the object as it was and as it is."""
        rule = touch.rule
        prefix, _ = spelled(self._root, touch.target, self._target)
        old = self._written(touch, before, self._walk.quiet())
        new = self._written(touch, self._source, self._walk)
        actual = old
        if self._target is not UNSET:
            held = value_at(self._target, prefix)
            actual = {name: held[name] for name in rule.writes if name in held} if isinstance(held, dict) else {}
            new = rule.merge(actual, old, new) if rule.merge is not None else new
        origin = Operation("add", touch.source)
        for name in sorted(rule.writes):
            for made in _changes(f"{prefix}/{name}", actual.get(name, UNSET), new.get(name, UNSET)):
                self._emit(made, origin)

    def _written(self, touch: Touch, document: Json | UnsetType, walk: Walk) -> dict[str, Any]:
        """Return the members that a rule writes, for the object in a document of the source."""
        source = value_at(document, touch.source) if document is not UNSET else UNSET
        if not isinstance(source, dict):
            return {}
        made = touch.node.members(source, walk.quiet(), touch.source, touch.node.rules)
        if made is LEFT:
            return {}
        touch.rule.settle(source, made, walk, touch.source)
        return {name: made[name] for name in touch.rule.writes if name in made}

    # What xcore does not have

    def _test(self, operation: Operation, before: Json | UnsetType) -> None:
        """Look now: if the test holds nothing is sent for it, and the version guards what is."""
        route = self._table.route(operation.path)
        if self._target is UNSET and (before is UNSET or self._derived):
            reason = "xcore has no test, and the object is not known here: what it guards would not be guarded"
            self._refuse(operation, Loss.GUARD, reason)
        elif not self._derived and before is not UNSET:
            self._judge(operation, value_at(before, operation.path), operation.value)
        elif route.lost is not None or any(not touch.rule.off(self._walk) for touch in route.touches):
            self._refuse(operation, Loss.NEEDS_OBJECT, "what is tested is not there to be looked at in xcore")
        else:
            wanted = route.node.convert(operation.value, self._walk, operation.path)
            path, _ = spelled(self._root, route.parts, self._target)
            self._judge(operation, value_at(self._target, path), wanted)

    def _judge(self, operation: Operation, now: Json | UnsetType, wanted: Json) -> None:
        if now is UNSET or not shows(now, wanted):
            self._refuse(operation, Loss.OPERATION, f"the test fails: it is {shown(now)}, not {shown(wanted)}")

    def _copy(self, operation: Operation, before: Json | UnsetType) -> None:
        """Read what is to be copied, as it is at this point of the patch."""
        if not self._derived and before is not UNSET:
            value = value_at(before, operation.source)
            self._change(Operation("add", operation.path, None if value is UNSET else value), before)
            return
        route, onto = self._table.route(operation.source), self._table.route(operation.path)
        path, _ = spelled(self._root, route.parts, self._target)
        value = value_at(self._target, path) if self._target is not UNSET and route.lost is None else UNSET
        if value is UNSET or route.touches or onto.touches or onto.lost is not None:
            self._refuse(operation, Loss.NEEDS_OBJECT, "xcore has no copy, and what is copied is not known here")
            return
        path, _ = spelled(self._root, onto.parts, self._target)
        self._emit(Operation("add", path, value), operation)


def _changes(path: str, old: Json | UnsetType, new: Json | UnsetType) -> Iterator[Operation]:
    """Yield the operations that make one value of another, place by place; of lists, the end first."""
    if same_place(old, new):
        return
    if new is UNSET:
        yield Operation("remove", path)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from _changes(pointer_to(path, name), old.get(name, UNSET), new.get(name, UNSET))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(len(old) - 1, len(new) - 1, -1):
            yield Operation("remove", f"{path}/{index}")
        for index, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _changes(f"{path}/{index}", one, other)
        for element in new[len(old) :]:
            yield Operation("add", f"{path}/{APPEND}", element)
    else:
        yield Operation("add" if old is UNSET else "replace", path, new)
