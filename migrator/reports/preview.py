"""What a plan would do, object by object, for a person to read.

One paragraph an object: a sign, what it is, and below it each place with what is there and what will be.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from rich.text import Text

from migrator.core.model import Kind, Touched
from migrator.core.states import State
from migrator.core.values import visible
from migrator.core.verdict import ErrorClass
from migrator.ledger.reading import PlannedStep
from migrator.reports.places import contrast, name_of, places_of, spell


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
    found = places_of(step.kind, step.body, step.base) if action in (Action.CREATE, Action.CHANGE) else None
    return Entry(step, action, name_of(step.kind, step.body, step.base), found or ())


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
        text.append(f" {spell(entry.name)}", "bold")
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
    before, after = spell(difference.before), spell(difference.after)
    text = Text(f"    {visible(difference.path)}")
    if before and after and len(before) + len(after) <= ON_ONE_LINE and not _is_right_to_left(before + after):
        return text.append("  ").append(before, "red").append(" → ").append(after, "green").append("\n")
    text.append("\n")
    shown = contrast(difference)
    for sign, style, value in (("-", "red", shown.before), ("+", "green", shown.after)):
        if value is not None:
            text.append(f"      {sign} ", style).append(shown.head, style).append(value, f"bold {style}")
            text.append(f"{shown.tail}\n", style)
    return text


def _is_right_to_left(text: str) -> bool:
    """Whether a terminal turns parts of a line around: which of two such values comes first could not be seen."""
    return any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)


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
