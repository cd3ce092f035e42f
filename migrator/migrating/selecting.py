"""Which objects of a source are wanted: of some types, with some names, or all that one decision needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from migrator.core.errors import UsageError
from migrator.core.model import EntityType
from migrator.core.values import did_you_mean, quote
from migrator.migrating.catalogue import Catalogue, Entry, member
from migrator.migrating.route import ORDER


class Selection(Struct, frozen=True):
    """Which objects are wanted; all of them if nothing is named.

    Attributes:
        types: of these types.
        pattern: with names like this, `*` and `?` for anything; "" for all.
        decision: name or id of a decision that is wanted with all it needs; "" for none.
        foreign: whether also those that belong to another product: of the in-app channel, and rules of Decisioning.
    """

    types: frozenset[EntityType] = frozenset()
    pattern: str = ""
    decision: str = ""
    foreign: bool = False


References = Callable[[EntityType, Entry], Iterable[tuple[str, str]]]
"""Tells what an object refers to: types and ids."""


def select(wanted: Selection, source: Catalogue, container: str, references: References) -> None:
    """Choose in `source`, which is all of `container`, what is wanted.

    Raises:
        UsageError: there is no such decision.
    """
    if wanted.decision:
        _choose_closure(source, _decision(wanted.decision, source, container), references)
        return
    for type_ in wanted.types or ORDER:
        source.choose_called(type_, wanted.pattern or "*")


def _decision(wanted: str, source: Catalogue, container: str) -> Entry:
    by_id = source.referred(EntityType.DECISION, wanted)
    found = [by_id] if by_id else source.called(EntityType.DECISION, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(entry.reference for entry in found)
        raise UsageError(f"{len(found)} decisions are called {quote(wanted)}: {ids}", "name one by its id")
    hint = did_you_mean(wanted, source.names(EntityType.DECISION)) or "--decision takes a name or an id"
    raise UsageError(f"there is no decision {quote(wanted)} in {container}", hint)


def _choose_closure(source: Catalogue, decision: Entry, references: References) -> None:
    """Choose a decision and all that it needs, in turn."""
    waiting = [(EntityType.DECISION, decision)]
    while waiting:
        type_, one = waiting.pop()
        if not source.choose(type_, one.reference):
            continue
        for needed, reference in references(type_, one):
            if (other := source.referred(needed, reference)) is not None:
                waiting.append((EntityType(needed), other))
        if type_ is EntityType.COLLECTION:
            waiting += [(EntityType.PERSONALIZED_OFFER, offer) for offer in _picked(one, source)]


def _picked(collection: Entry, source: Catalogue) -> Iterator[Entry]:
    """Yield the offers that a collection picks by their tags, without referring to them."""
    how = str(member(collection.members, "filterType", "")).replace("-", "").lower()
    if how not in ("anytags", "alltags"):
        return
    wanted = set(member(collection.members, "ids", []))
    for offer in source.of_type(EntityType.PERSONALIZED_OFFER):
        common = wanted.intersection(member(offer.members, "tags", []))
        if common and (how == "anytags" or common == wanted):
            yield offer
