"""What a plan would do, object by object, for a person to read.

One paragraph an object: a sign, what it is, and below it each place with what is there and what will be. Long values
are cut to the part that differs, so that the eye finds the changed word in a page of HTML.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec
from msgspec import UNSET, Struct, UnsetType
from rich.text import Text

from migrator.core.copying import Copy, copy_of, document_of
from migrator.core.diff import common_ends, differences
from migrator.core.model import Json, Kind, Touched
from migrator.core.plan import name_in
from migrator.core.pointers import pointer_to
from migrator.core.states import State
from migrator.core.values import visible
from migrator.core.verdict import ErrorClass
from migrator.ledger.reading import PlannedStep


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    CANNOT_APPLY = "cannot apply"
    LEFT_OUT = "left out"


SIGNS: Mapping[Action, tuple[str, str]] = {
    Action.CREATE: ("+", "green"),
    Action.CHANGE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.UNCHANGED: ("=", "dim"),
    Action.CONFLICT: ("!", "bold red"),
    Action.CANNOT_APPLY: ("!", "bold red"),
    Action.LEFT_OUT: (" ", "dim"),
}
"""Sign and style of each action."""

SENT = (Action.CREATE, Action.CHANGE, Action.DELETE)
"""What takes a request."""

REFUSED = (Action.CONFLICT, Action.CANNOT_APPLY)
"""What is wrong with rows that are not sent."""

_KINDS: Mapping[Kind, Action] = {
    Kind.PATCH: Action.CHANGE,
    Kind.EDIT: Action.CHANGE,
    Kind.REPLACE: Action.CHANGE,
    Kind.CREATE: Action.CREATE,
    Kind.COPY: Action.CREATE,
    Kind.DELETE: Action.DELETE,
}

ON_ONE_LINE = 32
"""Characters of both values up to which they stand on one line."""

AROUND = 24
"""Characters that are shown on either side of what differs in long values."""

WIDEST = 400
"""Characters of a value that are shown at the most."""

MOST_PLACES = 50
"""Places of one object that are shown at the most."""


class Entry(Struct, frozen=True):
    """What a plan does to one object.

    Attributes:
        step: the step.
        action: in a word.
        name: what people call the object.
        differences: place by place.
    """

    step: PlannedStep
    action: Action
    name: str
    differences: tuple[Touched, ...]


def entry(step: PlannedStep) -> Entry:
    """Find what a step does."""
    action = _action(step)
    if action is Action.CREATE:
        document = _copied(copy_of(step.body)) if step.kind is Kind.COPY else msgspec.json.decode(step.body)
        made = (Touched(pointer_to("", name), after=value) for name, value in document.items())
        return Entry(step, action, name_in(document), tuple(made))
    name = step.base.name if step.base else name_in(copy_of(step.body).document) if step.kind is Kind.COPY else ""
    touched: tuple[Touched, ...] = (step.base and step.base.touched) or ()
    shows = action is Action.CHANGE
    return Entry(step, action, name, tuple(differences(touched)) if shows else ())


def _copied(copy: Copy) -> Json:
    """Return what a copy makes, with the ids of the source where those of the target are not known yet."""
    return msgspec.json.decode(document_of(copy, {(one.type, one.id): f"→ {one.id}" for one in copy.references}))


def _action(step: PlannedStep) -> Action:
    if step.state is State.PENDING:
        return _KINDS[step.kind]
    if step.state is State.REJECTED:
        return Action.CONFLICT if step.error_class == ErrorClass.CONFLICT else Action.CANNOT_APPLY
    return Action.UNCHANGED if step.state is State.UNCHANGED else Action.LEFT_OUT


def paragraph(entry: Entry, *, with_container: bool) -> Text:
    """Write an entry for a person, with a line end after each line.

    Args:
        entry: what to write.
        with_container: whether to name the container.
    """
    step = entry.step
    sign, style = SIGNS[entry.action]
    text = Text()
    text.append(f"{sign} {step.type}", style)
    if step.object:
        text.append(f" {visible(step.object)}")
    if entry.name:
        text.append(f" {_spell(entry.name)}", "bold")
    if step.source:
        text.append(f" from {visible(step.source)}", "dim")
    lines = ", ".join(map(str, step.lines[:3])) + (", …" if len(step.lines) > 3 else "")
    where = f"  container {visible(step.container)}" if with_container else ""
    text.append(f"{where}  line {lines}\n", "dim")
    if step.message:
        text.append(f"    {entry.action}: {visible(step.message)}\n", style)
    for difference in entry.differences[:MOST_PLACES]:
        text.append_text(_difference(difference))
    if (more := len(entry.differences) - MOST_PLACES) > 0:
        text.append(f"    … and {more:,} more places; --output json has them all\n", "dim")
    return text


def _difference(difference: Touched) -> Text:
    before, after = _spell(difference.before), _spell(difference.after)
    text = Text(f"    {visible(difference.path)}")
    if before and after and len(before) + len(after) <= ON_ONE_LINE and not _is_right_to_left(before + after):
        return text.append("  ").append(before, "red").append(" → ").append(after, "green").append("\n")
    text.append("\n")
    for sign, style, line in _lines(before, after):
        text.append(f"      {sign} ", style).append_text(line).append("\n")
    return text


def _lines(before: str, after: str) -> Iterator[tuple[str, str, Text]]:
    """Write both sides of a difference, each with what differs in it set off."""
    start, end = common_ends(before, after) if before and after else (0, 0)
    for sign, style, value in (("-", "red", before), ("+", "green", after)):
        if value:
            yield sign, style, _marked(value, start, end, style)


def _marked(value: str, start: int, end: int, style: str) -> Text:
    inner = value[start : len(value) - end]
    head, tail = value[:start], value[len(value) - end :] if end else ""
    text = Text()
    text.append(head if len(head) <= AROUND else "…" + head[-AROUND:], style)
    text.append(inner if len(inner) <= WIDEST else inner[:WIDEST] + "…", f"bold {style}")
    return text.append(tail if len(tail) <= AROUND else tail[:AROUND] + "…", style)


def _is_right_to_left(text: str) -> bool:
    """Whether a terminal turns parts of a line around: which of two such values comes first could not be seen."""
    return any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)


def _spell(value: Json | UnsetType) -> str:
    return "" if value is UNSET else visible(msgspec.json.encode(value).decode())


class Counts(Struct):
    """How many objects a plan does what to, by container."""

    by_container: dict[str, dict[Action, int]]

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        actions = self.by_container.setdefault(entry.step.container, {})
        actions[entry.action] = actions.get(entry.action, 0) + 1

    def count(self, *actions: Action) -> int:
        """Return how many objects one of `actions` is for, in all containers."""
        return sum(found.get(action, 0) for found in self.by_container.values() for action in actions)
