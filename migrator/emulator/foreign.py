"""Somebody else: writes that none of the clients under test asked for, made past the doors and seen in the log.

No rules are asked: somebody else may delete what others refer to, and leave a document that no door would let in.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import patching
from migrator.emulator.documents import SPELLINGS, Accepted
from migrator.emulator.editing import applied
from migrator.emulator.errors import ProblemError
from migrator.emulator.library import Caller

if TYPE_CHECKING:
    from migrator.emulator.entities import Style
    from migrator.emulator.library import Library
    from migrator.emulator.store import Record

FOREIGN = Caller("somebody-else", "")
"""Who that is in the log of effects."""

_DESCRIPTIONS: dict[Style, str] = {"xcore": "xdm:description", "dps": "description"}
"""The member of a document that a foreign edit writes when it is not told which."""


def find(library: Library, style: Style, scope: str, key: str) -> Record:
    """An object that has to be there.

    Raises:
        ProblemError: 404.
    """
    record = library.store.find(style, scope, key)
    if record is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-object", f"there is no {key} in {scope} of {style}")
    return record


def edit(library: Library, record: Record, patch: Any) -> Record:
    """Apply a patch, in the pointers of the object's style.

    Raises:
        ProblemError: the patch is malformed, does not apply, or leaves no document with a name.
    """
    operations = patching.check(patch, patching.OPERATIONS)
    document, failure = applied(record, operations, SPELLINGS[record.style])
    if failure is not None:
        raise failure
    return _keep(library, record, document)


def tweak(
    library: Library, record: Record, member: str | None, value: Any = None, modified_us: int | None = None
) -> Record:
    """Set one member of a document; without a value, to a text that is new each time."""
    document = msgspec.json.decode(record.document)
    document[member or _DESCRIPTIONS[record.style]] = value or f"Edited by somebody else, {len(library.effects) + 1}"
    return _keep(library, record, document, modified_us)


def _keep(library: Library, record: Record, document: Any, modified_us: int | None = None) -> Record:
    name = document.get(SPELLINGS[record.style].name) if isinstance(document, dict) else None
    if not isinstance(name, str) or not name:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "nameless", "an object is a JSON object with a name")
    accepted = Accepted(name, msgspec.json.encode(document))
    return library.update(record, accepted, FOREIGN, modified_us=modified_us)
