"""Walking a list page by page: sort terms, sort keys, and where a page begins.

Any member can be sorted by, and members hold values of any type or are absent. A value therefore becomes a *rank*, a
pair that compares with every other rank: absent before numbers before text before the rest. Descending ranks are the
mirror image, so that one ascending list serves both directions, and ties are broken by the record's key.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator.errors import bad_query
from migrator.emulator.store import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from migrator.emulator.store import Record, Shelf, SortKey

    ReadMember = Callable[[Record, str], Any]
    """The value of a record at a dotted path of its style; None when absent."""

DEFAULT_LIMIT = 50
"""Objects on a page when the client asks for no number (C-10)."""

Rank = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of ``orderby``: a dotted path, and which way."""

    path: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.path}" if self.descending else self.path

    def rank(self, value: Any) -> Rank:
        """A value as something that sorts."""
        kind, sortable = _rank(value)
        if not self.descending:
            return kind, sortable
        return -kind, _Mirrored(sortable) if isinstance(sortable, str) else -sortable


@dataclass(frozen=True, slots=True)
class _Mirrored:
    text: str

    def __lt__(self, other: _Mirrored) -> bool:
        return other.text < self.text


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a walk.

    Attributes:
        records: what is on it.
        total: number of all that match.
        before: the first record of the page before; None on the first page.
        before_that: the record in front of that one; None when there is none.
        after: the first record of the page after; None on the last page.
    """

    records: list[Record]
    total: int
    before: Record | None
    before_that: Record | None
    after: Record | None


def parse_terms(text: str) -> list[Term]:
    """Read ``-modified,name``."""
    parts = (part.strip() for part in text.split(","))
    return [Term(part.removeprefix("-"), part.startswith("-")) for part in parts if part]


def order_by(terms: Sequence[Term], read: ReadMember, fixed: Collection[str] = ()) -> Order:
    """The order that terms describe, ties broken by key.

    Args:
        terms: what to sort by.
        read: reads the values.
        fixed: paths at which an object has the same value for as long as it lives.
    """

    def key(record: Record) -> SortKey:
        return *(term.rank(read(record, term.path)) for term in terms), record.key

    return Order(f"orderby={','.join(map(str, terms))}", key, moves=any(term.path not in fixed for term in terms))


def parse_limit(query: Mapping[str, str], largest: int | None) -> int:
    """The page size to use.

    Args:
        query: where the client says how many it wants.
        largest: more than this are cut to it without a word; None when what the client wants does not count (C-10).

    Raises:
        ProblemError: it is not a positive number.
    """
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise bad_query("limit is a positive number")
    return DEFAULT_LIMIT if largest is None else min(int(text), largest)


def cut(
    shelf: Shelf,
    keys: Sequence[SortKey],
    limit: int,
    *,
    after: SortKey | None = None,
    since: SortKey | None = None,
) -> Page:
    """Cut one page out of sorted keys.

    Args:
        shelf: where the keys come from.
        keys: all that match, sorted.
        limit: size of the page.
        after: begin strictly after this key, as xcore does.
        since: begin with the first key that is not below this one, as dps does (C-20).
    """
    first = bisect_right(keys, after) if after is not None else bisect_left(keys, since or ())
    beyond, before = first + limit, max(0, first - limit)

    def at(index: int) -> Record | None:
        return next(iter(shelf.at(keys[index : index + 1])), None)

    return Page(
        records=shelf.at(keys[first:beyond]),
        total=len(keys),
        before=at(before) if first else None,
        before_that=at(before - 1) if before else None,
        after=at(beyond),
    )


def dotted(document: Any, path: str) -> Any:
    """The value at a dotted path in a JSON value; None when there is none."""
    for member in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(member)
    return document


def _rank(value: Any) -> Rank:
    match value:
        case None:
            return 1, 0
        case bool() | int() | float():
            return 2, value
        case str():
            return 3, value
        case _:
            return 4, msgspec.json.encode(value).decode()
