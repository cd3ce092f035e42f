"""Objects as lines of text: everything that a library holds, to be put back elsewhere or later.

The format is JSON Lines in UTF-8, one object a line, in any order. Each line has these members and no others::

    {
      "style": "xcore",                      endpoint style: xcore or dps
      "container": "e0bd8463-…",             container id (xcore) or sandbox name (dps)
      "type": "personalized-offer",          last part of its schema
      "id": "0f4bc230-…",                    what addresses it: instanceId (xcore) or id (dps)
      "reference": "xcore:personalized-…",   what other objects refer to it by: @id (xcore) or id (dps)
      "etag": 3,                             number of writes so far, the create included
      "created": "2020-10-21T20:50:32.018624Z",   RFC 3339, to the microsecond
      "modified": "2020-10-22T09:00:00.000000Z",
      "created_by": "…", "modified_by": "…",      api keys (client ids)
      "document": {"xdm:name": "…", …}       the business members in the style's own spelling, without those that the
    }                                        service adds (ids, etag, dates, schemas, links)

What is read back is what was written: ids, etags, dates and documents come out as they went in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from migrator.emulator import instants
from migrator.emulator.documents import SPELLINGS
from migrator.emulator.entities import ENTITIES, Style
from migrator.emulator.store import Record

if TYPE_CHECKING:
    from collections.abc import Iterable


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One line of a snapshot; its members are the format's."""

    style: Style
    container: str
    type: str
    id: str
    reference: str
    etag: int
    created: str
    modified: str
    created_by: str = ""
    modified_by: str = ""
    document: msgspec.Raw


class LineError(NamedTuple):
    """What is wrong with a line.

    Attributes:
        line: its number, from 1.
        error: what is wrong, for people.
    """

    line: int
    error: str


_DECODER = msgspec.json.Decoder(Line)


def line(record: Record) -> Line:
    """A record as a line."""
    return Line(
        style=record.style,
        container=record.scope,
        type=record.word,
        id=record.key,
        reference=record.reference,
        etag=record.etag,
        created=instants.micros_z(record.created_us),
        modified=instants.micros_z(record.modified_us),
        created_by=record.created_by,
        modified_by=record.modified_by,
        document=msgspec.Raw(record.document),
    )


def read(lines: Iterable[bytes]) -> tuple[list[Record], list[LineError]]:
    """Read lines into records; blank lines are skipped.

    Returns:
        The records, and everything that is wrong: with a member, or because an object is there twice.
    """
    records: dict[tuple[str, str, str], Record] = {}
    errors = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            record = _record(_DECODER.decode(text))
        except (msgspec.DecodeError, ValueError) as failure:
            errors.append(LineError(number, str(failure)))
            continue
        address = record.style, record.scope, record.key
        if address in records:
            errors.append(LineError(number, f"{record.key} is there twice"))
        records[address] = record
    return list(records.values()), errors


def _record(one: Line) -> Record:
    document: Any = msgspec.json.decode(one.document)
    member = SPELLINGS[one.style].name
    name = document.get(member) if isinstance(document, dict) else None
    if one.type not in ENTITIES:
        raise ValueError(f"type is one of {', '.join(ENTITIES)}")
    if not isinstance(name, str):
        raise ValueError(f"document is an object with a {member}")  # noqa: TRY004 - a fault of the text
    return Record(
        style=one.style,
        scope=one.container,
        word=one.type,
        key=one.id,
        reference=one.reference,
        name=name,
        document=bytes(one.document),
        etag=one.etag,
        created_us=instants.parse(one.created),
        modified_us=instants.parse(one.modified),
        created_by=one.created_by,
        modified_by=one.modified_by,
    )
