"""Routes: where a pointer of one style leads in the other.

A file of a million rows has a handful of pointers, so a route is found once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from msgspec import Struct

from migrator.core.mapping.losses import Loss, Severity
from migrator.core.mapping.nodes import Below, Entry, MembersNode, Node, TextNode, compiled
from migrator.core.mapping.shapes import DPS, XCORE, Lost, Rule
from migrator.core.mapping.tables import TABLES
from migrator.core.mapping.walk import Context
from migrator.core.model import EntityType, Json
from migrator.core.pointers import parts_of, pointer_to, value_at
from migrator.core.styles import STYLES

ROOTS: Mapping[str, str] = {name: style.root for name, style in STYLES.items()}
"""The pointer to an object's own members, by style."""

MOST_ROUTES = 65_536
"""Routes of a table that are kept: pointers may differ by an index or by a key without end."""


class Touch(Struct, frozen=True):
    """A rule that a pointer leads through.

    Attributes:
        rule: the rule.
        node: the object that it is for.
        part: the member of that object that the pointer leads to or into.
        source: pointer to the object in the source.
        target: the parts that lead to it in the target, as in `Route`.
    """

    rule: Rule
    node: MembersNode
    part: str
    source: str
    target: tuple[tuple[str, ...], ...]


class Route(Struct, frozen=True):
    """Where a pointer leads.

    Attributes:
        source: the pointer.
        parts: the parts behind the root in the target; each may have several names, of which the object there decides.
        node: of the value.
        lost: why there is no counterpart, or `None`.
        entries: the members of the table that the pointer leads through.
        touches: the rules that it leads through.
        renamed: the pointer in the target, if that is all that any operation there takes; otherwise "".
        set_as: the pointer in the target, if all that it takes to set a value there, one that is not empty in an object
            that is not known, is to carry the value over; otherwise "".
    """

    source: str
    parts: tuple[tuple[str, ...], ...]
    node: Node
    lost: Lost | None
    entries: tuple[Entry, ...]
    touches: tuple[Touch, ...]
    renamed: str
    set_as: str

    def keeps_values(self, context: Context) -> bool:
        """Whether each value stays as it is."""
        return self.node.plain or (isinstance(self.node, TextNode) and not context.other_sandbox)


class Table:
    """The table of one type, compiled for one direction.

    Attributes:
        type: the type.
        source: the style that is read.
        target: the style that is written.
        node: of the whole object.
    """

    def __init__(self, type_: EntityType, to: str) -> None:
        """Compile the table of `type_` for the direction that ends in `to`."""
        self.type = type_
        self.target = to
        self.source = XCORE if to == DPS else DPS
        self.node = compiled(TABLES[type_], to)
        self._routes: dict[str, Route] = {}

    @property
    def direction(self) -> str:
        """The direction, in the words of a report."""
        return f"{self.source} → {self.target}"

    def route(self, pointer: str) -> Route:
        """Return where a pointer leads."""
        route = self._routes.get(pointer)
        if route is None:
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            route = self._routes[pointer] = self._find(pointer)
        return route

    def _find(self, pointer: str) -> Route:
        root = ROOTS[self.source]
        if pointer in ("", root):
            return Route(pointer, (), self.node, None, (), (), "", "")
        if not pointer.startswith(f"{root}/"):
            reason = f"{self.target} has nothing for what {self.source} keeps beside the object"
            return self._dead(pointer, Lost(self.target, Loss.ENVELOPE, Severity.SEVERE, reason))
        node, source = self.node, root
        found: list[Below] = []
        touches: list[Touch] = []
        for part in parts_of(pointer[len(root) :]):
            target = tuple(step.names for step in found)
            touches += _touches(node, part, source, target)
            step = node.below(part)
            if step is None:
                reason = f"no table has a place {pointer}"
                return self._dead(pointer, Lost(self.target, Loss.UNKNOWN, Severity.SEVERE, reason), touches)
            if step.entry is not None and step.entry.lost is not None:
                return self._dead(pointer, step.entry.lost, touches)
            found.append(step)
            node, source = step.node, pointer_to(source, part)
        return self._alive(pointer, found, touches)

    def _dead(self, pointer: str, lost: Lost, touches: Sequence[Touch] = ()) -> Route:
        return Route(pointer, (), self.node, lost, (), tuple(touches), "", "")

    def _alive(self, pointer: str, found: Sequence[Below], touches: Sequence[Touch]) -> Route:
        parts = tuple(step.names for step in found)
        entries = tuple(step.entry for step in found if step.entry is not None)
        node = found[-1].node
        told = any(entry.unattested or entry.alias for entry in entries)
        sure = not told and all(len(names) == 1 for names in parts)
        path = spelled(ROOTS[self.target], parts)[0] if sure else ""
        renamed = path if node.plain and not touches else ""
        set_as = path if all(map(_keeps_silent, touches)) else ""
        return Route(pointer, parts, node, None, entries, tuple(touches), renamed, set_as)


def _keeps_silent(touch: Touch) -> bool:
    """Whether a rule has nothing to say where a member of an object that is not known is given a value."""
    rule = touch.rule
    return touch.part not in rule.reads and (rule.alone is None or rule.content_with_values)


def _touches(node: Node, part: str, source: str, target: tuple[tuple[str, ...], ...]) -> list[Touch]:
    """Return the rules of an object that a member of it matters to."""
    if not isinstance(node, MembersNode):
        return []
    return [
        Touch(rule, node, part, source, target) for rule in node.rules if part in rule.reads or part in rule.watches
    ]


def spelled(root: str, parts: Sequence[tuple[str, ...]], document: Json = None) -> tuple[str, bool]:
    """Spell a route as a pointer.

    Args:
        root: what stands before it.
        parts: as in `Route`.
        document: the object there, which decides between names; `None` if it is not known.

    Returns:
        The pointer, and whether members that xcore spells either way have their prefix there.
    """
    pointer, prefixed = root, False
    for names in parts:
        name = names[0]
        if len(names) > 1:
            there = value_at(document, pointer)
            held = [one for one in names if isinstance(there, dict) and one in there]
            by_prefix = [one for one in names if one.startswith("xdm:")] if prefixed else []
            name = (held or by_prefix or names)[0]
            prefixed = name.startswith("xdm:")
        pointer = pointer_to(pointer, name)
    return pointer, prefixed


@cache
def table(type_: EntityType, to: str) -> Table:
    """Return the compiled table of a type for the direction that ends in `to`."""
    return Table(type_, to)
