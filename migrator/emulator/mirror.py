"""Two doors to one store (C-14): what lies in a sandbox's xcore container can be seen and written in dps as well.

An xcore object has a *twin* in dps: the same object under its ``@id``, in the spelling of dps. Whoever changes one of
the two has the other put in its place, so that lists, look-ups and references need to know nothing of it. Objects made
in dps have no twin: xcore does not show them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Rewriting

if TYPE_CHECKING:
    from migrator.emulator.containers import Containers
    from migrator.emulator.entities import Style
    from migrator.emulator.store import Record, Store


class Mirror:
    """Knows the twins.

    Args:
        store: where both lie.
        containers: the containers, and their sandboxes.
    """

    def __init__(self, store: Store, containers: Containers) -> None:
        self._store = store
        self._containers = containers

    def twin(self, record: Record) -> Record | None:
        """The other side of a record, as it is after the record has changed; None when it has none."""
        if record.style == "xcore":
            sandbox = self._containers.sandbox_of(record.scope)
            return None if sandbox is None else _respelt(record, "dps", sandbox, record.reference)
        original = self._original(record)
        return None if original is None else _respelt(record, "xcore", original.scope, original.key)

    def _original(self, record: Record) -> Record | None:
        container = self._containers.container_of(record.scope)
        if container is None:
            return None
        return self._store.shelf("xcore", container, record.word).referenced(record.reference)


def _respelt(record: Record, style: Style, scope: str, key: str) -> Record:
    how = Rewriting(record.style, style, drop_unknown=False, respell=True)
    document = SCHEMAS[record.word].rewrite(msgspec.json.decode(record.document), how)
    encoded = msgspec.json.encode(document)
    return msgspec.structs.replace(record, style=style, scope=scope, key=key, document=encoded)
