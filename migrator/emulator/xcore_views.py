"""What an object looks like through xcore: receipts, envelopes, links, and its members by path (contract 3.3, 3.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from migrator.emulator import filters, instants, paging
from migrator.emulator.answers import extended
from migrator.emulator.entities import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.emulator.store import Record

HAL = "application/vnd.adobe.platform.xcore.hal+json"
"""Content type of objects and lists, and of an object in its envelope."""
RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json"
"""Content type of the answer to a write."""
INSTANCE = "application/schema-instance+json"
"""Content type of an object without its envelope."""
PATCH = "application/vnd.adobe.platform.xcore.patch.hal+json"
"""Content type of a patch."""

_RESULTS_TYPE = "https://ns.adobe.com/experience/xcore/hal/results"

_MEMBERS: dict[str, Callable[[Record], Any]] = {
    "instanceId": lambda record: record.key,
    "repo:etag": lambda record: record.etag,
    "repo:createdDate": lambda record: record.created_us // 1000,
    "repo:lastModifiedDate": lambda record: record.modified_us // 1000,
    "_instance.@id": lambda record: record.reference,
    "_instance.xdm:name": lambda record: record.name,
}
"""What can be sorted by without decoding a document. Dates are in milliseconds, as cursors show them."""

FIXED = frozenset({"instanceId", "repo:createdDate", "_instance.@id"})
"""Those of them that no write changes."""


def receipt(record: Record) -> dict[str, Any]:
    """The answer to a write."""
    return {"instanceId": record.key, "@id": record.reference, **_audit(record)}


def envelope(record: Record) -> dict[str, Any]:
    """An object as it is read."""
    schema = ENTITIES[record.word].xcore_schema
    link = {
        "name": f"{schema}#{record.key}",
        "href": f"/{record.scope}/instances/{record.key}",
        "@type": schema,
    }
    return {
        "instanceId": record.key,
        "schemas": [schema],
        "productContexts": ["acp"],
        **_audit(record),
        "_instance": extended(record.document, {"@id": record.reference}),
        "_links": {"self": link},
    }


def member(record: Record, path: str) -> Any:
    """What to sort by at a dotted path of an envelope, such as ``_instance.xdm:status``."""
    known = _MEMBERS.get(path)
    if known is not None:
        return known(record)
    return paging.dotted({"_instance": msgspec.json.decode(record.document)}, path)


def reader(record: Record) -> filters.ReadAll:
    """Reads the values at dotted paths of an envelope, all dates as text."""

    def read(path: str) -> Sequence[Any]:
        head, *tail = path.split(".")
        if head != "_instance":
            return list(filters.values(_audit(record) | {"instanceId": record.key}, [head, *tail]))
        return list(filters.values(msgspec.json.decode(record.document) | {"@id": record.reference}, tail))

    return read


def link(path: str, query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A link relative to the base of xcore."""
    encoded = "&".join(f"{quote(name)}={quote(value, safe=';:/=')}" for name, value in query)
    return {"href": f"{path}?{encoded}", "@type": _RESULTS_TYPE}


def _audit(record: Record) -> dict[str, Any]:
    return {
        "repo:etag": record.etag,
        "repo:createdDate": instants.micros_z(record.created_us),
        "repo:lastModifiedDate": instants.micros_z(record.modified_us),
        "repo:createdBy": record.created_by,
        "repo:lastModifiedBy": record.modified_by,
        "repo:createdByClientId": record.created_by,
        "repo:lastModifiedByClientId": record.modified_by,
    }
