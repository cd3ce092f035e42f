"""Somebody else: writes that none of the clients under test asked for, made past the doors and seen in the log."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import patching
from migrator.emulator.errors import ProblemError
from migrator.emulator.library import Caller

if TYPE_CHECKING:
    from migrator.emulator.entities import Style
    from migrator.emulator.library import Library
    from migrator.emulator.store import Record

SOMEBODY_ELSE = "somebody-else"
"""The api key of foreign writes."""
FOREIGN = Caller(SOMEBODY_ELSE, "")

NAMES: dict[Style, str] = {"xcore": "xdm:name", "dps": "name"}
"""The member of a document that holds the object's name."""
DESCRIPTIONS: dict[Style, str] = {"xcore": "xdm:description", "dps": "description"}
"""The member of a document that a foreign edit writes when it is not told which."""

_OPERATIONS = frozenset({"add", "replace", "remove", "copy", "move", "test"})


def find(library: Library, style: Style, scope: str, key: str) -> Record:
    """An object that has to be there.

    Raises:
        ProblemError: 404.
    """
    record = library.store.find(style, scope, key)
    if record is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-object", f"there is no {key} in {scope} of {style}")
    return record


def edit(library: Library, record: Record, patch: Any, caller: Caller = FOREIGN) -> Record:
    """Apply a patch, in the pointers of the object's style, without the checks that its door would make.

    Raises:
        ProblemError: the patch is malformed, does not apply, or leaves no document with a name.
    """
    operations = patching.check(patch, _OPERATIONS)
    document = msgspec.json.decode(record.document)
    if record.style == "xcore":
        patched = patching.apply({"_instance": document}, operations).get("_instance")
    else:
        patched = patching.apply(document, operations)
    return _keep(library, record, patched, caller)


def tweak(
    library: Library, record: Record, member: str | None, value: Any = None, modified_us: int | None = None
) -> Record:
    """Set one member of a document; without a value, to a text that is new each time."""
    document = msgspec.json.decode(record.document)
    document[member or DESCRIPTIONS[record.style]] = value or f"Edited by somebody else, {len(library.effects) + 1}"
    return _keep(library, record, document, FOREIGN, modified_us)


def _keep(library: Library, record: Record, document: Any, caller: Caller, modified_us: int | None = None) -> Record:
    name = document.get(NAMES[record.style]) if isinstance(document, dict) else None
    if not isinstance(name, str) or not name:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "nameless", "an object is a JSON object with a name")
    return library.update(record, name, msgspec.json.encode(document), caller, modified_us)
