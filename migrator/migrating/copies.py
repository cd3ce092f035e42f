"""What becomes of each object that is wanted: it is copied, there already, left alone, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from migrator.core.copying import Copy, Marks
from migrator.core.mapping import (
    ALLOWABLE,
    XCORE,
    Context,
    Known,
    Refused,
    Report,
    Severity,
    Translation,
    translate_document,
)
from migrator.core.model import Change, EntityType, Json, Kind, Row
from migrator.core.states import State
from migrator.core.values import quote
from migrator.core.verdict import ErrorClass
from migrator.ledger.planfile import PlanFile
from migrator.ledger.records import Settled, Source
from migrator.migrating.catalogue import Catalogue, Entry, Fate
from migrator.migrating.dependencies import Dependencies, More, Need
from migrator.migrating.route import ORDER, Route
from migrator.migrating.selecting import Selection, select
from migrator.planning.draft import Draft, Target
from migrator.sources import InputShape

LINES = InputShape(format="jsonl", header=(), delimiter="", newline="\n")

MOST_LISTED = 10
"""Objects of one name that are told."""

IN_APP = "Mobile_Sheliak"
"""Who has created the objects of the in-app channel (contract 4.2)."""

MOST_RESOLVED = 65_536
"""References of which it is remembered where they lead."""

_encode = msgspec.json.Encoder().encode


class Tally(Struct):
    """What a migration comes to.

    Attributes:
        counts: objects by type and what becomes of them.
        losses: informational and severe losses, by class.
        twins: objects that are refused because their name does not tell them apart.
    """

    counts: dict[EntityType, Counter[str]]
    losses: Counter[tuple[Severity, str]]
    twins: int = 0


class Migration:
    """Plans the copies of one route."""

    def __init__(
        self,
        route: Route,
        selection: Selection,
        source: Catalogue,
        target: Catalogue,
        *,
        context: Context,
        marks: Marks,
        tell: Callable[[int, Report], None],
    ) -> None:
        """Plan.

        Args:
            route: from where to where.
            selection: which objects.
            source: all that is there to be copied.
            target: all that is there already.
            context: what a user's id map resolves, and what may be lost.
            marks: stand for what is not made yet.
            tell: is told each loss, with the line of its object.
        """
        self._route = route
        self._selection = selection
        self._source = source
        self._target = target
        self._given = context.resolve
        self._marks = marks
        self._tell = tell
        # What becomes of an object is settled before another refers to it, and many refer to the same.
        resolve = lru_cache(MOST_RESOLVED)(self._resolve)
        self._context = msgspec.structs.replace(context, resolve=resolve, channel_of=source.channel_of)
        self._decision: Entry | None = None
        self.tally = Tally({type_: Counter() for type_ in ORDER}, Counter())

    def plan(self, draft: Draft) -> None:
        """Put a row for each object of the selection into `draft`.

        Raises:
            UsageError: there is no such decision.
        """
        self._decision = select(self._selection, self._source, self._route.source, self._references)
        line = 0
        for type_ in ORDER:
            for entry in self._source.of_type(type_):
                if self._source.fate(type_, entry.reference) is not None:
                    line += 1
                    self._take(draft, line, type_, entry)

    def dependencies(self, most: int = 0) -> Iterator[Need | More]:
        """Yield what the decision needs that was wanted with all it needs, if one was; after `plan`.

        Args:
            most: see `Dependencies.of`.
        """
        if self._decision is None:
            return iter(())
        found = Dependencies(self._source, self._resolve)
        return found.of((EntityType.DECISION, self._decision.reference), most)

    def _references(self, type_: EntityType, entry: Entry) -> list[tuple[str, str]]:
        """Return what an object refers to: what a translation of it asks for."""
        asked: dict[str, list[str]] = {}

        def resolve(kind: str, id_: str) -> str:
            asked.setdefault(id_, []).append(kind)
            return id_

        every = frozenset(ALLOWABLE)
        context = msgspec.structs.replace(self._context, resolve=resolve, allowed=every)
        self._translated(type_, entry, context)
        return [(kind, id_) for id_, kinds in asked.items() for kind in self._meant(list(dict.fromkeys(kinds)), id_)]

    def _meant(self, kinds: list[str], id_: str) -> list[str]:
        """Return of what type an id is that may be of several."""
        here = [kind for kind in kinds if self._source.referred(kind, id_) is not None]
        return here or [kind for kind in kinds if self._resolve(kind, id_) is not None] or kinds[:1]

    # What becomes of one

    def _take(self, draft: Draft, line: int, type_: EntityType, entry: Entry) -> None:
        copy, settled = self._made(type_, entry, line)
        names = {"type": type_.value, "container": entry.container, "id": entry.reference, "name": entry.name}
        change = Change(
            line,
            self._route.target,
            type_,
            "",
            Kind.COPY,
            document=msgspec.to_builtins(copy),
            key=f"{entry.container} {entry.reference}",
        )
        source = Source(entry.container, entry.object, entry.reference, entry.etag)
        fate = Fate.MAKE if settled is None else _FATES[settled.state]
        if settled is not None:
            self._source.settle(type_, entry.reference, fate, settled.message)
            self.tally.twins += settled.error is ErrorClass.CONFLICT
        draft.take_copy(Row(line, {}, _encode(names).decode()), change, source, settled)
        self.tally.counts[type_][fate] += 1

    def _made(self, type_: EntityType, entry: Entry, line: int) -> tuple[Copy, Settled | None]:
        document = entry.members
        named = {"name": entry.name}  # what is not sent is only to be recognized
        if why := self._foreign(type_, entry, document):
            return Copy(named), Settled(State.SKIPPED, message=why)
        if (there := self._already(type_, entry)) is not None:
            return Copy(named), there
        if not entry.name:
            return Copy(named), _refused(ErrorClass.CANNOT_APPLY, "it has no name, by which it could be found again")
        found = self._translated(type_, entry, self._context)
        for report in found.reports:
            self._tell(line, report)
            self.tally.losses[report.severity, report.loss] += 1
        if isinstance(found, Refused):
            severe = [one for one in found.reports if self._refuses(one)]
            why = "; ".join(f"{one.pointer or 'the object'}: {self._reason(one)} ({one.loss})" for one in severe)
            return Copy(named), _refused(ErrorClass.CANNOT_APPLY, why)
        return self._marks.copy(found.result), None

    def _reason(self, report: Report) -> str:
        id_ = report.value
        if isinstance(id_, str) and any(self._is_lost(type_, id_) for type_ in ORDER):
            return f"{id_} is itself refused or left alone"
        return report.reason

    def _is_lost(self, type_: str, id_: str) -> bool:
        fate = self._source.fate(type_, id_)
        return fate is not None and fate.lost

    def _refuses(self, report: Report) -> bool:
        return report.severity is Severity.SEVERE and report.loss not in self._context.allowed

    def _foreign(self, type_: EntityType, entry: Entry, document: Mapping[str, Json]) -> str:
        """Say why an object is not the Offer Library's own, "" if it is."""
        if self._selection.foreign:
            return ""
        if type_ is EntityType.DECISION_RULE and document.get("exdRule") is True:
            return "a rule of the Decisioning product: left alone (--foreign takes it along)"
        if entry.created_by == IN_APP:
            return "of the in-app channel: left alone (--foreign takes it along)"
        return ""

    def _already(self, type_: EntityType, entry: Entry) -> Settled | None:
        """Find an object in the target that is the same one: by the id map, by its id, or by its name."""
        if (given := self._given(type_, entry.reference)) is not None:
            mapped = self._target.referred(type_, given)
            if mapped is None:
                return _refused(ErrorClass.NOT_FOUND, f"the id map says that it is {given}, which is not there")
            return _there(mapped, "the id map")
        there = self._target.alike(type_, entry)
        if there and there[0].reference == entry.reference:
            return _there(there[0], "its id")
        return self._already_called(type_, entry, there) if entry.name and there else None

    def _already_called(self, type_: EntityType, entry: Entry, there: Sequence[Entry]) -> Settled | None:
        """Find the object of the same name, if that says which one it is; it does not say of those that are mapped."""
        here = self._source.called(type_, entry.name)
        mapped = {self._given(type_, one.reference) for one in here}
        here = [one for one in here if self._given(type_, one.reference) is None]
        there = [one for one in there if one.reference not in mapped]
        if not there:
            return None
        if len(here) == len(there) == 1:
            return _there(there[0], "its name")
        return _refused(ErrorClass.CONFLICT, self._which(type_, entry, here, there))

    def _which(self, type_: EntityType, entry: Entry, here: Sequence[Entry], there: Sequence[Entry]) -> str:
        """Say what a name does not tell, and what to write to tell it."""
        place = [one.reference for one in here].index(entry.reference)
        do = "say in --id-map which of them are there, and the others are made"
        if place < len(there):
            pair = entry.reference, there[place].reference
            line = ",".join((type_, *(pair if self._route.from_.name == XCORE else reversed(pair))))
            do = f"say which is which in --id-map, by a line such as {line}"
        return (
            f"{quote(entry.name)} is the name of {len(here):,} of type {type_} here, {_listed(here)},"
            f" and of {len(there):,} there, {_listed(there)}; {do}"
        )

    def _translated(self, type_: EntityType, entry: Entry, context: Context) -> Translation[dict[str, Any]]:
        route = self._route
        return translate_document(
            type_, entry.members, route.from_.name, route.to.name, context, Known(entry.reference)
        )

    def _resolve(self, type_: str, id_: str) -> str | None:
        if (given := self._given(type_, id_)) is not None:
            return given
        if (fate := self._source.fate(type_, id_)) is not None:
            return None if fate.lost else self._marks.mark(type_, id_)
        entry = self._source.referred(type_, id_)
        if entry is None:
            return id_ if self._target.referred(type_, id_) else None
        there = self._already(EntityType(type_), entry)
        return there.reference if there and there.reference else None


def _listed(entries: Sequence[Entry]) -> str:
    more = f" and {len(entries) - MOST_LISTED:,} more" if len(entries) > MOST_LISTED else ""
    return ", ".join(one.reference for one in entries[:MOST_LISTED]) + more


def _refused(error: ErrorClass, why: str) -> Settled:
    return Settled(State.REJECTED, error, why)


def _there(entry: Entry, by: str) -> Settled:
    return Settled(State.UNCHANGED, message=f"there already, by {by}", object=entry.object, reference=entry.reference)


_FATES = {State.UNCHANGED: Fate.THERE, State.SKIPPED: Fate.LEFT, State.REJECTED: Fate.REFUSED}


@contextmanager
def draft_migration(target: Target, ledger: Path, run_id: str) -> Iterator[Draft]:
    """Begin a plan of copies that can become the ledger file `ledger`; unless it is accepted, nothing stays."""
    with PlanFile(ledger, target.style.name) as plan:
        draft = Draft(target, plan, run_id)
        draft.shape = LINES
        yield draft
