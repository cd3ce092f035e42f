"""What a member of an object may look like: the vocabulary that the tables of `schemas` are written in.

A shape does two things with a value. It *checks* it: the first thing wrong raises a refusal that points at it, and the
references that are met on the way are noted. And it *rewrites* it: into the spelling of the other style, or of the
other case (contract 5, 5.9), without looking whether it is right.

A table is written once for both styles. The style only decides which of a field's names counts, and how the few words
that differ are spelt.

Nearly all documents are right, and that is soon seen: every shape can say itself as a *type*, which msgspec holds a
value against in one go. What a type cannot say is left to the shape's own check, as is every value that does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec

from migrator.emulator import instants
from migrator.emulator.entities import NAMESPACE, Style
from migrator.emulator.errors import ProblemError

_CONTENT = f"{NAMESPACE}content-component-"
_HUMP = re.compile(r"(?<=[a-z])([A-Z])")


Fits = Callable[[Any], bool]
"""Whether a value is what it has to be."""


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

    def _judge(self, kind: type[_Judged], value: Any) -> _Judged:
        kind.shape.check(value, "", self)
        return kind()


class _Judged:
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


@dataclass(frozen=True, slots=True)
class Scalar(Shape):
    """A single value.

    Attributes:
        wanted: what it has to be, for messages.
        fits: whether it is.
        schema: the same as a JSON Schema.
        type: the same as a type; None when there is none.
    """

    wanted: str
    fits: Fits
    schema: Mapping[str, Any]
    type: Any = None

    def check(self, value: Any, at: str, walk: Walk) -> None:  # noqa: ARG002 - nothing to collect
        """Refuse what does not fit."""
        if not self.fits(value):
            raise wrong(at, self.wanted)

    def typed(self, style: Style) -> Any:  # noqa: ARG002 - it is the same in both
        """Its type."""
        return _judged(self) if self.type is None else self.type


def whole(least: int) -> Scalar:
    """A whole number; true and false are none."""
    return Scalar(
        f"a whole number of at least {least}",
        lambda value: type(value) is int and value >= least,
        {"type": "integer", "minimum": least},
        Annotated[int, msgspec.Meta(ge=least)],
    )


TEXT = Scalar("text", lambda value: isinstance(value, str), {"type": "string"}, str)
NAME = Scalar(
    "text that is not empty",
    lambda value: isinstance(value, str) and value != "",
    {"type": "string", "minLength": 1},
    Annotated[str, msgspec.Meta(min_length=1)],
)
FLAG = Scalar("true or false", lambda value: isinstance(value, bool), {"type": "boolean"}, bool)
DATE = Scalar(
    "a date and time with an offset",
    lambda value: isinstance(value, str) and instants.is_instant(value),
    {"type": "string", "format": "date-time"},
)


@dataclass(frozen=True, slots=True)
class Word(Shape):
    """One of a few words, listed in kebab case; xcore spells them in camel case, dps in either (C-25)."""

    words: tuple[str, ...]

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse other words."""
        spellings = self.spellings(walk.style)
        if value not in spellings:
            raise wrong(at, f"one of {', '.join(spellings)}")

    def typed(self, style: Style) -> Any:
        """The words."""
        return Literal[tuple(self.spellings(style))]

    def spellings(self, style: Style) -> Sequence[str]:
        """The words as a style may spell them."""
        return list(dict.fromkeys((*map(camel, self.words), *(self.words if style == "dps" else ()))))

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """The word in the case of the target style."""
        if not how.respell or not isinstance(value, str):
            return value
        return kebab(value) if how.target == "dps" else camel(value)


@dataclass(frozen=True, slots=True)
class Content(Shape):
    """A type of content: a URI in xcore, a short word in dps. New ones may come, so any text is one.

    Attributes:
        text: what dps calls plain text, which depends on the place.
    """

    text: str

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no text."""
        NAME.check(value, at, walk)

    def typed(self, style: Style) -> Any:
        """Text."""
        return NAME.typed(style)

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """The URI for the word, or the word for the URI."""
        if not isinstance(value, str) or how.source == how.target:
            return value
        if how.target == "xcore":
            return value if ":" in value else f"{_CONTENT}{value.removeprefix('component-')}"
        word = value.removeprefix(_CONTENT)
        return self.text if word == "text" else word


@dataclass(frozen=True, slots=True)
class Ref(Shape):
    """The id of an object of one of a few entities."""

    words: tuple[str, ...]

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no text, and note the rest: whether it exists is looked at elsewhere."""
        if not isinstance(value, str):
            raise wrong(at, "an id")
        walk.references.append(Reference(value, self.words, at))

    def typed(self, style: Style) -> Any:  # noqa: ARG002 - an id is noted in either
        """A type of its own."""
        return _judged(self)

    def refers_to(self) -> frozenset[str]:
        """Those few."""
        return frozenset(self.words)


