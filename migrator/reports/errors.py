"""The errors of a run, for a person: how many rows each class has, which are the most frequent, and what to do.

A service says the same about many rows, each time with another id in it. Messages that differ only in such words are
one error here, told by its first row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from migrator.core.states import OPEN, State
from migrator.core.verdict import ErrorClass
from migrator.ledger.history import Refusal, at_one_moment, refusals
from migrator.ledger.reading import Summary, summary_of
from migrator.ledger.records import RunRecord

MOST_FREQUENT = 3
"""Errors that a summary shows."""

MOST_KINDS = 1000
"""Wordings that are told apart; a service that says something else about every row must not fill the memory."""

_VARIABLE = re.compile(r"""(?<!\w)'[^']*'|"[^"]*"|\S*\d\S*""")
"""Words that differ from row to row: what is in quotes, and whatever has a digit, as ids, numbers and times do."""

_RETRY = "then {again}"
_LATER = "{again}, once the service is well"
_RECONCILE = "`migrator reconcile {run}` looks again; with --on-doubt ask you decide row by row"
_RESUME = "`migrator resume {run}` goes on with these rows"

HINTS: Mapping[str, str] = {
    ErrorClass.NONE: "",
    ErrorClass.VALIDATION: "the service does not take what the row says: {mend}",
    ErrorClass.NOT_FOUND: "check the id, the container and the sandbox; {mend}",
    ErrorClass.CONFLICT: "the object is not what the row was made for: {look}",
    ErrorClass.TOO_LARGE: "shorten what it writes: {mend}",
    ErrorClass.CREDENTIALS: f"check MIGRATOR_CLIENT_ID and its secret, {_RETRY}",
    ErrorClass.PERMISSION: f"check the product profile of the credentials and the sandbox, {_RETRY}",
    ErrorClass.RATE_LIMITED: f"lower --rate, {_RETRY}",
    ErrorClass.UNREACHABLE: f"check MIGRATOR_BASE_URL, the network and the proxy, {_RETRY}",
    ErrorClass.UNAVAILABLE: _LATER,
    ErrorClass.SERVER: _LATER,
    ErrorClass.NO_ANSWER: _LATER,
    ErrorClass.UNREADABLE: f"the answers are not the service's: check MIGRATOR_BASE_URL and the proxy, {_RETRY}",
    ErrorClass.REDIRECT: f"the service does not redirect: check MIGRATOR_BASE_URL and the proxy, {_RETRY}",
    ErrorClass.GUARD_FAILED: "the object is not what the row was made for: {look}",
    ErrorClass.UNDECIDED: _RECONCILE,
    ErrorClass.UNCONFIRMED: _RECONCILE,
    ErrorClass.CANNOT_APPLY: "the change does not fit its object: {look}",
    ErrorClass.DRIFTED: "the object has changed since the plan: {look}",
}
"""What to do about a row that has failed, by its error class; with the words of `words_for` in it."""


class ErrorGroup(Struct):
    """One error that rows have in common.

    Attributes:
        error_class: in a word of `ErrorClass`.
        http_status: status of the answers, or `None`.
        rows: how many rows have it.
        line: of the first of them.
        object: type and id of its object.
        message: what was said of it.
        hint: what to do, and what to type.
    """

    error_class: str
    http_status: int | None
    rows: int
    line: int
    object: str
    message: str
    hint: str


class Errors(Struct, frozen=True):
    """The errors of a run.

    Attributes:
        by_class: rows that are not applied, by why; the class with the most rows first.
        most_frequent: the errors that most rows have, the most frequent first.
    """

    by_class: Mapping[str, int]
    most_frequent: tuple[ErrorGroup, ...]

    @property
    def shown(self) -> tuple[ErrorGroup, ...]:
        """Those for which a summary has room."""
        return self.most_frequent[:MOST_FREQUENT]


def summarize_errors(ledger: Path) -> tuple[Summary, Errors]:
    """Return where the run stands whose ledger this is, and its errors."""
    with at_one_moment(ledger) as db:
        summary = summary_of(db)
        return summary, group(refusals(db), words_for(summary.run))


def words_for(run: RunRecord) -> dict[str, str]:
    """Return what hints say of a run: its id, and how its rows go again, are mended, and are looked at."""
    again = f"`migrator retry {run.id}` sends these rows again"
    if run.rolls_back:
        stay = f"these objects stay as they are; `migrator verify {run.rolls_back}` shows what they are now"
        return {"run": run.id, "again": again, "mend": stay, "look": stay}
    if run.migrates:
        again = f"`{run.command or 'migrator migrate'}` makes what is not there yet"  # older ledgers do not say
        mend = "mend these objects in their source, and migrate again: what is there is not made twice"
        return {"run": run.id, "again": again, "mend": mend, "look": mend}
    file = f"failed.{msgspec.json.decode(run.shape).get('format', 'csv')}"
    look = f"`migrator plan {file}` shows what is there now"
    return {"run": run.id, "again": again, "mend": f"mend these rows in {file} and apply it", "look": look}


def group(found: Iterable[Refusal], words: Mapping[str, str]) -> Errors:
    """Put together what is the same error, for hints with `words` in them."""
    by_class: dict[str, int] = {}
    groups: dict[tuple[object, ...], ErrorGroup] = {}
    for one in found:
        by_class[one.error_class] = by_class.get(one.error_class, 0) + one.rows
        wording = outline(one.message) if len(groups) < MOST_KINDS else ""
        key = (one.error_class, one.http_status, one.state is State.REJECTED, wording)
        if key in groups:
            _add(groups[key], one)
        else:
            groups[key] = _first(one, words)
    ranked = sorted(groups.values(), key=lambda error: (-error.rows, error.line))
    return Errors(dict(sorted(by_class.items(), key=lambda item: (-item[1], item[0]))), tuple(ranked))


def outline(message: str) -> str:
    """Take out of a message what differs from row to row."""
    return _VARIABLE.sub("…", message)


def _add(error: ErrorGroup, one: Refusal) -> None:
    error.rows += one.rows
    if one.line < error.line:
        error.line, error.object, error.message = one.line, _object(one), one.message


def _first(one: Refusal, words: Mapping[str, str]) -> ErrorGroup:
    hint = _hint(one).format_map(words)
    return ErrorGroup(one.error_class, one.http_status, one.rows, one.line, _object(one), one.message, hint)


def _hint(one: Refusal) -> str:
    if one.state in OPEN:
        return _RESUME
    return _RECONCILE if one.state is State.UNRESOLVED else HINTS.get(one.error_class, "")


def _object(one: Refusal) -> str:
    return f"{one.type} {one.object or ''}".rstrip()
