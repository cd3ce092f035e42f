"""The writes. Nothing else changes the store while requests are answered, and none of this waits in the middle.

Because every function here runs from the check to the effect without giving up the event loop, a write is atomic and
its place in the log of effects is its place in time.
"""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from migrator.emulator.documents import references
from migrator.emulator.entities import ENTITIES
from migrator.emulator.errors import ProblemError
from migrator.emulator.ids import Mint
from migrator.emulator.observation import Effect
from migrator.emulator.schemas import REFERRERS
from migrator.emulator.store import Record, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.emulator.choices import Choices
    from migrator.emulator.documents import Accepted
    from migrator.emulator.entities import Entity, Style
    from migrator.emulator.mirror import Mirror

_SECOND_US = 1_000_000


class Caller(NamedTuple):
    """Who writes.

    Attributes:
        api_key: the ``x-api-key``.
        request_id: the ``x-request-id``, or "".
    """

    api_key: str
    request_id: str


class _Change(NamedTuple):
    """A record that came, or went, and when a list is to show it."""

    due_us: int
    record: Record
    gone: bool


class Library:
    """The objects, and the log of what was done to them.

    Args:
        now_us: the clock, microseconds since 1970.
        choices: how the open questions are answered.

    Attributes:
        store: the objects as they are.
        effects: all writes so far, in order.
        now_us: the clock.
        mirror: knows the other side of an object; None when the styles are separate (C-14).
    """

    def __init__(self, now_us: Callable[[], int], choices: Choices) -> None:
        self.store = Store()
        self.effects: list[Effect] = []
        self.now_us = now_us
        self.mirror: Mirror | None = None
        self._choices = choices
        self._mint = Mint()
        self._lag_us = round(choices.search_lag_s * _SECOND_US)
        self._searched = Store() if self._lag_us else self.store
        self._unseen: deque[_Change] = deque()
        self._receipts: dict[tuple[str | bytes, ...], Record] = {}

    def searched(self) -> Store:
        """The objects as lists and searches see them (C-28)."""
        while self._unseen and self._unseen[0].due_us <= self.now_us():
            change = self._unseen.popleft()
            _settle(self._searched, change)
        return self._searched

    def seed(self, record: Record) -> None:
        """Keep an object that was always there."""
        for one in self._both(record):
            self.store.put(one)
            if self._searched is not self.store:
                self._searched.put(one)

    def create(self, style: Style, scope: str, entity: Entity, accepted: Accepted, caller: Caller) -> Record:
        """Keep a new object. The same call twice makes two objects, unless C-31 says otherwise.

        Args:
            style: the endpoint style whose store it goes to.
            scope: container or sandbox.
            entity: what it is.
            accepted: its checked document.
            caller: who asks.
        """
        if self._choices.deduplicate_s is None:
            return self._created(style, scope, entity, accepted, caller)
        same = (style, scope, entity.word, caller.api_key, accepted.document)
        first = self._receipts.get(same)
        if first is None or not self._is_recent(first):
            first = self._receipts[same] = self._created(style, scope, entity, accepted, caller)
        return first

    def update(self, record: Record, accepted: Accepted, caller: Caller, method: str = "PATCH") -> Record:
        """Put a checked document in the place of the one a record holds."""
        if self._choices.same_values == "nothing" and accepted.document == record.document:
            return record
        changed = msgspec.structs.replace(
            record,
            name=accepted.name,
            document=accepted.document,
            etag=record.etag + 1,
            modified_us=max(self.now_us(), record.modified_us),
            modified_by=caller.api_key,
        )
        self._put(changed)
        self._log(method, changed, changed.etag, caller)
        return changed

    def delete(self, record: Record, caller: Caller) -> None:
        """Forget an object.

        Raises:
            ProblemError: 409, another object refers to it (C-11).
        """
        if self._choices.referenced_delete == "409":
            self.check_unreferenced(record)
        for one in self._both(record):
            self.store.remove(one)
            self._note(one, gone=True)
        self._log("DELETE", record, None, caller)

    def check_unreferenced(self, record: Record) -> None:
        """Refuse when another object refers to this one.

        Raises:
            ProblemError: 409.
        """
        for referrer in (found for one in self._both(record) for found in self._referrers(one)):
            detail = f"{ENTITIES[referrer.word].noun} {referrer.reference} refers to {record.reference}"
            raise ProblemError(HTTPStatus.CONFLICT, "referenced", detail)

    def clear(self) -> None:
        """Forget everything."""
        for store in (self.store, self._searched):
            store.clear()
        self.effects.clear()
        self._unseen.clear()
        self._receipts.clear()

    def _created(self, style: Style, scope: str, entity: Entity, accepted: Accepted, caller: Caller) -> Record:
        record = self._new(style, scope, entity, accepted, caller)
        self._put(record)
        self._log("POST", record, record.etag, caller)
        return record

    def _new(self, style: Style, scope: str, entity: Entity, accepted: Accepted, caller: Caller) -> Record:
        now_us = self.now_us()
        reference = self._mint.entity_id(style, entity.word, now_us)
        return Record(
            style=style,
            scope=scope,
            word=entity.word,
            key=self._mint.instance_id(now_us) if style == "xcore" else reference,
            reference=reference,
            name=accepted.name,
            document=accepted.document,
            created_us=now_us,
            modified_us=now_us,
            created_by=caller.api_key,
            modified_by=caller.api_key,
        )

    def _is_recent(self, record: Record) -> bool:
        return self.now_us() - record.created_us < (self._choices.deduplicate_s or 0) * _SECOND_US

    def _put(self, record: Record) -> None:
        for one in self._both(record):
            self.store.put(one)
            self._note(one, gone=False)

    def _both(self, record: Record) -> tuple[Record, ...]:
        """A record, and its other side if it has one."""
        twin = self.mirror.twin(record) if self.mirror else None
        return (record,) if twin is None else (record, twin)

    def _note(self, record: Record, *, gone: bool) -> None:
        if self._lag_us:
            self._unseen.append(_Change(self.now_us() + self._lag_us, record, gone))

    def _referrers(self, record: Record) -> Iterator[Record]:
        """The objects of the same scope that refer to this one.

        Looks into a document only if the reference occurs in its bytes, which takes milliseconds for thousands; kept
        counts of references would cost every write.
        """
        needle = msgspec.json.encode(record.reference)
        for word in REFERRERS[record.word]:
            for other in self.store.shelf(record.style, record.scope, word):
                if needle in other.document and _refers(other, record):
                    yield other

    def _log(self, method: str, record: Record, etag: int | None, caller: Caller) -> None:
        effect = Effect(
            seq=len(self.effects) + 1,
            time_us=self.now_us(),
            style=record.style,
            method=method,
            scope=record.scope,
            type=record.word,
            id=record.key,
            etag=etag,
            request_id=caller.request_id,
        )
        self.effects.append(effect)


def _refers(other: Record, record: Record) -> bool:
    return any(one.identifier == record.reference and record.word in one.words for one in references(other))


def _settle(store: Store, change: _Change) -> None:
    if change.gone:
        store.remove(change.record)
    else:
        store.put(change.record)
