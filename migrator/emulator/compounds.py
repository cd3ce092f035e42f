"""Shapes of arrays and objects, whose parts have shapes of their own; and what a table says of a member.

A patch can only break the members that it touches, so an object's shape can be narrowed to those (`Members.only`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Any

import msgspec

from migrator.emulator.entities import Style
from migrator.emulator.errors import ProblemError
from migrator.emulator.scalars import kebab
from migrator.emulator.shapes import ANYTHING, Rewriting, Shape, Walk, judged, wrong


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
        return judged(self)

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
            self.of.check(member, f"{at}/{_escaped(name)}", walk)

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
                raise _unknown(f"{at}/{_escaped(name)}", name)

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
            return judged(self)
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


def _blinded(one: Field, named: frozenset[str | None]) -> Field:
    return one if any(name in named for name in (one.dps, *one.xcore)) else replace(one, shape=ANYTHING)


def _typed_member(name: str, of: Any, *, required: bool) -> tuple[Any, Any]:
    """The type of a struct's member, and what else there is to say of it."""
    if required:
        return of, msgspec.field(name=name)
    return of | msgspec.UnsetType, msgspec.field(name=name, default=msgspec.UNSET)


def _escaped(token: str) -> str:
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
