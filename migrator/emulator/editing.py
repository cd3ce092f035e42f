"""The writes that both doors offer: check, then write, without giving up the event loop in between."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import patching
from migrator.emulator.documents import Rules, Target
from migrator.emulator.entities import ENTITIES
from migrator.emulator.errors import ProblemError

if TYPE_CHECKING:
    from migrator.emulator.choices import Choices
    from migrator.emulator.documents import Accepted, Reach, Spelling
    from migrator.emulator.entities import Entity
    from migrator.emulator.library import Caller, Library
    from migrator.emulator.patching import Operation
    from migrator.emulator.store import Record


class Editor:
    """Creates, replaces, patches and deletes the objects of one style.

    Args:
        library: the objects.
        rules: what a document has to keep to.
        spelling: how the style writes.
        choices: how the open questions are answered.
    """

    def __init__(self, library: Library, rules: Rules, spelling: Spelling, choices: Choices) -> None:
        self._library = library
        self._rules = rules
        self._spelling = spelling
        self._choices = choices
        self._operations = patching.OPERATIONS if choices.other_operations == "rfc6902" else spelling.operations

    def create(self, entity: Entity, scope: str, document: Any, caller: Caller) -> Record:
        """Keep a new object.

        Raises:
            ProblemError: the document is refused.
        """
        accepted = self._rules.accept(document, Target(entity, scope))
        return self._library.create(self._spelling.style, scope, entity.word, accepted, caller)

    def replace(self, record: Record, document: Any, caller: Caller) -> Record:
        """Put a document in the place of the one that an object has.

        Raises:
            ProblemError: the document is refused.
        """
        accepted = self._rules.accept(document, Target(ENTITIES[record.word], record.scope, record))
        return self._update(record, accepted, caller, "PUT")

    def check(self, patch: Any) -> Reach:
        """Check a patch, without an object.

        Args:
            patch: any JSON value.

        Raises:
            ProblemError: 400 for its form, 422 for where it reaches.
        """
        operations = patching.check(patch, self._operations)
        if not operations and self._choices.empty_patch == "400":
            raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed-patch", "there is no operation in the patch", "")
        return self._rules.reach(operations)

    def patch(self, record: Record, reach: Reach, caller: Caller) -> Record:
        """Patch an object; a patch of no operations changes nothing (C-26).

        Raises:
            ProblemError: an operation fails, or its result is refused. With C-17, and when the service breaks in the
                middle, the operations before that may have had their effect.
        """
        if not reach.patch:
            return record
        result, failure = self._applied(record, reach, breaks=caller.breaks)
        if failure is not None and not caller.breaks and self._choices.failed_patch == "atomic":
            raise failure
        accepted = self._rules.accept(result, Target(ENTITIES[record.word], record.scope, record), reach.touched)
        if failure is None:
            return self._update(record, accepted, caller, "PATCH")
        if accepted.document != record.document:
            self._library.update(record, accepted, caller)
        raise failure

    def delete(self, record: Record, caller: Caller) -> None:
        """Forget an object.

        Raises:
            ProblemError: 409, another object refers to it (C-11).
        """
        if self._choices.referenced_delete == "409":
            referrer = self._library.referrer(record)
            if referrer is not None:
                detail = f"{ENTITIES[referrer.word].noun} {referrer.reference} refers to {record.reference}"
                raise ProblemError(HTTPStatus.CONFLICT, "referenced", detail)
        self._library.delete(record, caller)

    def _update(self, record: Record, accepted: Accepted, caller: Caller, method: str) -> Record:
        if self._choices.same_values == "nothing" and accepted.document == record.document:
            return record
        return self._library.update(record, accepted, caller, method)

    def _applied(self, record: Record, reach: Reach, *, breaks: bool) -> tuple[Any, ProblemError | None]:
        upsert = self._choices.replace_absent == "upsert"
        half = len(reach.patch) // 2
        if not breaks or not half:
            return applied(record, reach.patch, self._spelling, upsert=upsert)
        result, failure = applied(record, reach.patch[:half], self._spelling, upsert=upsert)
        return result, failure or ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR, "injected", "the patch was applied in part"
        )


def applied(
    record: Record, patch: list[Operation], spelling: Spelling, *, upsert: bool = False
) -> tuple[Any, ProblemError | None]:
    """Apply a checked patch, in the pointers of a style, to the document of an object.

    Args:
        record: the object; it stays as it is.
        patch: well-formed operations.
        spelling: how the object's style writes.
        upsert: let ``replace`` add an absent member (C-18).

    Returns:
        The document, after the operations before the first that fails, and its failure; None when none fails.
    """
    document = msgspec.json.decode(record.document)
    member = spelling.root.removeprefix("/")
    if not member:
        return patching.apply(document, patch, upsert=upsert)
    envelope, failure = patching.apply({member: document}, patch, upsert=upsert)
    return envelope.get(member), failure
