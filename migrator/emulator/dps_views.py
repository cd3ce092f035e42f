"""What an object looks like through dps: receipts, objects, links, and its members by path (contract 4.3, 4.5, 4.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from migrator.emulator import filters, instants, paging
from migrator.emulator.answers import extended
from migrator.emulator.containers import sandbox_id
from migrator.emulator.documents import DPS
from migrator.emulator.entities import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.emulator.store import Record

    SpellDate = Callable[[int], str]
    """Writes an instant in microseconds as dps reads show it (C-29)."""

JSON = "application/json"

DATES = frozenset({"created", "modified"})
"""Members that are dates of the service."""

_MEMBERS: dict[str, Callable[[Record], Any]] = {
    "id": lambda record: record.key,
    "etag": lambda record: record.etag,
    "name": lambda record: record.name,
    "created": lambda record: record.created_us // 1000,
    "modified": lambda record: record.modified_us // 1000,
}
"""What can be sorted by without decoding a document. Dates are in milliseconds, as exact as dps shows them."""

FIXED = frozenset({"id", "created"})
"""Those of them that no write changes."""

_SPELLINGS: dict[str, SpellDate] = {"offset": instants.millis_offset, "z": instants.millis_z}
_sandbox_id = cache(sandbox_id)


def spell_date(choice: str) -> SpellDate:
    """How dates are spelt in reads."""
    return _SPELLINGS[choice]


def receipt(record: Record) -> dict[str, Any]:
    """The answer to a write."""
    return {
        "etag": record.etag,
        "id": record.key,
        "sandboxId": _sandbox_id(record.scope),
        "createdBy": record.created_by,
        "lastModifiedBy": record.modified_by,
        "createdDate": instants.millis_z(record.created_us),
        "lastModifiedDate": instants.millis_z(record.modified_us),
        "createdByClientId": record.created_by,
        "lastModifiedByClientId": record.modified_by,
    }


def shown(record: Record, spell: SpellDate) -> msgspec.Raw:
    """An object as it is read: its own members and those of the service, side by side."""
    return extended(record.document, _service_members(record, spell))


def member(record: Record, path: str) -> Any:
    """What to sort by at a dotted path of an object, such as ``rank.priority``."""
    known = _MEMBERS.get(path)
    return known(record) if known else paging.dotted(msgspec.json.decode(record.document), path)


def reader(record: Record) -> filters.ReadAll:
    """Reads the values at dotted paths of an object, all dates as text."""

    def read(path: str) -> Sequence[Any]:
        tokens = path.split(".")
        if tokens[0] in DPS.service_owned:
            return list(filters.values(_service_members(record, instants.millis_offset), tokens))
        return list(filters.values(msgspec.json.decode(record.document), tokens))

    return read


def cursor(record: Record, path: str) -> str:
    """A record's value at a path, as a cursor shows it."""
    value = member(record, path)
    if path in DATES:
        return instants.millis_z(value * 1000)
    return record.key if path == "id" else msgspec.json.encode(value).decode()


def link(resource: str, parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A link relative to the base of dps."""
    encoded = "&".join(f"{name}={quote(value, safe=':,')}" for name, value in parameters)
    return {"href": f"/{resource}?{encoded}", "type": JSON}


def _service_members(record: Record, spell: SpellDate) -> dict[str, Any]:
    return {
        "created": spell(record.created_us),
        "modified": spell(record.modified_us),
        "etag": record.etag,
        "schemas": [ENTITIES[record.word].dps_schema],
        "createdBy": record.created_by,
        "lastModifiedBy": record.modified_by,
        "id": record.key,
    }