@dataclass(frozen=True, slots=True)
class By(Shape):
    """A shape that a word beside it decides.

    Attributes:
        names: what the member with that word may be called.
        cases: shapes by its value in kebab case.
        otherwise: the shape when there is no such member, or another word in it.
    """

    names: tuple[str, ...]
    cases: Mapping[str, Shape]
    otherwise: Shape

    def among(self, members: Mapping[str, Any]) -> Shape:
        """The shape in question."""
        word = next((members[name] for name in self.names if isinstance(members.get(name), str)), "")
        return self.cases.get(kebab(word), self.otherwise)

    def typed(self, style: Style) -> Any:  # noqa: ARG002 - it is not known here which of them counts
        """A type of its own; `Members` gives none that has such a member."""
        return _judged(self)

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """As all of them do: they differ in what they refer to, not in how they are spelt."""
        return self.otherwise.rewrite(value, how)

    def refers_to(self) -> frozenset[str]:
        """What any of them refers to."""
        return self.otherwise.refers_to()


@dataclass(frozen=True, slots=True)
class Many(Shape):
    """An array.

    Attributes:
        of: the shape of its elements.
        least: how many there have to be.
        unique: names of the reference in which no two elements may be equal, for each style the one that counts.
    """

    of: Shape
    least: int = 0
    unique: Mapping[Style, str] | None = None

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no array, is too short, or has a wrong element."""
        if not isinstance(value, list) or len(value) < self.least:
            raise wrong(at, f"an array of at least {self.least}" if self.least else "an array")
        for index, element in enumerate(value):
            self.of.check(element, f"{at}/{index}", walk)
        if self.unique is not None:
            _check_unique(value, self.unique[walk.style], at)

    def typed(self, style: Style) -> Any:
        """A list; `Walk.passes` sees to what has to be unique."""
        return Annotated[list[self.of.typed(style)], msgspec.Meta(min_length=self.least)]  # type: ignore[misc]

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """Element by element."""
        return [self.of.rewrite(element, how) for element in value] if isinstance(value, list) else value

    def refers_to(self) -> frozenset[str]:
        """What its elements refer to."""
        return self.of.refers_to()


@dataclass(frozen=True, slots=True)
class Named(Shape):
    """An object whose members have names of the client's own choice, and one shape."""

    of: Shape

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no object or has a wrong member."""
        if not isinstance(value, dict):
            raise wrong(at, "an object")
        for name, member in value.items():
            self.of.check(member, f"{at}/{escaped(name)}", walk)

    def typed(self, style: Style) -> Any:
        """A mapping."""
        return dict[str, self.of.typed(style)]  # type: ignore[misc]

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """Member by member; the names stay."""
        if not isinstance(value, dict):
            return value
        return {name: self.of.rewrite(member, how) for name, member in value.items()}

    def refers_to(self) -> frozenset[str]:
        """What its members refer to."""
        return self.of.refers_to()


@dataclass(frozen=True, slots=True)
class Field:
    """A member that the tables know.

    Attributes:
        dps: its name in dps.
        xcore: its names in xcore, the one to write first; none when xcore does not know it.
        shape: what it looks like.
        required: whether an object without it is refused.
    """

    dps: str
    xcore: tuple[str, ...]
    shape: Shape
    required: bool

    def names(self, style: Style) -> tuple[str, ...]:
        """Its names in a style."""
        return (self.dps,) if style == "dps" else self.xcore


@dataclass(frozen=True, slots=True, eq=False)
class Members(Shape):
    """An object of known members. Others are let through, unless C-22 says otherwise."""

    fields: tuple[Field, ...]
    _known: dict[Style, dict[str, Field]] = field(init=False, repr=False, default_factory=dict)
    _required: dict[Style, list[tuple[str, ...]]] = field(init=False, repr=False, default_factory=dict)
    _types: dict[Style, Any] = field(init=False, repr=False, default_factory=dict)
    _names: frozenset[str] = field(init=False, repr=False)
    _narrowed: dict[frozenset[str | None], Members] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        styles: tuple[Style, ...] = ("xcore", "dps")
        for style in styles:
            self._known[style] = {name: one for one in self.fields for name in one.names(style)}
            self._required[style] = [one.names(style) for one in self.fields if one.required]
            self._types[style] = self._struct(style)
        object.__setattr__(self, "_names", frozenset().union(*self._known.values()))

    def known(self, style: Style) -> Mapping[str, Field]:
        """The fields by name; a field with two names is there twice."""
        return self._known[style]

    def check(self, value: Any, at: str, walk: Walk) -> None:
        """Refuse what is no object, lacks a required member or has a wrong one."""
        if not isinstance(value, dict):
            raise wrong(at, "an object")
        self.check_some(value, at, walk, value)

    def check_some(self, value: dict[str, Any], at: str, walk: Walk, touched: Iterable[str | None]) -> None:
        """Check that nothing required is absent, and those members that are named and there."""
        for names in self._required[walk.style]:
            if names[0] not in value and value.keys().isdisjoint(names):
                raise ProblemError(
                    HTTPStatus.UNPROCESSABLE_ENTITY, "required-member", f"{names[0]} is required", f"{at}/{names[0]}"
                )
        known = self._known[walk.style]
        for name in touched:
            if name is None or name not in value:
                continue
            found = known.get(name)
            if found is not None:
                found.shape.among(value).check(value[name], f"{at}/{name}", walk)
            elif walk.reject_unknown:
                raise _unknown(f"{at}/{escaped(name)}", name)

    def only(self, names: Iterable[str | None]) -> Members:
        """The same table, blind to all members but those that are named; what is required stays so.

        Made once for all that name the same, for patches touch the same few members over and over.
        """
        named = frozenset(names) & self._names
        found = self._narrowed.get(named)
        if found is None:
            found = self._narrowed[named] = Members(tuple(_blinded(one, named) for one in self.fields))
        return found

    def typed(self, style: Style) -> Any:
        """A struct, made once: msgspec learns a type when it first sees it."""
        return self._types[style]

    def _struct(self, style: Style) -> Any:
        known = self._known[style]
        if any(isinstance(one.shape, By) or (one.required and len(one.names(style)) > 1) for one in known.values()):
            return _judged(self)
        members = [
            (f"m{number}", *_typed_member(name, one.shape.typed(style), required=one.required))
            for number, (name, one) in enumerate(known.items())
        ]
        return msgspec.defstruct("Struct", members, kw_only=True, gc=False)

    def rewrite(self, value: Any, how: Rewriting) -> Any:
        """Member by member, under its name in the target style."""
        if not isinstance(value, dict):
            return value
        rewritten = {}
        for name, member in value.items():
            known = self._known[how.source].get(name)
            if known is not None:
                rewritten[_renamed(known, name, how)] = known.shape.rewrite(member, how)
            elif not how.drop_unknown:
                rewritten[name] = member
        return rewritten

    def refers_to(self) -> frozenset[str]:
        """What its members refer to."""
        return frozenset().union(*(one.shape.refers_to() for one in self.fields))


def member(dps: str, shape: Shape, *, required: bool = False, xcore: str | tuple[str, ...] | None = None) -> Field:
    """A field; in xcore it has the same name with ``xdm:`` before it, unless it is said otherwise."""
    names = f"xdm:{dps}" if xcore is None else xcore
    return Field(dps, (names,) if isinstance(names, str) else names, shape, required)


def _judged(shape: Shape) -> type[_Judged]:
    return type("Judged", (_Judged,), {"shape": shape})


def _blinded(one: Field, named: frozenset[str | None]) -> Field:
    return one if any(name in named for name in (one.dps, *one.xcore)) else replace(one, shape=ANYTHING)


def _typed_member(name: str, of: Any, *, required: bool) -> tuple[Any, Any]:
    """The type of a struct's member, and what else there is to say of it."""
    if required:
        return of, msgspec.field(name=name)
    return of | msgspec.UnsetType, msgspec.field(name=name, default=msgspec.UNSET)


def wrong(pointer: str, wanted: str) -> ProblemError:
    """The refusal of a value that does not have its shape."""
    name = pointer.rpartition("/")[2]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-value", f"{name} has to be {wanted}", pointer)


def kebab(word: str) -> str:
    """``anyTags`` as ``any-tags``."""
    return _HUMP.sub(r"-\1", word).lower()


def camel(word: str) -> str:
    """``any-tags`` as ``anyTags``."""
    first, *rest = word.split("-")
    return first + "".join(part.capitalize() for part in rest)


def escaped(token: str) -> str:
    """A member's name as a token of a pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


def _renamed(known: Field, name: str, how: Rewriting) -> str:
    names = known.names(how.target)
    return name if how.source == how.target or not names else names[0]


def _unknown(pointer: str, name: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown-member", f"there is no member {name}", pointer)


def _check_unique(elements: list[Any], name: str, at: str) -> None:
    seen: set[str] = set()
    for index, element in enumerate(elements):
        value = element.get(name)
        if not isinstance(value, str):
            continue
        if value in seen:
            detail = f"{value} is there twice"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "not-unique", detail, f"{at}/{index}/{name}")
        seen.add(value)
