"""The documented maxima, as far as they are counts (errors-and-limits 4). Off unless a rehearsal wants a full sandbox.

Not counted: what this server does not hold (AI models, ranking formulas) and what lies inside an expression (profile
attributes, nesting). Sizes are guidance for performance there, not limits.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from migrator.emulator import filters
from migrator.emulator.entities import (
    COLLECTION,
    DECISION,
    FALLBACK_OFFER,
    PERSONALIZED_OFFER,
    PLACEMENT,
    RULE,
    TAG,
    Entity,
)
from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from migrator.emulator.documents import Spelling, Target
    from migrator.emulator.store import Store

_OFFERS = (PERSONALIZED_OFFER, FALLBACK_OFFER)
_CAPPINGS = "frequencyCappingConstraints"

LARGEST_NUMBERS: tuple[tuple[tuple[Entity, ...], int], ...] = (
    (_OFFERS, 10_000),
    ((PLACEMENT,), 1000),
    ((TAG,), 1000),
    ((COLLECTION,), 10_000),
    ((DECISION,), 10_000),
    ((RULE,), 10_000),
)
"""How many objects of these entities together a sandbox may hold."""

MOST_LIVE_DECISIONS = 1000

MOST_CAPPINGS = 20_000
"""Capping configurations of a sandbox. A rule that is not for one placement counts once for each of its offer's."""


class Limit(NamedTuple):
    """The most of something that one object may have.

    Attributes:
        entities: what it holds for.
        path: names from the document to what is counted, in the spelling of dps.
        most: the number.
        what: what is counted, in the plural.
        when: the value of ``filterType`` it holds for; None for all.
    """

    entities: tuple[Entity, ...]
    path: tuple[str, ...]
    most: int
    what: str
    when: str | None = None


LIMITS = (
    Limit(_OFFERS, ("tags",), 20, "collection qualifiers of an offer"),
    Limit(_OFFERS, ("characteristics",), 30, "attributes of an offer"),
    Limit(_OFFERS, (_CAPPINGS,), 10, "capping rules of an offer"),
    Limit((COLLECTION,), ("ids",), 500, "offers of a collection", when="offers"),
    Limit((COLLECTION,), ("ids",), 20, "collection qualifiers of a collection", when="tags"),
    Limit((DECISION,), ("criteria", "placements"), 30, "placements of a decision"),
    Limit((DECISION,), ("criteria", "optionSelection", "filter"), 30, "collections of a decision"),
)
"""The limits of one object."""


def check(document: dict[str, Any], target: Target, spelling: Spelling, store: Store) -> None:
    """Refuse an object that is one too many, or has too much of something.

    Raises:
        ProblemError: 422 with a detail.
    """
    prefix = "xdm:" if spelling.style == "xcore" else ""
    if target.old is None:
        _check_number(target, spelling, store)
    if target.entity is DECISION and document.get(f"{prefix}status") == "live":
        _check_live(target, spelling, store, f"{prefix}status")
    if target.entity in _OFFERS:
        _check_cappings(document, target, spelling, store, prefix)
    for limit in LIMITS:
        if target.entity in limit.entities and limit.when in (None, _filter_type(document, prefix)):
            count = sum(map(_count, filters.values(document, [f"{prefix}{name}" for name in limit.path])))
            _refuse_over(limit.most, count, limit.what)


def _check_number(target: Target, spelling: Spelling, store: Store) -> None:
    for entities, most in LARGEST_NUMBERS:
        if target.entity in entities:
            there = sum(len(store.shelf(spelling.style, target.scope, entity.word)) for entity in entities)
            _refuse_over(most, there + 1, f"{target.entity.noun}s")


def _check_live(target: Target, spelling: Spelling, store: Store, status: str) -> None:
    own = None if target.old is None else target.old.key
    others = (one for one in store.shelf(spelling.style, target.scope, DECISION.word) if one.key != own)
    live = sum(msgspec.json.decode(one.document).get(status) == "live" for one in others)
    _refuse_over(MOST_LIVE_DECISIONS, live + 1, "live decisions")


def _check_cappings(document: dict[str, Any], target: Target, spelling: Spelling, store: Store, prefix: str) -> None:
    """Count those of the others only when this write adds some: it reads all offers that have any."""
    before = 0 if target.old is None else _cappings(msgspec.json.decode(target.old.document), prefix)
    added = _cappings(document, prefix) - before
    if added > 0:
        needle = f'"{prefix}{_CAPPINGS}"'.encode()
        offers = (one for entity in _OFFERS for one in store.shelf(spelling.style, target.scope, entity.word))
        there = sum(_cappings(msgspec.json.decode(one.document), prefix) for one in offers if needle in one.document)
        _refuse_over(MOST_CAPPINGS, there + added, "capping configurations")


def _cappings(document: dict[str, Any], prefix: str) -> int:
    placements = len(list(filters.values(document, [f"{prefix}representations", f"{prefix}placement"])))
    entities = filters.values(document, [f"{prefix}{_CAPPINGS}", f"{prefix}entity"])
    return sum(1 if entity == "placement" else placements for entity in entities)


def _refuse_over(most: int, count: int, what: str) -> None:
    if count > most:
        detail = f"{count} {what} are more than {most}"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "guardrail", detail)


def _filter_type(document: dict[str, Any], prefix: str) -> str:
    word = str(document.get(f"{prefix}filterType", ""))
    return "tags" if word.lower().endswith("tags") else word


def _count(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict)) else 1
