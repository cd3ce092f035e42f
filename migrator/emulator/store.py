"""What the server remembers: records on shelves, found by key, reference or name, or walked in an order.

Records are values; a write puts a new record in the place of the old one. There is one shelf for each style, scope and
entity: the styles are separate stores (C-14), the scope is the container in xcore and the sandbox in dps.

Orders are kept as sorted lists of keys, built when a list is first asked for in that order and kept up to date after
that, so a page costs a binary search and not a sort.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from migrator.emulator.entities import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SortKey = tuple[Any, ...]
"""What a record is sorted by. Its last part is the record's key, so no two are equal."""


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
    """

    label: str
    key: Callable[[Record], SortKey]


BY_NAME = Order("name", lambda record: (record.name, record.key))
"""Alphabetically."""

BY_REFERENCE = Order("reference", lambda record: (record.reference, record.key))
"""By what other objects refer to it by."""


class Shelf:
    """The objects of one entity in one scope of one style."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._orders: dict[str, tuple[Order, list[SortKey]]] = {}

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

    def ordered(self, order: Order) -> list[SortKey]:
        """The sort keys of all records, sorted. The list is the shelf's own: read it before the next write."""
        known = self._orders.get(order.label)
        if known is None:
            known = order, sorted(map(order.key, self))
            self._orders[order.label] = known
        return known[1]

    def matching(self, order: Order, value: str) -> list[Record]:
        """The records whose sort key begins with a value."""
        keys = self.ordered(order)
        first = bisect_left(keys, (value,))
        return self.at(itertools.takewhile(lambda key: key[0] == value, itertools.islice(keys, first, None)))

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of the same key."""
        old = self._records.get(record.key)
        self._records[record.key] = record
        self._reorder(old, record)

    def remove(self, key: str) -> None:
        """Forget a record."""
        self._reorder(self._records.pop(key), None)

    def _reorder(self, old: Record | None, new: Record | None) -> None:
        for order, keys in self._orders.values():
            before = None if old is None else order.key(old)
            after = None if new is None else order.key(new)
            if before != after:
                _move(keys, before, after)


def _move(keys: list[SortKey], before: SortKey | None, after: SortKey | None) -> None:
    if before is not None:
        del keys[bisect_left(keys, before)]
    if after is not None:
        insort(keys, after)


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

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of the same key."""
        self.shelf(record.style, record.scope, record.word).put(record)

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
            sizes = {word: len(shelf) for word, shelf in shelves.items()}
            counts.setdefault(style, Counter()).update(sizes)
        return counts
