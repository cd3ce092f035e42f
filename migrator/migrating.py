"""Migrations: objects of one endpoint style made anew in the other, each after what it refers to.

::

    source ─collect─▶ spool ─┐                      ┌─▶ a copy: to be made, its references still those of the source
                             ├─▶ catalogues ─map──▶ ├─▶ there already: by the same id, or by its name
    target ─collect─▶ spool ─┘                      └─▶ left alone, or refused, with the reason

Both sides are read to their end before anything is written, so that what is there already is not made twice. What is
planned is a run like any other: rows, steps, stages in the order of reference. A row is one object of the source.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct

from migrator.core.copying import Copy, Marks
from migrator.core.errors import UsageError
from migrator.core.mapping import (
    ALLOWABLE,
    Context,
    Known,
    Refused,
    Report,
    Severity,
    Translation,
    translate_document,
)
from migrator.core.model import Change, EntityType, Json, Kind, Row
from migrator.core.plan import name_in
from migrator.core.snapshot import document_of
from migrator.core.states import State
from migrator.core.styles import Style
from migrator.core.values import did_you_mean, quote
from migrator.core.verdict import ErrorClass
from migrator.ledger.planfile import PlanFile
from migrator.ledger.records import Settled, Source
from migrator.planning import Draft, Target
from migrator.snapshots import Exported, Spool
from migrator.sources import InputShape

ORDER = (
    EntityType.PLACEMENT,
    EntityType.DECISION_RULE,
    EntityType.TAG,
    EntityType.PERSONALIZED_OFFER,
    EntityType.FALLBACK_OFFER,
    EntityType.COLLECTION,
    EntityType.DECISION,
)
"""Types in the order of reference (contract section 8): nothing refers to what comes behind it."""

LINES = InputShape(format="jsonl", header=(), delimiter="", newline="\n")

IN_APP = "Mobile_Sheliak"
"""Who has created the objects of the in-app channel (contract 4.2)."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Json]).decode


class Route(Struct, frozen=True):
    """From where to where.

    Attributes:
        from_: the style that is read.
        to: the style that is written.
        source: container that is read.
        target: container that is written.
    """

    from_: Style
    to: Style
    source: str
    target: str


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


class Entry(Struct, frozen=True):
    """An object in a catalogue.

    Attributes:
        container: where it is.
        object: the id that its URL takes.
        reference: the id by which others refer to it.
        name: its name.
        etag: its version.
        created_by: who made it.
        channel: of a placement.
        document: its own members, as JSON text.
    """

    container: str
    object: str
    reference: str
    name: str
    etag: int
    created_by: str
    channel: str
    document: bytes


class Catalogue:
    """All objects of one side, found by type and id or name. Use as a context manager."""

    def __init__(self, path: Path, spool: Spool) -> None:
        """List what is in `spool` in the file `path`."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            """PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
               CREATE TABLE entry (
                   type TEXT, container TEXT, object TEXT, reference TEXT, name TEXT, etag INTEGER,
                   created_by TEXT, channel TEXT, document BLOB
               ) STRICT;"""
        )
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_columns, spool.objects()))
        self._db.execute("COMMIT")
        self._db.executescript(
            """CREATE INDEX by_reference ON entry (type, reference); CREATE INDEX by_name ON entry (type, name);
               CREATE TABLE chosen (
                   type TEXT, reference TEXT, lost INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (type, reference)
               ) STRICT, WITHOUT ROWID;"""
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()

    def _find(self, condition: str, *parameters: object) -> Iterator[Entry]:
        columns = ", ".join(Entry.__struct_fields__)
        for row in self._db.execute(f"SELECT {columns} FROM entry WHERE {condition} ORDER BY rowid", parameters):  # noqa: S608 (our own)
            yield Entry(*row)

    def of_type(self, type_: EntityType) -> Iterator[Entry]:
        """Yield the objects of a type."""
        return self._find("type = ?", type_.value)

    def called(self, type_: EntityType, name: str) -> list[Entry]:
        """Return the objects of a type that have a name."""
        return list(self._find("type = ? AND name = ?", type_.value, name))

    def referred(self, type_: str, reference: str) -> Entry | None:
        """Return the object that others refer to by an id, or `None`."""
        return next(self._find("type = ? AND reference = ?", type_, reference), None)

    def names(self, type_: EntityType) -> list[str]:
        """Return the names of a type's objects."""
        return [name for (name,) in self._db.execute("SELECT name FROM entry WHERE type = ?", (type_.value,))]

    def choose(self, type_: str, reference: str) -> bool:
        """Choose an object; return whether it was not chosen before."""
        cursor = self._db.execute("INSERT OR IGNORE INTO chosen (type, reference) VALUES (?, ?)", (type_, reference))
        return cursor.rowcount == 1

    def lose(self, type_: str, reference: str) -> None:
        """Note that a chosen object will not be there for others to refer to."""
        self._db.execute("UPDATE chosen SET lost = 1 WHERE type = ? AND reference = ?", (type_, reference))

    def is_lost(self, type_: str, reference: str) -> bool:
        """Whether a chosen object will not be there."""
        found = self._db.execute("SELECT lost FROM chosen WHERE type = ? AND reference = ?", (type_, reference))
        return bool(found.fetchone() == (1,))

    def is_chosen(self, type_: str, reference: str) -> bool:
        """Whether an object was chosen."""
        found = self._db.execute("SELECT 1 FROM chosen WHERE type = ? AND reference = ?", (type_, reference))
        return found.fetchone() is not None


