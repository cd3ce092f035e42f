"""Copies: objects to be made after others, whose references are those of their source until the others are made.

What belongs here: the form of a copy in a ledger, and how it becomes what is sent. What must never: how an object is
spelled in another style, which is `mapping`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

import msgspec
from msgspec import Struct

from migrator.core.model import EntityType, Json, Operation
from migrator.core.patch import apply
from migrator.core.pointers import pointer_to

_encode = msgspec.json.Encoder().encode


class Reference(Struct, frozen=True):
    """A place where a copy refers to another object.

    Attributes:
        path: JSON Pointer to the id.
        type: of the other object.
        id: by which the source refers to it.
    """

    path: str
    type: EntityType
    id: str


class Copy(Struct, frozen=True):
    """An object to be made.

    Attributes:
        document: in the style of the target, but for the references.
        references: those places.
    """

    document: Json
    references: tuple[Reference, ...] = ()


copy_of = msgspec.json.Decoder(Copy).decode
"""Read a copy from the body of its step: `plan.body_of` of a change that has it for its document."""


class Marks(Struct, frozen=True):
    """Ids that stand for objects that are not made yet, told from all real ones by a word that nothing else has.

    Attributes:
        word: the word.
    """

    word: str

    def mark(self, type_: str, id_: str) -> str:
        """Return what stands for an object of the source."""
        return f"{self.word}{type_} {id_}"

    def copy(self, document: Json) -> Copy:
        """Make a copy of a document in which marks stand."""
        return Copy(document, tuple(self._found(document, ())) if self._may_hold(document) else ())

    def _found(self, value: Json, above: tuple[str, ...]) -> Iterator[Reference]:
        if isinstance(value, str):
            type_, _, id_ = value.removeprefix(self.word).partition(" ")
            yield Reference(reduce(pointer_to, above, ""), EntityType(type_), id_)
            return
        for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if self._may_hold(inner):
                yield from self._found(inner, (*above, str(part)))

    def _may_hold(self, value: Json) -> bool:
        """Whether a value is a mark, or has members that may be."""
        return value.startswith(self.word) if isinstance(value, str) else isinstance(value, dict | list)


def unknown(copy: Copy, ids: Mapping[tuple[EntityType, str], str]) -> list[Reference]:
    """Return the references of a copy to what has no id in the target."""
    return [one for one in copy.references if (one.type, one.id) not in ids]


def document_of(copy: Copy, ids: Mapping[tuple[EntityType, str], str]) -> bytes:
    """Return the JSON text of the object that is made of a copy, every reference with its id in the target."""
    return _encode(apply(tuple(_put(copy.references, ids)), copy.document))


def _put(references: Iterable[Reference], ids: Mapping[tuple[EntityType, str], str]) -> Iterator[Operation]:
    for one in references:
        yield Operation("replace", one.path, ids[one.type, one.id])
