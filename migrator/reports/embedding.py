"""Rows of a run as JSON inside of an HTML page, from which a script shows them.

Of each row the page has a short array, to list, filter and search, and an object with the rest, which is only read when
somebody opens the row. Both come in chunks of as many rows, so that neither the page's maker nor its reader holds all
that is long. Words that many rows have are numbers into lists, which stand behind all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
from markupsafe import Markup
from msgspec import Struct

from migrator.core.states import State
from migrator.core.values import visible
from migrator.ledger.history import Told
from migrator.reports.places import WIDEST, contrast, name_of, places_of
from migrator.reports.results import OUTCOMES

CHUNK = 500
"""Rows in a chunk."""

MOST_PLACES = 20
"""Places of one object that are shown at the most."""

_ESCAPES = (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
"""Nothing in JSON ends the element that it stands in, or a line of a script."""


def embed(value: Any) -> Markup:
    """Write a value as JSON that can stand in a `<script>` element as it is."""
    text = msgspec.json.encode(value).decode()
    for char, escaped in _ESCAPES:
        text = text.replace(char, escaped)
    return Markup(text)  # noqa: S704 (escaped above)


class Words:
    """Numbers for words that many rows have; the list is whole once all rows are written."""

    def __init__(self) -> None:
        """Begin without words."""
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        """Return the number of a word."""
        return self._numbers.setdefault(word, len(self._numbers))

    @property
    def all(self) -> list[str]:
        """The words in the order of their numbers."""
        return list(self._numbers)


class Chunk(Struct, frozen=True):
    """Some rows: an array of short arrays, and an array of objects with the rest."""

    rows: Markup
    details: Markup


class Embedding:
    """Rows, to be written once, and after that the words in them."""

    def __init__(self, rows: Iterable[Told]) -> None:
        """Take the rows."""
        self._rows = iter(rows)
        self.outcomes, self.errors, self.containers, self.types, self.kinds = (Words() for _ in range(5))

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows."""
        while some := list(islice(self._rows, CHUNK)):
            yield Chunk(embed(list(map(self._short, some))), embed(list(map(self._long, some))))

    @property
    def words(self) -> Markup:
        """What the numbers in the rows mean."""
        names = ("outcomes", "errors", "containers", "types", "kinds")
        return embed({name: getattr(self, name).all for name in names})

    def _short(self, row: Told) -> list[object]:
        return [
            row.line,
            self.outcomes.number(outcome_of(row.state)),
            self.errors.number(row.error_class),
            self.containers.number(row.container),
            self.types.number(row.type),
            row.http_status,
            visible(row.object),
            visible(name_of(row.kind, row.body, row.base)),
            visible(row.message),
        ]

    def _long(self, row: Told) -> Mapping[str, object]:
        places = places_of(row.kind, row.body, row.base)
        known = {
            "kind": self.kinds.number(row.kind),
            "step": row.step if row.step != row.line else None,
            "places": None if places is None else [contrast(place) for place in places[:MOST_PLACES]],
            "more": max(0, len(places or ()) - MOST_PLACES),
            "planned": visible(cut(row.body.decode())) if places is None else "",
            "input": [visible(cut(cell)) for cell in cells_of(row.raw)],
            "attempts": row.attempts,
            "attempt": row.attempt,
            "request": row.request_id,
            "sent": _to_ms(row.sent_at),
            "ended": _to_ms(row.ended_at),
            "how": row.how,
            "etag": row.etag,
        }
        return {name: value for name, value in known.items() if value or name in ("kind", "places")}


def _to_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def outcome_of(state: State) -> str:
    """Name where a row stands, in the word that its results file has."""
    return OUTCOMES[state].replace("-", " ")


def cells_of(raw: str) -> list[str]:
    """Return the cells of a row of CSV as it was read, or the line of JSONL."""
    return msgspec.json.decode(raw, type=list[str]) if raw.startswith("[") else [raw]


def cut(text: str) -> str:
    """Cut a text that is too long to be looked at."""
    return text if len(text) <= WIDEST else text[:WIDEST] + "…"
