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


def select(wanted: Selection, source: Catalogue, container: str, references: References) -> Entry | None:
    """Choose in `source`, which is all of `container`, what is wanted.

    Returns:
        The decision that is wanted with all it needs, if one is.

    Raises:
        UsageError: there is no such decision.
    """
    if wanted.decision:
        decision = _decision(wanted.decision, source, container)
        _choose_closure(source, decision, references)
        return decision
    for type_ in wanted.types or ORDER:
        source.choose_called(type_, wanted.pattern or "*")
    return None


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
        needs = [*references(type_, one), *_picked(type_, one, source)]
        source.note_needs(type_, one.reference, needs)
        found = ((needed, source.referred(needed, reference)) for needed, reference in needs)
        waiting += [(EntityType(needed), other) for needed, other in found if other is not None]


def _picked(type_: EntityType, one: Entry, source: Catalogue) -> Iterator[tuple[EntityType, str]]:
    """Yield the offers that a collection picks by their tags, without referring to them."""
    how = str(member(one.members, "filterType", "")).replace("-", "").lower()
    if type_ is not EntityType.COLLECTION or how not in ("anytags", "alltags"):
        return
    wanted = _texts(one, "ids")
    for offer in source.of_type(EntityType.PERSONALIZED_OFFER):
        common = wanted & _texts(offer, "tags")
        if common and (how == "anytags" or common == wanted):
            yield EntityType.PERSONALIZED_OFFER, offer.reference


def _texts(entry: Entry, name: str) -> set[str]:
    """Return the texts in a member that is to be a list of them, whatever it is."""
    found = member(entry.members, name, [])
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()
