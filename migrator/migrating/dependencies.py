"""What a decision needs, and what that needs in turn: a tree, told before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from migrator.migrating.catalogue import Catalogue, Fate

Node = tuple[str, str]
"""Type and id of an object, or of what lies outside."""


class Need(Struct, frozen=True):
    """A line of the tree.

    Attributes:
        depth: how far it is from the decision, which has 0.
        type: of the object, or of what lies outside.
        id: by which the source refers to it.
        name: its name; "" if it is not in the source.
        fate: what becomes of it; `None` if it is not in the source.
        why: why it is not made; of what is not in the source, where it leads; "" if there is nothing to say.
        above: whether it was told of before; then what it needs is not told again.
        needed_by: id of what needs it, "" for the decision.
    """

    depth: int
    type: str
    id: str
    name: str
    fate: Fate | None
    why: str
    above: bool
    needed_by: str


class More(Struct, frozen=True):
    """Stands for further objects of a type that one object needs.

    Attributes:
        depth: as theirs.
        type: theirs.
        fates: how many there are, by what becomes of them.
    """

    depth: int
    type: str
    fates: Counter[Fate | None]


class Dependencies:
    """Tells what is needed."""

    def __init__(self, source: Catalogue, resolve: Callable[[str, str], str | None]) -> None:
        """Tell of what `source` has noted; `resolve` knows where a reference leads that is not in it."""
        self._source = source
        self._resolve = resolve
        self._told: set[Node] = set()

    def of(self, root: Node, most: int = 0) -> Iterator[Need | More]:
        """Yield an object and all it needs, each below what needs it.

        Args:
            root: the object.
            most: of each type, tell of so many that one object needs, those first that are not made; 0 for all.
        """
        self._told.clear()
        return self._below(root, "", 0, most)

    def _below(self, node: Node, needed_by: str, depth: int, most: int) -> Iterator[Need | More]:
        above = node in self._told
        self._told.add(node)
        yield self._need(node, needed_by, depth, above=above)
        needs: dict[str, list[Node]] = {}
        for one in () if above else self._source.needs_of(*node):
            needs.setdefault(one[0], []).append(one)
        for type_, nodes in needs.items():
            shown, rest = self._cut(nodes, most)
            for one in shown:
                yield from self._below(one, node[1], depth + 1, most)
            if rest:
                yield More(depth + 1, type_, Counter(self._source.fate(*one) for one in rest))

    def _cut(self, nodes: Sequence[Node], most: int) -> tuple[Sequence[Node], Sequence[Node]]:
        if not most or len(nodes) <= most:
            return nodes, ()
        found = sorted(nodes, key=lambda node: self._source.fate(*node) is Fate.MAKE)
        return found[:most], found[most:]

    def _need(self, node: Node, needed_by: str, depth: int, *, above: bool) -> Need:
        type_, id_ = node
        entry = self._source.referred(type_, id_)
        if entry is None:
            target = self._resolve(type_, id_)
            why = f"there as {target}" if target else f"not in the source, and the id map has no {type_} with this id"
            return Need(depth, type_, id_, "", None, why, above, needed_by)
        fate, why = self._source.settled(type_, id_)
        return Need(depth, type_, id_, entry.name, fate, why, above, needed_by)
