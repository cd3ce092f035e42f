"""What an object must look like before it is kept.

A document is the business part of an object: what the client wrote, without the members that the service adds on
reading. It is checked in the same way whether it comes from a create, a replace or out of a patch, and kept as encoded
JSON: bytes cannot be changed behind the store's back, need no copying, and go into an answer as they are.

A patch can only break the members that it touches, so only those are looked at again.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import guardrails
from migrator.emulator.entities import ENTITIES, TAG, Entity, Style
from migrator.emulator.errors import ProblemError
from migrator.emulator.patching import pointers, tokens
from migrator.emulator.schemas import SCHEMAS
from migrator.emulator.shapes import Reference, Rewriting, Walk
from migrator.emulator.softrules import SoftRules

if TYPE_CHECKING:
    from collections import Counter

    from migrator.emulator.choices import Choices
    from migrator.emulator.patching import Operation
    from migrator.emulator.store import Record, Store

SIZE_LIMIT = 300 * 1024
"""Bytes that an object with its representations may take (errors-and-limits 4)."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one style writes the members that the rules speak of.

    Attributes:
        style: the style.
        root: JSON Pointer from where patches start to the document: "" in dps, ``/_instance`` in xcore.
        name: member that holds the name.
        service_owned: members of the document's top level that only the service writes (C-19).
        operations: patch operations that the style lists (C-07).
    """

    style: Style
    root: str
    name: str
    service_owned: frozenset[str]
    operations: frozenset[str]


XCORE = Spelling("xcore", "/_instance", "xdm:name", frozenset({"@id"}), frozenset({"add", "replace", "remove"}))
DPS = Spelling(
    "dps",
    "",
    "name",
    frozenset({"id", "etag", "created", "modified", "createdBy", "lastModifiedBy", "schemas"}),
    frozenset({"add", "replace", "remove", "copy", "test"}),
)


SPELLINGS: dict[Style, Spelling] = {one.style: one for one in (XCORE, DPS)}
"""The two by style."""


class Accepted(msgspec.Struct, frozen=True):
    """A document that may be kept.

    Attributes:
        name: the object's name.
        document: its JSON.
    """

    name: str
    document: bytes


class Target(msgspec.Struct, frozen=True):
    """What a document is to become.

    Attributes:
        entity: its kind.
        scope: its container or sandbox.
        old: the object as it was; None when it is new.
    """

    entity: Entity
    scope: str
    old: Record | None = None


class Reach(msgspec.Struct, frozen=True):
    """How far a patch reaches.

    Attributes:
        patch: the operations to carry out.
        touched: members of the document's top level that they lead to; None when they lead to the whole of it.
    """

    patch: list[Operation]
    touched: frozenset[str | None] | None


class Rules:
    """The rules of one style.

    Args:
        spelling: how the style writes.
        store: where references lead to.
        choices: how the open questions are answered.
        warnings: where tolerated oddities are counted.
        guarded: whether the guardrails are enforced.
    """

    def __init__(
        self, spelling: Spelling, store: Store, choices: Choices, warnings: Counter[str], *, guarded: bool
    ) -> None:
        self._spelling = spelling
        self._store = store
        self._choices = choices
        self._warnings = warnings
        self._guarded = guarded
        self._reject_unknown = choices.unknown_members == "reject"
        self._soft_rules = SoftRules(spelling.style, store)
        in_dps = spelling.style == "dps"
        self._checked = not (in_dps and choices.dps_validation == "off")
        self._invalid = int(choices.dps_validation) if in_dps and self._checked else HTTPStatus.UNPROCESSABLE_ENTITY
        drop = choices.unknown_members == "drop"
        to_kebab = in_dps and choices.enum_spelling == "kebab"
        self._rewriting = Rewriting(spelling.style, spelling.style, drop, to_kebab) if drop or to_kebab else None

    def reach(self, patch: list[Operation]) -> Reach:
        """Refuse a patch that reaches outside the document or at a member of the service (C-19).

        Reading such a member (``test``, ``copy``) is refused too: whether a patch can see it is not documented.

        Raises:
            ProblemError: 422 with the pointer.
        """
        root, owned = self._spelling.root, self._spelling.service_owned
        kept: list[Operation] = []
        reached: frozenset[str | None] = frozenset()
        for operation in patch:
            found = pointers(operation)
            members = _reached(root, *found)
            if owned.isdisjoint(members):
                kept.append(operation)
                reached |= members
            elif self._choices.service_members == "422":
                raise _service_owned(next(pointer for pointer in found if owned & _reached(root, pointer)))
        return Reach(kept, None if None in reached else reached)

    def accept(self, document: Any, target: Target, touched: Collection[str | None] | None = None) -> Accepted:
        """Check a document and encode it.

        Args:
            document: a JSON value; it is used up.
            target: what it is to become.
            touched: members of its top level that may have changed; None for all.

        Raises:
            ProblemError: 422 mostly; the pointer names the member, seen from where a patch of this style starts.
        """
        if not isinstance(document, dict):
            raise _invalid("not-an-object", f"the {target.entity.noun} is not a JSON object", self._spelling.root)
        self._strip_service_owned(document, target.old)
        names = document.keys() if touched is None else touched
        if self._checked:
            # Only an offer's members are independent of each other.
            self._check(document, target, touched if target.entity.offer_type else None)
        self._check_soft_rules(document, target, names)
        if self._rewriting is not None:
            document = SCHEMAS[target.entity.word].rewrite(document, self._rewriting)
        if self._guarded:
            guardrails.check(document, target, self._spelling, self._store)
        return Accepted(self._name(document, target), self._encode(document))

    def _strip_service_owned(self, document: dict[str, Any], old: Record | None) -> None:
        """Take out what the service writes itself. An object that is put back under its own id writes nothing there."""
        for name in self._spelling.service_owned & document.keys():
            is_its_own = old is not None and document[name] == old.reference
            if self._choices.service_members == "422" and not is_its_own:
                raise _service_owned(f"{self._spelling.root}/{name}")
            del document[name]

    def _check(self, document: dict[str, Any], target: Target, touched: Collection[str | None] | None) -> None:
        """Hold some members of a document, None for all, against the table of its entity and what they refer to."""
        schema = SCHEMAS[target.entity.word]
        walk = self._walk()
        shape = schema if touched is None else schema.only(touched)
        if walk.passes(document, shape) and self._all_exist(walk.references, target.scope):
            return
        walk = self._walk()
        try:
            schema.check_some(document, self._spelling.root, walk, document if touched is None else touched)
            for reference in walk.references:
                self._check_reference(reference, target.scope)
        except ProblemError as problem:
            problem.status = self._invalid
            raise

    def _walk(self) -> Walk:
        return Walk(self._spelling.style, reject_unknown=self._reject_unknown)

    def _all_exist(self, references: list[Reference], scope: str) -> bool:
        return None not in [self._referred(reference, scope) for reference in references]

    def _referred(self, reference: Reference, scope: str) -> Record | None:
        return self._store.referenced(self._spelling.style, scope, reference.words, reference.identifier)

    def _check_reference(self, reference: Reference, scope: str) -> None:
        if self._referred(reference, scope) is None:
            kinds = " or ".join(ENTITIES[word].noun for word in reference.words)
            detail = f"there is no {kinds} {reference.identifier}"
            raise _invalid("unresolved-reference", detail, reference.pointer)

    def _check_soft_rules(self, document: dict[str, Any], target: Target, names: Collection[str | None]) -> None:
        """Count what is tolerated, or refuse it (C-23)."""
        for complaint in self._soft_rules.complaints(document, target, names):
            if self._choices.soft_rules == "enforce":
                raise _invalid(complaint.kind, complaint.detail, f"{self._spelling.root}{complaint.pointer}")
            self._warnings[complaint.kind.replace("-", " ")] += 1

    def _name(self, document: dict[str, Any], target: Target) -> str:
        """The name in a document, which others may not have at the same time (C-24)."""
        value = document.get(self._spelling.name)
        name = value if isinstance(value, str) else ""
        choice = self._choices.duplicate_names
        is_new = target.old is None or target.old.name != name
        if is_new and (choice == "all" or (choice == "tags" and target.entity is TAG)):
            self._check_unique(name, target)
        return name

    def _check_unique(self, name: str, target: Target) -> None:
        if self._store.shelf(self._spelling.style, target.scope, target.entity.word).named(name):
            detail = f"another {target.entity.noun} is named {name} already"
            pointer = f"{self._spelling.root}/{self._spelling.name}"
            raise ProblemError(HTTPStatus.CONFLICT, "duplicate-name", detail, pointer)

    def _encode(self, document: dict[str, Any]) -> bytes:
        encoded = msgspec.json.encode(document)
        if len(encoded) > SIZE_LIMIT:
            detail = f"the object takes {len(encoded)} bytes, more than {SIZE_LIMIT}"
            raise _invalid("too-large", detail, self._spelling.root)
        return encoded


@lru_cache(maxsize=1024)
def _reached(root: str, *found: str) -> frozenset[str | None]:
    """The members of the document that pointers lead to. The patches of one rehearsal lead to the same few places."""
    return frozenset(_top_member(pointer, root) for pointer in found)


def _top_member(pointer: str, root: str) -> str | None:
    """The member of the document that a pointer leads to; None when it leads to the document itself."""
    if pointer == root:
        return None
    if not pointer.startswith(f"{root}/"):
        raise _invalid("pointer-outside", f"pointers start with {root}", pointer)
    return tokens(pointer[len(root) :])[0]


def references(record: Record) -> list[Reference]:
    """What a kept object refers to, as far as its table knows."""
    walk = Walk(record.style)
    with suppress(ProblemError):  # kept while nothing was checked (C-21): what is found until then has to do
        SCHEMAS[record.word].check(msgspec.json.decode(record.document), "", walk)
    return walk.references


def _service_owned(pointer: str) -> ProblemError:
    """The refusal of a write to a member that belongs to the service."""
    return _invalid("service-owned", "this member is written by the service only", pointer)


def _invalid(kind: str, detail: str, pointer: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, kind, detail, pointer)