def _columns(one: Exported) -> tuple[object, ...]:
    line = _decode(one.line)
    document = document_of(one.line)
    channel = _member(document, "channel", "")
    return (
        *(one.type.value, one.container, one.id, line["reference"], name_in(document)),
        *(line["etag"], line["created_by"], channel if isinstance(channel, str) else "", _encode(document)),
    )


class Tally(Struct):
    """What a migration comes to.

    Attributes:
        counts: objects by type and what becomes of them.
        losses: informational and severe losses, by class.
    """

    counts: dict[EntityType, Counter[str]]
    losses: Counter[tuple[Severity, str]]


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
        self._context = msgspec.structs.replace(context, resolve=self._resolve, channel_of=self._channel_of)
        self.tally = Tally({type_: Counter() for type_ in ORDER}, Counter())

    def plan(self, draft: Draft) -> None:
        """Put a row for each object of the selection into `draft`.

        Raises:
            UsageError: there is no such decision.
        """
        self._select()
        line = 0
        for type_ in ORDER:
            for entry in self._source.of_type(type_):
                if self._source.is_chosen(type_, entry.reference):
                    line += 1
                    self._take(draft, line, type_, entry)

    # Which objects

    def _select(self) -> None:
        if self._selection.decision:
            self._choose_closure(EntityType.DECISION, self._decision())
            return
        wanted = self._selection
        for type_ in ORDER:
            for entry in self._source.of_type(type_) if not wanted.types or type_ in wanted.types else ():
                if not wanted.pattern or fnmatchcase(entry.name, wanted.pattern):
                    self._source.choose(type_, entry.reference)

    def _decision(self) -> Entry:
        wanted = self._selection.decision
        by_id = self._source.referred(EntityType.DECISION, wanted)
        found = [by_id] if by_id else self._source.called(EntityType.DECISION, wanted)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(entry.reference for entry in found)
            raise UsageError(f"{len(found)} decisions are called {quote(wanted)}: {ids}", "name one by its id")
        hint = did_you_mean(wanted, self._source.names(EntityType.DECISION)) or "--decision takes a name or an id"
        raise UsageError(f"there is no decision {quote(wanted)} in {self._route.source}", hint)

    def _choose_closure(self, type_: str, entry: Entry) -> None:
        """Choose an object and all that it needs, in turn."""
        waiting = [(type_, entry)]
        while waiting:
            kind, one = waiting.pop()
            if not self._source.choose(kind, one.reference):
                continue
            for needed, reference in self._references(EntityType(kind), one):
                if (other := self._source.referred(needed, reference)) is not None:
                    waiting.append((needed, other))
            waiting += [(EntityType.PERSONALIZED_OFFER, offer) for offer in self._picked(kind, one)]

    def _picked(self, type_: str, collection: Entry) -> Iterator[Entry]:
        """Yield the offers that a collection picks by their tags, without referring to them."""
        document = _decode(collection.document)
        how = str(_member(document, "filterType", "")).replace("-", "").lower()
        if type_ != EntityType.COLLECTION or how not in ("anytags", "alltags"):
            return
        wanted = set(_member(document, "ids", []))
        for offer in self._source.of_type(EntityType.PERSONALIZED_OFFER):
            common = wanted.intersection(_member(_decode(offer.document), "tags", []))
            if common and (how == "anytags" or common == wanted):
                yield offer

    def _references(self, type_: EntityType, entry: Entry) -> list[tuple[str, str]]:
        """Return what an object refers to: what a translation of it asks for."""
        asked: list[tuple[str, str]] = []

        def resolve(kind: str, id_: str) -> str:
            asked.append((kind, id_))
            return id_

        every = frozenset(ALLOWABLE)
        context = msgspec.structs.replace(self._context, resolve=resolve, allowed=every)
        self._translated(type_, entry, context)
        return asked

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
        if settled is not None and not settled.reference:
            self._source.lose(type_, entry.reference)
        draft.take_copy(Row(line, {}, _encode(names).decode()), change, source, settled)
        self.tally.counts[type_]["to create" if settled is None else _TOLD[settled.state]] += 1

    def _made(self, type_: EntityType, entry: Entry, line: int) -> tuple[Copy, Settled | None]:
        document = _decode(entry.document)
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
        if isinstance(id_, str) and any(self._source.is_lost(type_, id_) for type_ in ORDER):
            return f"{id_} is itself refused or left alone"
        return report.reason

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
        if (same := self._target.referred(type_, entry.reference)) is not None:
            return _there(same, "its id")
        return self._already_called(type_, entry) if entry.name else None

    def _already_called(self, type_: EntityType, entry: Entry) -> Settled | None:
        """Find an object of the same name, if that says which one is meant."""
        there = self._target.called(type_, entry.name)
        if not there:
            return None
        here = self._source.called(type_, entry.name)
        if len(here) == len(there) == 1:
            return _there(there[0], "its name")
        ids = ", ".join(one.reference for one in (here if len(here) > 1 else there))
        side, number = ("here", len(here)) if len(here) > 1 else ("there", len(there))
        why = f"{number} of type {type_} are called {quote(entry.name)} {side}: {ids}; say in --id-map which is which"
        return _refused(ErrorClass.CONFLICT, why)

    def _translated(self, type_: EntityType, entry: Entry, context: Context) -> Translation[dict[str, Any]]:
        route = self._route
        return translate_document(
            type_, _decode(entry.document), route.from_.name, route.to.name, context, Known(entry.reference)
        )

    def _resolve(self, type_: str, id_: str) -> str | None:
        if (given := self._given(type_, id_)) is not None:
            return given
        if self._source.is_lost(type_, id_):
            return None
        if self._source.is_chosen(type_, id_):
            return self._marks.mark(type_, id_)
        entry = self._source.referred(type_, id_)
        if entry is None:
            return id_ if self._target.referred(type_, id_) else None
        there = self._already(EntityType(type_), entry)
        return there.reference if there and there.reference else None

    def _channel_of(self, placement: str) -> str | None:
        return channel_in(self._source, placement)


def channel_in(catalogue: Catalogue, placement: str) -> str | None:
    """Return the channel of a placement, or `None` if that is not known."""
    entry = catalogue.referred(EntityType.PLACEMENT, placement)
    return entry.channel if entry is not None and entry.channel else None


def _member(document: Mapping[str, Json], name: str, default: Json) -> Json:
    """Return a member in the spelling of either style."""
    return document.get(name, document.get(f"xdm:{name}", default))


def _refused(error: ErrorClass, why: str) -> Settled:
    return Settled(State.REJECTED, error, why)


def _there(entry: Entry, by: str) -> Settled:
    return Settled(State.UNCHANGED, message=f"there already, by {by}", object=entry.object, reference=entry.reference)


_TOLD = {State.UNCHANGED: "there already", State.SKIPPED: "left alone", State.REJECTED: "refused"}


@contextmanager
def draft_migration(target: Target, ledger: Path, run_id: str) -> Iterator[Draft]:
    """Begin a plan of copies that can become the ledger file `ledger`; unless it is accepted, nothing stays."""
    with PlanFile(ledger, target.style.name) as plan:
        draft = Draft(target, plan, run_id)
        draft.shape = LINES
        yield draft
