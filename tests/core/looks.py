"""What the tests of looks share: steps in doubt, objects as a look shows them, findings as the tables spell them."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from migrator.core.base import Unfit, examine
from migrator.core.edit import edits_body
from migrator.core.model import Doubt, EntityType, Json, Kind, Operation, Seen, Step
from migrator.core.reconcile import Bounds, Finding, judge_look
from migrator.core.states import Move, State
from migrator.core.styles.base import Style
from migrator.core.verdict import ErrorClass

SENT_AT = 1000.0
BOUNDS = Bounds(quiet_period_s=60, search_lag_s=30, max_attempts=5)
SOON, QUIET = SENT_AT + 59.9, SENT_AT + 60.0

ETAG = 4
LOST, REFUSED = ErrorClass.NO_ANSWER, ErrorClass.GUARD_FAILED


def seen(style: Style, etag: int | None, **members: Json) -> Seen:
    """Show an object with these members; a value that is `UNSET` is not there."""
    there = {name: value for name, value in members.items() if value is not UNSET}
    document = {style.root[1:]: there} if style.root else there
    return Seen("o", "o", etag, document, changed_by="ann", changed_at="noon")


def doubt_of(style: Style, operations: list[Operation], was: Seen | None, error: str = LOST, misses: int = 0) -> Doubt:
    """Return a patch whose last request, sent at `SENT_AT`, was lost or refused."""
    rooted = [replace(one, path=style.root + one.path) for one in operations]
    step = Step(2, "k", "dev", EntityType.TAG, "o", Kind.PATCH, edits_body(rooted), attempts=misses + 1, misses=misses)
    base = None if was is None else examine(step, was, style)
    assert not isinstance(base, Unfit)
    return Doubt(step, base, State.DOUBT, SENT_AT - 500, SENT_AT, None, error, "HTTP 409: no")


RENAME = [Operation("replace", "/name", "New")]


def rename(style: Style, error: str, *, misses: int = 0, guarded: bool = True) -> Doubt:
    doubt = doubt_of(style, RENAME, seen(style, ETAG, name="Old"), error, misses)
    assert doubt.base is not None
    return doubt if guarded else replace(doubt, base=replace(doubt.base, guarded=False))


def deletion(misses: int = 0) -> Doubt:
    """Return a deletion of which nobody has read the object."""
    step = Step(2, "k", "dev", EntityType.TAG, "o", Kind.DELETE, b"", misses=misses)
    return Doubt(step, None, State.DOUBT, SENT_AT, SENT_AT, 500, ErrorClass.SERVER, "HTTP 500: no body")


def word(finding: Finding | None) -> str:
    """Spell a finding as the tables do."""
    if finding is None:
        return "later"
    return "rebase" if finding.base is not None and finding.move is Move.MISS else finding.move.value


def look(doubt: Doubt, there: Seen | None, style: Style, now: float = QUIET) -> Finding | None:
    return judge_look(doubt, there, style, BOUNDS, client_id="us", now=now)
