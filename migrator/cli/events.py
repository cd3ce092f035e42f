"""The lines that `--output json` writes, each with a name and members that programs can rely on.

What belongs here: one struct for each kind of line, which is its only definition: what is written is built from it, and
the JSON Schema that `migrator schema` prints is made of it. Members may be added to a line in a later version, and
lines of other kinds; none is taken away, renamed or given another meaning. What a line has not to say is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.model import Json
from migrator.core.states import State

States = dict[State, int]


class Line(Struct, tag_field="event"):
    """What all lines have: `event`, their kind."""


class Problem(Line, tag="problem"):
    """Something is wrong with an input."""

    line: int
    column: str
    message: str
    hint: str


class Valid(Line, tag="valid"):
    """An input has no problem."""

    rows: int
    requests: int
    containers: int
    unchanged: int


class Invalid(Line, tag="invalid"):
    """An input has problems, which stand in the lines before this one; nothing was sent."""

    problems: int
    rows: int


class Step(Line, tag="step"):
    """What a plan does to one object; of a copy, `source` is the id of what it is made of."""

    action: str
    lines: tuple[int, ...]
    container: str
    type: str
    object: str
    name: str
    error_class: str
    message: str
    differences: list[Json]
    source: str | UnsetType = UNSET


class Plan(Line, tag="plan"):
    """What a plan does, in numbers: by container, what is done to how many objects."""

    run: str
    containers: dict[str, dict[str, int]]


class Estimate(Line, tag="estimate"):
    """What it takes to carry a plan out; `seconds` is null without a limit of the rate."""

    writes: int
    reads: int
    seconds: float | None


class Error(Struct):
    """An error that rows have in common: how many, the first of them, and what to do."""

    error_class: str
    http_status: int | None
    rows: int
    line: int
    object: str
    message: str
    hint: str


class Summary(Line, tag="summary"):
    """Where a run stands: rows by state, failed rows by error class, and the most frequent errors.

    Of a verification also what was found, in rows.
    """

    run: str
    running: bool
    rows: int
    states: States
    next: str
    retries: str | UnsetType | None = UNSET
    rolls_back: str | UnsetType | None = UNSET
    requests: int | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    error_classes: dict[str, int] | UnsetType = UNSET
    errors: list[Error] | UnsetType = UNSET
    as_written: int | UnsetType = UNSET
    differ: int | UnsetType = UNSET
    unread: int | UnsetType = UNSET
    unknown: int | UnsetType = UNSET
    unchecked: int | UnsetType = UNSET
    left: int | UnsetType = UNSET


class Shards(Line, tag="shards"):
    """How far a fleet is with a run: shards in all, done, and at work now."""

    run: str
    shards: int
    done: int
    at_work: int


class Stopped(Line, tag="stopped"):
    """A run of a fleet was stopped, or is about to be."""

    run: str
    message: str = ""


class Worker(Line, tag="worker"):
    """A process that works for the fleet, and when it was last heard of."""

    name: str
    version: str
    shards: int
    silent_s: float


class Limit(Line, tag="limit"):
    """How much of a limit all workers together use.

    `rate` is what it allows and `used` what is sent, requests a second; the latter is told when it was looked at twice.
    """

    key: str
    rate: float
    sent: int
    paused_s: float
    used: float | UnsetType = UNSET


class Run(Line, tag="run"):
    """One of the runs; of one whose ledger cannot be read only its name and the error."""

    run: str
    error: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    style: str | UnsetType = UNSET
    rows: int | UnsetType = UNSET
    states: States | UnsetType = UNSET
    input: str | UnsetType = UNSET


class File(Line, tag="file"):
    """A file was written: of results, for the rows of one outcome, or a report."""

    path: str
    rows: int
    outcome: str | UnsetType = UNSET


class Retry(Line, tag="retry"):
    """What a retry is about to send again."""

    run: str
    retries: str
    rows: int
    steps: int


class Rollback(Line, tag="rollback"):
    """What a rollback is about to do, by the kind of its requests; `lasting` objects cannot be undone."""

    run: str
    rolls_back: str
    rows: int
    steps: int
    lasting: int
    patch: int = 0
    edit: int = 0
    create: int = 0
    replace: int = 0
    delete: int = 0


class Lasting(Line, tag="lasting"):
    """What a rollback cannot undo, and why."""

    line: int
    type: str
    object: str
    reason: str


class Nothing(Line, tag="nothing"):
    """There is nothing to do; of a rollback also what cannot be undone."""

    run: str | UnsetType = UNSET
    rolls_back: str | UnsetType = UNSET
    rows: int | UnsetType = UNSET
    steps: int | UnsetType = UNSET
    lasting: int | UnsetType = UNSET


class Difference(Line, tag="difference"):
    """A place at which an object is not as a run has written it, and who changed it last, "" where that is not told."""

    line: int
    type: str
    object: str
    container: str
    kind: str
    path: str
    message: str
    changed_at: str
    changed_by: str
    changed_by_client: str
    expected: Json | UnsetType = UNSET
    found: Json | UnsetType = UNSET


class Disagreement(Line, tag="disagreement"):
    """A place at which an object that a migration has made is not as its source."""

    line: int
    type: str
    object: str
    source: str
    path: str
    message: str
    expected: Json | UnsetType = UNSET
    found: Json | UnsetType = UNSET


class Unread(Line, tag="unread"):
    """An object cannot be read back."""

    line: int
    type: str
    object: str
    container: str
    kind: str
    message: str


class SourceChanged(Line, tag="source_changed"):
    """The source of an object that a migration has made was changed since."""

    line: int
    type: str
    object: str
    source: str
    message: str


class Compared(Line, tag="compared"):
    """How many objects of a migration were compared with their sources, and how many differ."""

    run: str
    compared: int
    differ: int


class Objects(Line, tag="objects"):
    """What becomes of the objects of a type in a migration."""

    type: str
    to_create: int = 0
    there_already: int = 0
    left_alone: int = 0
    refused: int = 0


class Loss(Line, tag="loss"):
    """What a migration loses, how severe it is, and how often."""

    severity: str
    loss: str
    times: int


class Dependency(Line, tag="dependency"):
    """What a decision needs that is migrated: one object, and what becomes of it; null if it is not in the source.

    `depth` is how far it is from the decision, `needed_by` the id of what needs it. What was told of before is `above`,
    and what it needs is not told again.
    """

    depth: int
    type: str
    id: str
    name: str
    fate: str | None
    why: str
    above: bool
    needed_by: str


class Twins(Line, tag="twins"):
    """So many objects cannot be told by their names, and what to type when the id map tells them."""

    objects: int
    next: str


class Explained(Line, tag="explained"):
    """A migration gave something up that the mapping does not carry: how often, and what that means."""

    run: str
    loss: str
    times: int
    means: str


class Route(Line, tag="route"):
    """Where a migration goes from and to."""

    source: str
    target: str


class Export(Line, tag="export"):
    """What was exported, with the columns that may be edited and notes for people."""

    file: str
    rows: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]


class Refused(Line, tag="refused"):
    """What stands in the way of translating a line (on stderr, as stdout carries the translation)."""

    line: int
    pointer: str
    value: Json
    direction: str
    loss: str = msgspec.field(name="class")
    severity: str
    reason: str
    entity: str
    id: str


class Translated(Line, tag="translated"):
    """What became of a file that was translated, and its losses and refusals by class (on stderr)."""

    translated: int
    lines: int
    empty: int
    refused: int
    losses: dict[str, int]
    refusals: dict[str, int]


class Check(Line, tag="check"):
    """What `doctor` has found of one thing."""

    check: str
    grade: str
    message: str
    hint: str
    details: dict[str, str]
    exit_code: int


class Doctor(Line, tag="doctor"):
    """How many things were ok, a warning or a failure, and whether all were looked at."""

    exit_code: int
    complete: bool
    ok: int
    warn: int
    fail: int


class Setting(Line, tag="setting"):
    """A setting, its value ("set" or "not set" of a secret), and where that is from."""

    name: str
    value: str
    origin: str


class Job(Line, tag="job"):
    """A job file, and the command that does it; what it would do, or why it cannot be used."""

    file: str
    description: str
    command: str
    rows: int | UnsetType = UNSET
    requests: int | UnsetType = UNSET
    containers: int | UnsetType = UNSET
    problems: int | UnsetType = UNSET
    error: str | UnsetType = UNSET


LINES: Mapping[str, type[Line]] = {str(kind.__struct_config__.tag): kind for kind in Line.__subclasses__()}
"""Each kind of line by its name."""

_encode = msgspec.json.Encoder().encode


def encoded(event: str, members: Mapping[str, Any]) -> str:
    """Return a line of the kind `event`.

    Raises:
        TypeError: it has not the members of its kind.
    """
    return _encode(LINES[event](**members)).decode()


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a line."""
    made = msgspec.json.schema(reduce(or_, LINES.values()))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of `migrator … --output json`",
        **made,
    }
