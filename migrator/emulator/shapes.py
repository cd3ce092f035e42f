"""What a member of an object may look like: the vocabulary that the tables of `schemas` are written in.

A shape does two things with a value. It *checks* it: the first thing wrong raises a refusal that points at it, and the
references that are met on the way are noted. And it *rewrites* it: into the spelling of the other style, or of the
other case (contract 5, 5.9), without looking whether it is right.

A table is written once for both styles. The style only decides which of a field's names counts, and how the few words
that differ are spelt.

Nearly all documents are right, and that is soon seen: every shape can say itself as a *type*, which msgspec holds a
value against in one go. What a type cannot say is left to the shape's own check, as is every value that does not pass.

What belongs here: what a shape is, and how a document is held against one. The shapes themselves are in `scalars` and
`compounds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

import msgspec

from migrator.emulator.entities import Style
from migrator.emulator.errors import ProblemError


class Reference(msgspec.Struct, frozen=True):
    """A value that has to be the id of an object.

    Attributes:
        identifier: the value.
        words: entities that it may be of.
        pointer: where it stands.
    """

    identifier: str
    words: tuple[str, ...]
    pointer: str


class Walk(msgspec.Struct):
    """One check of one document.

    Attributes:
        style: which names and spellings count.
        reject_unknown: refuse members that no table knows (C-22).
        references: what was met that has to exist.
    """

    style: Style
    reject_unknown: bool = False
    references: list[Reference] = msgspec.field(default_factory=list)

    def passes(self, value: Any, shape: Shape) -> bool:
        """Whether a value surely has a shape; all that it refers to is noted then, without saying where.

        False is no refusal, but a matter for `Shape.check`: so are members that no table knows where these are refused,
        and two references to one object, which may be one too many (`Many.unique`).
        """
        if self.reject_unknown:
            return False
        try:
            msgspec.convert(value, shape.typed(self.style), dec_hook=self._judge)
        except (msgspec.ValidationError, ProblemError, RecursionError):
            return False
        return len({one.identifier for one in self.references}) == len(self.references)

    def _judge(self, kind: type[Judged], value: Any) -> Judged:
        kind.shape.check(value, "", self)
        return kind()


class Judged:
    """A type that msgspec knows nothing of: it asks us, and we ask the shape.

    Attributes:
        shape: the shape.
    """

    shape: ClassVar[Shape]


class Rewriting(NamedTuple):
    """How a document is rewritten.

    Attributes:
        source: style that it is in.
        target: style that it is wanted in.
        drop_unknown: leave out members that no table knows; else they keep their names (C-22).
        respell: give the words of enumerations the case of the target style (C-25).
    """

    source: Style
    target: Style
    drop_unknown: bool
    respell: bool


class Shape:
    """Anything at all."""

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse a value that does not have this shape.

        Args:
            value: a JSON value.
            at: pointer to it.
            walk: collects references.

        Raises:
            ProblemError: 422 with a pointer.
        """

    def among(self, members: Mapping[str, Any]) -> Shape:  # noqa: ARG002 - most shapes do not care
        """The shape that counts for a member of an object."""
        return self

    def rewrite(self, value: Any, how: Rewriting) -> Any:  # noqa: ARG002 - most values are spelt alike
        """The value in another spelling; a value of the wrong shape comes back as it is."""
        return value

    def typed(self, style: Style) -> Any:  # noqa: ARG002 - most shapes do not care
        """The shape as a type for msgspec, which lets nothing through that `check` refuses."""
        return Any

    def refers_to(self) -> frozenset[str]:
        """The entities that a value of this shape may refer to."""
        return frozenset()


ANYTHING = Shape()


def judged(shape: Shape) -> type[Judged]:
    """A type for msgspec that asks a shape."""
    return type("Judged", (Judged,), {"shape": shape})


def wrong(pointer: str, wanted: str) -> ProblemError:
    """The refusal of a value that does not have its shape."""
    name = pointer.rpartition("/")[2]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-value", f"{name} has to be {wanted}", pointer)
