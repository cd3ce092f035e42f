"""The writes. Nothing else changes the store while requests are answered, and none of this waits in the middle.

Because every function here runs from the check to the effect without giving up the event loop, a write is atomic and
its place in the log of effects is its place in time. Whether a write may be is decided before it comes here: `editing`
for the two doors; what somebody else does past them (`foreign`) is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from migrator.emulator.documents import references
from migrator.emulator.hindsight import Hindsight
from migrator.emulator.ids import Mint
from migrator.emulator.observation import Effect
from migrator.emulator.schemas import REFERRERS
from migrator.emulator.store import Record, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.emulator.choices import Choices
    from migrator.emulator.documents import Accepted
    from migrator.emulator.entities import Style
    from migrator.emulator.mirror import Mirror
    from migrator.emulator.observation import Amend

_SECOND_US = 1_000_000


class Caller(msgspec.Struct, frozen=True):
    """Who writes.

    Attributes:
        api_key: the ``x-api-key``.
        request_id: the ``x-request-id``, or "".
        request: number of the request; 0 for a write that no client asked for.
        amend: what happens to a document before it is kept; None for nothing.
        breaks: whether the service fails in the middle of a patch.
    """

    api_key: str
    request_id: str
    request: int = 0
    amend: Amend | None = None
    breaks: bool = False


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
        self._mint = Mint()
        self._lag_us = round(choices.search_lag_s * _SECOND_US)
        self._deduplicate_us = round((choices.deduplicate_s or 0) * _SECOND_US)
        self._receipts: dict[tuple[str | bytes, ...], Record] = {}
        self._hindsight: Hindsight | None = None
        self.look_back(0)

    def look_back(self, most_us: int) -> None:
        """Be ready for lists that are so far behind, or as far as C-28 has them all."""
        horizon_us = max(most_us, self._lag_us)
        if not horizon_us:
            self._hindsight = None
            return
        if self._hindsight is None:
            self._hindsight = Hindsight(self.store)
        self._hindsight.horizon_us = horizon_us

    def searched(self, behind_us: int = 0) -> Store:
        """The objects as lists and searches see them, at least so far behind (C-28)."""
        behind_us = max(behind_us, self._lag_us)
        if self._hindsight is None or not behind_us:
            return self.store
        return self._hindsight.at(self.now_us() - behind_us)

    def seed(self, record: Record) -> None:
        """Keep an object that was always there."""
        for one in self._both(record):
            self.store.put(one)
            if self._hindsight is not None:
                self._hindsight.add(one)

    def create(self, style: Style, scope: str, word: str, accepted: Accepted, caller: Caller) -> Record:
        """Keep a new object. The same call twice makes two objects, unless C-31 says otherwise.

        Args:
            style: the endpoint style whose store it goes to.
            scope: container or sandbox.
            word: its entity.
            accepted: its checked document.
            caller: who asks.
        """
        if not self._deduplicate_us:
            return self._created(style, scope, word, accepted, caller)
        same = (style, scope, word, caller.api_key, accepted.document)
        first = self._receipts.get(same)
        if first is None or self.now_us() - first.created_us >= self._deduplicate_us:
            first = self._receipts[same] = self._created(style, scope, word, accepted, caller)
        return first

    def copy(self, record: Record, caller: Caller) -> Record:
        """Keep a new object with the name and the document of another."""
        return self._created(record.style, record.scope, record.word, record, caller)

    def update(
        self,
        record: Record,
        accepted: Accepted,
        caller: Caller,
        method: str = "PATCH",
        modified_us: int | None = None,
    ) -> Record:
        """Put a checked document in the place of the one a record holds.

        Args:
            record: the object as it is now.
            accepted: its document from now on.
            caller: who asks.
            method: what the log of effects calls it.
            modified_us: when; None for now. It never goes back.
        """
        now_us = self.now_us()
        document = accepted.document
        changed = msgspec.structs.replace(
            record,
            name=accepted.name,
            document=document if caller.amend is None else caller.amend(document, record.style, record.word),
            etag=record.etag + 1,
            modified_us=max(now_us if modified_us is None else modified_us, record.modified_us),
            modified_by=caller.api_key,
        )
        self._put(changed, now_us)
        self._log(method, record, changed, caller, now_us)
        return changed

    def delete(self, record: Record, caller: Caller) -> None:
        """Forget an object, whether or not others refer to it."""
        now_us = self.now_us()
        for one in self._both(record):
            self.store.remove(one)
            if self._hindsight is not None:
                self._hindsight.note(now_us, one, None)
        self._log("DELETE", record, None, caller, now_us)

    def referrer(self, record: Record) -> Record | None:
        """An object that refers to this one; None when there is none."""
        return next((found for one in self._both(record) for found in self._referrers(one)), None)

    def clear(self) -> None:
        """Forget everything."""
        self.store.clear()
        self.effects.clear()
        self._receipts.clear()
        if self._hindsight is not None:
            self._hindsight.clear()

    def _created(self, style: Style, scope: str, word: str, source: Accepted | Record, caller: Caller) -> Record:
        now_us = self.now_us()
        reference = self._mint.entity_id(style, word, now_us)
        document = source.document
        record = Record(
            style=style,
            scope=scope,
            word=word,
            key=self._mint.instance_id(now_us) if style == "xcore" else reference,
            reference=reference,
            name=source.name,
            document=document if caller.amend is None else caller.amend(document, style, word),
            created_us=now_us,
            modified_us=now_us,
            created_by=caller.api_key,
            modified_by=caller.api_key,
        )
        self._put(record, now_us)
        self._log("POST", None, record, caller, now_us)
        return record

    def _put(self, record: Record, now_us: int) -> None:
        for one in self._both(record):
            before = self.store.put(one)
            if self._hindsight is not None:
                self._hindsight.note(now_us, before, one)

    def _both(self, record: Record) -> tuple[Record, ...]:
        """A record, and its other side if it has one."""
        twin = self.mirror.twin(record) if self.mirror else None
        return (record,) if twin is None else (record, twin)

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

    def _log(self, method: str, before: Record | None, after: Record | None, caller: Caller, now_us: int) -> None:
        record = after or before
        assert record is not None
        effect = Effect(
            seq=len(self.effects) + 1,
            time_us=now_us,
            style=record.style,
            method=method,
            scope=record.scope,
            type=record.word,
            id=record.key,
            etag=after.etag if after else None,
            etag_before=before.etag if before else None,
            api_key=caller.api_key,
            request_id=caller.request_id,
            request=caller.request,
        )
        self.effects.append(effect)


def _refers(other: Record, record: Record) -> bool:
    return any(one.identifier == record.reference and record.word in one.words for one in references(other))
