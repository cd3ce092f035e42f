"""The writes. Nothing else changes the store while requests are answered, and none of this waits in the middle.

Because every function here runs from the check to the effect without giving up the event loop, a write is atomic and
its place in the log of effects is its place in time.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from migrator.emulator.ids import Mint
from migrator.emulator.observation import Effect
from migrator.emulator.store import Record, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.emulator.entities import Entity, Style


class Caller(NamedTuple):
    """Who writes.

    Attributes:
        api_key: the ``x-api-key``.
        request_id: the ``x-request-id``, or "".
        request: number of the request; 0 for a write that no client asked for.
        amend: what happens to a document before it is kept; None for nothing.
    """

    api_key: str
    request_id: str
    request: int = 0
    amend: Callable[[bytes], bytes] | None = None


class _Past(NamedTuple):
    """A write that can be looked behind. `before` is None for a create, `after` for a delete."""

    time_us: int
    before: Record | None
    after: Record | None


class Library:
    """The objects, and the log of what was done to them.

    Attributes:
        store: the objects.
        effects: all writes so far, in order.
        now_us: the clock, microseconds since 1970.
        horizon_us: how far `as_of` can look back, from when this was set; 0 keeps nothing for it.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.store = Store()
        self.effects: list[Effect] = []
        self.now_us = now_us
        self.horizon_us = 0
        self._past: deque[_Past] = deque()
        self._mint = Mint()

    def create(self, style: Style, scope: str, entity: Entity, name: str, document: bytes, caller: Caller) -> Record:
        """Keep a new object. The same call twice makes two objects (C-31).

        Args:
            style: the endpoint style whose store it goes to.
            scope: container or sandbox.
            entity: what it is.
            name: its name.
            document: its checked JSON.
            caller: who asks.
        """
        return self._create(style, scope, entity.word, name, document, caller)

    def copy(self, record: Record, caller: Caller) -> Record:
        """Keep a new object with the name and the document of another."""
        return self._create(record.style, record.scope, record.word, record.name, record.document, caller)

    def update(
        self, record: Record, name: str, document: bytes, caller: Caller, modified_us: int | None = None
    ) -> Record:
        """Put a checked document in the place of the one a record holds.

        Args:
            record: the object as it is now.
            name: its name from now on.
            document: its checked JSON from now on.
            caller: who asks.
            modified_us: when; None for now. It never goes back.
        """
        changed = msgspec.structs.replace(
            record,
            name=name,
            document=document if caller.amend is None else caller.amend(document),
            etag=record.etag + 1,
            modified_us=max(self.now_us() if modified_us is None else modified_us, record.modified_us),
            modified_by=caller.api_key,
        )
        self.store.put(changed)
        self._log("PATCH", record, changed, caller)
        return changed

    def delete(self, record: Record, caller: Caller) -> None:
        """Forget an object."""
        self.store.remove(record)
        self._log("DELETE", record, None, caller)

    def clear(self) -> None:
        """Forget everything."""
        self.store.clear()
        self.effects.clear()
        self._past.clear()

    @contextmanager
    def as_of(self, moment_us: int) -> Iterator[None]:
        """Turn the store back to what it was at a moment, for reading only, and only without giving up the loop."""
        recent = [past for past in self._past if past.time_us > moment_us]
        for past in reversed(recent):
            self._swap(past.after, past.before)
        try:
            yield
        finally:
            for past in recent:
                self._swap(past.before, past.after)

    def _create(self, style: Style, scope: str, word: str, name: str, document: bytes, caller: Caller) -> Record:
        now_us = self.now_us()
        reference = self._mint.entity_id(style, word, now_us)
        record = Record(
            style=style,
            scope=scope,
            word=word,
            key=self._mint.instance_id(now_us) if style == "xcore" else reference,
            reference=reference,
            name=name,
            document=document if caller.amend is None else caller.amend(document),
            created_us=now_us,
            modified_us=now_us,
            created_by=caller.api_key,
            modified_by=caller.api_key,
        )
        self.store.put(record)
        self._log("POST", None, record, caller)
        return record

    def _swap(self, old: Record | None, new: Record | None) -> None:
        if new is not None:
            self.store.put(new)
        elif old is not None:
            self.store.remove(old)

    def _log(self, method: str, before: Record | None, after: Record | None, caller: Caller) -> None:
        record = after or before
        assert record is not None
        now_us = self.now_us()
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
        if self.horizon_us:
            self._remember(_Past(now_us, before, after))

    def _remember(self, past: _Past) -> None:
        self._past.append(past)
        while self._past[0].time_us < past.time_us - self.horizon_us:
            self._past.popleft()
