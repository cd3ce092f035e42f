"""What the server remembers: records on shelves, found by key, reference or name, or walked in an order.

Records are values; a write puts a new record in the place of the old one. There is one shelf for each style, scope and
entity; the scope is the container in xcore and the sandbox in dps.

Everything that is looked up has an index, and a write costs the same whether a shelf holds ten objects or a hundred
thousand: dictionaries for keys, references and names; for each order that a list was asked for in, a sorted list. A
write only notes that such a list is behind, for most lists are never asked for again. When one is, it catches up with
the writes since, and is sorted anew where that is cheaper: a page costs a binary search and what was written before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sortedcontainers import SortedList

from migrator.emulator.entities import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

SortKey = tuple[Any, ...]
"""What a record is sorted by. Its last part is the record's key, so no two are equal."""

_ORDERS_KEPT = 8
"""Orders that a shelf keeps; the one that was not asked for longest makes room for a ninth."""

_SORTED_ANEW = 1 / 8
"""Share of changed records from which on sorting all of them anew costs less than moving each to its place."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One object at one moment.

    Attributes:
        style: the endpoint style whose store holds it.
        scope: container id (xcore) or sandbox name (dps).
        word: its entity, such as ``personalized-offer``.
        key: what addresses it in a URL: instance id (xcore) or id (dps).
        reference: what other objects refer to it by: ``@id`` (xcore) or id (dps).
        name: its name, taken from the document.
        document: JSON of its business members, in the style's spelling, without those the service owns.
        etag: 1 when created, one more with each write.
        created_us: time of creation, microseconds since 1970.
        modified_us: time of the last write, microseconds since 1970.
        created_by: api key that created it.
        modified_by: api key that wrote last.
    """

    style: Style
    scope: str
    word: str
    key: str
    reference: str
    name: str
    document: bytes
    etag: int = 1
    created_us: int
    modified_us: int
    created_by: str
    modified_by: str


class Order(NamedTuple):
    """An order to walk a shelf in.

    Attributes:
        label: its name; two orders of one label are the same.
        key: what a record is sorted by.
        moves: whether a write can move a record in it; not where all that they are sorted by stays for good.
    """

    label: str
    key: Callable[[Record], SortKey]
    moves: bool


class _Sorted:
    """The records of a shelf in one order.

    Args:
        order: the order.
    """

    def __init__(self, order: Order) -> None:
        self._key = order.key
        self._moves = order.moves
        self._keys: SortedList | None = None
        self._changed: dict[str, Record | None] = {}

    def note(self, key: str, old: Record | None, new: Record | None) -> None:
        """Take note of a write; None stands for a record that was not there, or is there no more."""
        if self._keys is not None and (self._moves or old is None or new is None):
            self._changed.setdefault(key, old)
            if len(self._changed) > len(self._keys) * _SORTED_ANEW:
                self._keys = None
                self._changed.clear()

    def keys(self, records: Mapping[str, Record]) -> Sequence[SortKey]:
        """The sort keys of the records as they are now, sorted."""
        if self._keys is None:
            self._keys = SortedList(map(self._key, records.values()))
        for key, old in self._changed.items():
            before, after = (None if one is None else self._key(one) for one in (old, records.get(key)))
            if before != after:
                _move(self._keys, before, after)
        self._changed.clear()
        keys: Sequence[SortKey] = self._keys
        return keys


class Shelf:
    """The objects of one entity in one scope of one style."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._keys_by_name: dict[str, dict[str, None]] = {}
        self._by_reference: dict[str, Record] = {}
        self._orders: dict[str, _Sorted] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def get(self, key: str) -> Record | None:
        """The record of a key."""
        return self._records.get(key)

    def at(self, sort_keys: Iterable[SortKey]) -> list[Record]:
        """The records of sort keys that this shelf gave out."""
        return [self._records[sort_key[-1]] for sort_key in sort_keys]

    def ordered(self, order: Order) -> Sequence[SortKey]:
        """The sort keys of all records, sorted. The list is the shelf's own: read it before the next write."""
        known = self._orders.pop(order.label, None)
        if known is None:
            known = _Sorted(order)
        self._orders[order.label] = known
        if len(self._orders) > _ORDERS_KEPT:
            del self._orders[next(iter(self._orders))]
        return known.keys(self._records)

    def named(self, name: str) -> list[Record]:
        """The records of a name."""
        return [self._records[key] for key in self._keys_by_name.get(name, ())]

    def referenced(self, reference: str) -> Record | None:
        """The record that a reference means."""
        return self._by_reference.get(reference)

    def put(self, record: Record) -> Record | None:
        """Add a record, or replace the one of the same key. Returns the one that was replaced."""
        old = self._records.get(record.key)
        self._records[record.key] = record
        self._by_reference[record.reference] = record
        if old is None or old.name != record.name:
            self._forget_name(old)
            self._keys_by_name.setdefault(record.name, {})[record.key] = None
        for known in self._orders.values():
            known.note(record.key, old, record)
        return old

    def remove(self, key: str) -> None:
        """Forget a record."""
        old = self._records.pop(key)
        del self._by_reference[old.reference]
        self._forget_name(old)
        for known in self._orders.values():
            known.note(key, old, None)

    def _forget_name(self, old: Record | None) -> None:
        if old is not None:
            keys = self._keys_by_name[old.name]
            del keys[old.key]
            if not keys:
                del self._keys_by_name[old.name]


def _move(keys: SortedList, before: SortKey | None, after: SortKey | None) -> None:
    if before is not None:
        keys.remove(before)
    if after is not None:
        keys.add(after)


class Store:
    """All shelves."""

    def __init__(self) -> None:
        self._scopes: defaultdict[tuple[Style, str], defaultdict[str, Shelf]] = defaultdict(lambda: defaultdict(Shelf))

    def __iter__(self) -> Iterator[Record]:
        for shelves in self._scopes.values():
            for shelf in shelves.values():
                yield from shelf

    def shelf(self, style: Style, scope: str, word: str) -> Shelf:
        """The shelf of an entity in a scope; an empty one when nothing was ever put there."""
        return self._scopes[style, scope][word]

    def find(self, style: Style, scope: str, key: str) -> Record | None:
        """The record of a key, of whatever entity."""
        for shelf in self._scopes[style, scope].values():
            if record := shelf.get(key):
                return record
        return None

    def referenced(self, style: Style, scope: str, words: Iterable[str], reference: str) -> Record | None:
        """The record that a reference means, of one of a few entities."""
        shelves = self._scopes[style, scope]
        for word in words:
            if record := shelves[word].referenced(reference):
                return record
        return None

    def put(self, record: Record) -> Record | None:
        """Add a record, or replace the one of the same key. Returns the one that was replaced."""
        return self.shelf(record.style, record.scope, record.word).put(record)

    def remove(self, record: Record) -> None:
        """Forget a record."""
        self.shelf(record.style, record.scope, record.word).remove(record.key)

    def clear(self) -> None:
        """Forget everything."""
        self._scopes.clear()

    def counts(self) -> dict[str, Counter[str]]:
        """Number of objects by style and entity."""
        counts: dict[str, Counter[str]] = {}
        for (style, _), shelves in self._scopes.items():
            sizes = {word: len(shelf) for word, shelf in shelves.items() if len(shelf)}
            counts.setdefault(style, Counter()).update(sizes)
        return counts
