"""Where a page of a dps list begins (C-20).

As observed, a cursor is the first sort value of the page's first entry, which leaves no way through more objects of one
instant than fit on a page. The other side is what a careful service would do: all sort values and the id of the entry
before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote

import msgspec

from migrator.emulator import instants
from migrator.emulator.dps_views import DATES, cursor
from migrator.emulator.errors import ProblemError, bad_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.emulator.paging import Page, Rank, Term
    from migrator.emulator.store import Record, SortKey


class Cursors(Protocol):
    """One kind of cursor."""

    def begin(self, start: str | None, terms: Sequence[Term]) -> dict[str, SortKey]:
        """Where a page begins, as an argument of `paging.cut`.

        Raises:
            ProblemError: the cursor does not fit the order.
        """

    def around(self, page: Page, terms: Sequence[Term]) -> dict[str, str | None]:
        """The cursors of the next and the previous page, as far as there are any; None begins at the first entry."""


class TimeCursors:
    """A value, inclusive, blind to ties."""

    def begin(self, start: str | None, terms: Sequence[Term]) -> dict[str, SortKey]:
        """Begin with the first entry that is not below the value."""
        return {} if start is None else {"since": (_rank(start, terms[0]),)}

    def around(self, page: Page, terms: Sequence[Term]) -> dict[str, str | None]:
        """Name the first entry of each page."""
        firsts = {"next": page.after, "prev": page.before}
        return {rel: cursor(record, terms[0].path) for rel, record in firsts.items() if record is not None}


class TieSafeCursors:
    """All values and an id, exclusive."""

    def begin(self, start: str | None, terms: Sequence[Term]) -> dict[str, SortKey]:
        """Begin after the entry."""
        if start is None:
            return {}
        *values, key = map(unquote, start.split(","))
        if len(values) != len(terms):
            raise _misfit()
        return {"after": (*map(_rank, values, terms), key)}

    def around(self, page: Page, terms: Sequence[Term]) -> dict[str, str | None]:
        """Name the last entry before each page."""
        ends: dict[str, str | None] = {}
        if page.after is not None:
            ends["next"] = _whole(page.records[-1], terms)
        if page.before is not None:
            ends["prev"] = None if page.before_that is None else _whole(page.before_that, terms)
        return ends


CURSORS: Mapping[str, Cursors] = {"time": TimeCursors(), "tie-safe": TieSafeCursors()}
"""The kinds of cursor by the value of C-20."""


def _whole(record: Record, terms: Sequence[Term]) -> str:
    values = (cursor(record, term.path) for term in terms)
    return ",".join(quote(value, safe=":") for value in (*values, record.key))


def _rank(text: str, term: Term) -> Rank:
    try:
        return term.rank(_value(text, term.path))
    except ValueError as failure:
        raise _misfit() from failure


def _value(text: str, path: str) -> Any:
    if path in DATES:
        return instants.parse(text) // 1000
    return text if path == "id" else msgspec.json.decode(text)


def _misfit() -> ProblemError:
    return bad_query("start does not fit orderby")
