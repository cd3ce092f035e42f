"""The writes. Nothing else changes the store while requests are answered, and none of this waits in the middle.

Because every function here runs from the check to the effect without giving up the event loop, a write is atomic and
its place in the log of effects is its place in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from migrator.emulator.ids import Mint
from migrator.emulator.observation import Effect
from migrator.emulator.store import Record, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.emulator.entities import Entity, Style


class Caller(NamedTuple):
    """Who writes.

    Attributes:
        api_key: the ``x-api-key``.
        request_id: the ``x-request-id``, or "".
    """

    api_key: str
    request_id: str


class Library:
    """The objects, and the log of what was done to them.

    Attributes:
        store: the objects.
        effects: all writes so far, in order.
        now_us: the clock, microseconds since 1970.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.store = Store()
        self.effects: list[Effect] = []
        self.now_us = now_us
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
        now_us = self.now_us()
        reference = self._mint.entity_id(style, entity.word, now_us)
        record = Record(
            style=style,
            scope=scope,
            word=entity.word,
            key=self._mint.instance_id(now_us) if style == "xcore" else reference,
            reference=reference,
            name=name,
            document=document,
            created_us=now_us,
            modified_us=now_us,
            created_by=caller.api_key,
            modified_by=caller.api_key,
        )
        self.store.put(record)
        self._log("POST", record, record.etag, caller)
        return record

    def update(self, record: Record, name: str, document: bytes, caller: Caller) -> Record:
        """Put a checked document in the place of the one a record holds."""
        changed = msgspec.structs.replace(
            record,
            name=name,
            document=document,
            etag=record.etag + 1,
            modified_us=max(self.now_us(), record.modified_us),
            modified_by=caller.api_key,
        )
        self.store.put(changed)
        self._log("PATCH", changed, changed.etag, caller)
        return changed

    def delete(self, record: Record, caller: Caller) -> None:
        """Forget an object."""
        self.store.remove(record)
        self._log("DELETE", record, None, caller)

    def clear(self) -> None:
        """Forget everything."""
        self.store.clear()
        self.effects.clear()

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
