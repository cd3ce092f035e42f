"""What a look proves about a step in doubt: applied, not applied, or not to be told.

What belongs here: decisions from what is in the ledger and what the service shows. What must never: a guess. What a
look cannot decide is given up with a sentence that says what was seen, and a person decides. Source:
`reference/resumption.md` section 6; that the rules are sound together is shown by `tests/protocol`.

Four things make a look a proof:

* *When.* That an effect is there can be seen at once. That it is not, and will not come, only when the quiet period is
  over: for so long a request that was given up may still be carried out. What has an `If-Match` is the exception; once
  it is missing it may go again at once, since whichever of the two comes second is refused.
* *The pinned base.* The change goes again with the same guard as before, so that of all the times it was sent, one can
  succeed. A fresh base is taken only when no earlier request can be carried out any more.
* *The etag moves by one with every write.* If it has moved by one, and what the change touches is not what we sent,
  that one write was somebody else's; unless it was by our client, or by one that is not told, and the service may have
  put what we sent into a form of its own: then only what may be repeated goes again. If it has moved by two or more,
  ours may have been among them, even if everything looks as before: somebody may have undone it.
* *A refusal proves something only about the request that it answers.* While an earlier one may still be carried out,
  no step is rejected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType

from migrator.core.base import Unfit, changes_nothing, drift, examine, is_idempotent, last_changed, now_at, result_of
from migrator.core.compare import same, same_place, shows
from migrator.core.model import CREATES, Base, Doubt, Json, Kind, Seen, Touched
from migrator.core.patch import CannotApply
from migrator.core.plan import name_in
from migrator.core.pointers import value_at
from migrator.core.states import Move
from migrator.core.styles import Style
from migrator.core.values import shown
from migrator.core.verdict import ErrorClass

SKEW_S = 300.0
"""How far the service's clock is behind ours at the most, as a rule."""

LONG_AGO_S = 86_400.0
"""What is older than the first request by more than this is not ours, however wrong a clock may be."""

FOUND = "found by looking"

HOT = 5
"""How many times `Bounds.max_attempts` a step is sent in all, however often others are first."""


class Bounds(Struct, frozen=True):
    """How long to wait before a look, and how often to send again after it.

    Attributes:
        quiet_period_s: how long a request that was given up may still be carried out.
        request_s: from its intent, after which a request is given up at the latest.
        search_lag_s: how far lists may be behind.
        max_attempts: requests for one step that are lost at the most; then it has failed.
    """

    quiet_period_s: float = 60.0
    search_lag_s: float = 30.0
    max_attempts: int = 5
    request_s: float = 0.0


class Finding(Struct, frozen=True):
    """What a look proves.

    Attributes:
        move: `FIND`, `MISS`, `REJECT` or `GIVE_UP`.
        note: a sentence: what was seen, and for what is given up, what a person should check. May be "".
        error: for what did not succeed.
        seen: the object, if it was found to have the effect.
        base: the fresh base to send the change again on, if it is, or if a person wants it to be; `None` for the same
            as before.
        changed: whether somebody else has changed the object, so that it is not what the change was made for.
    """

    move: Move
    note: str = ""
    error: ErrorClass = ErrorClass.NONE
    seen: Seen | None = None
    base: Base | None = None
    changed: bool = False


def told_at(doubt: Doubt, bounds: Bounds) -> float:
    """Return from when on a look can tell that there is no effect; seconds since the epoch."""
    lag_s = bounds.search_lag_s if doubt.step.kind in CREATES else 0.0
    given_up_at = doubt.ended_at if doubt.ended_at is not None else doubt.sent_at + bounds.request_s
    return given_up_at + bounds.quiet_period_s + lag_s


def judge_look(
    doubt: Doubt, seen: Seen | None, style: Style, bounds: Bounds, *, client_id: str, now: float
) -> Finding | None:
    """Judge a look at the object that a patch, a replacement or a deletion was for.

    Args:
        doubt: the step.
        seen: its object, or `None` if it is not there.
        style: the endpoint style.
        bounds: the quiet period, and how often to try.
        client_id: ours.
        now: seconds since the epoch, when the look began.

    Returns:
        What is proven, or `None` if that is only to be told later: at `told_at`.
    """
    finding = _bounded(
        _deletion_finding(doubt, seen, style)
        if doubt.step.kind is Kind.DELETE
        else _change_finding(doubt, seen, style, client_id),
        doubt,
        bounds,
    )
    guarded_by_etag = style.guards_by_etag and doubt.base is not None and doubt.base.guarded
    proven = (
        finding.move is Move.FIND
        or _refused(doubt)
        or (finding.move is Move.MISS and guarded_by_etag)
        or now >= told_at(doubt, bounds)
    )
    return finding if proven else None


def _deletion_finding(doubt: Doubt, seen: Seen | None, style: Style) -> Finding:
    if seen is None:
        return Finding(Move.FIND, "found to be gone")
    change = drift(doubt.base, examine(doubt.step, seen, style)) if doubt.base else ""
    if not change:
        return Finding(Move.MISS, "it is still there")
    note = f"it is still there, and somebody else has changed it{last_changed(seen)}"
    return _on_fresh_base(note, doubt, examine(doubt.step, seen, style), seen)


def _change_finding(doubt: Doubt, seen: Seen | None, style: Style, client_id: str) -> Finding:
    if seen is None:
        return _gone(doubt)
    if doubt.base is None:
        return _without_base(doubt, seen, style)
    return _with_base(doubt, doubt.base, seen, style, client_id)


def _refused(doubt: Doubt) -> bool:
    """Whether each of its requests was refused by the guard, so that none can be carried out any more."""
    return doubt.error_class == ErrorClass.GUARD_FAILED and not doubt.step.misses


def _bounded(finding: Finding, doubt: Doubt, bounds: Bounds) -> Finding:
    """Send again only so often: what was never applied, however often it was lost or refused, has failed."""
    if finding.move is not Move.MISS:
        return finding
    refused = doubt.error_class == ErrorClass.GUARD_FAILED
    losses = doubt.step.misses + (not refused)
    if losses < bounds.max_attempts and doubt.step.attempts < HOT * bounds.max_attempts:
        return finding
    often = "somebody else was first every time" if refused else f"lost {losses} times and never applied"
    return Finding(Move.REJECT, f"{often}; at last: {doubt.message}", _error_of(doubt))


def _error_of(doubt: Doubt) -> ErrorClass:
    error = ErrorClass(doubt.error_class)
    return ErrorClass.CONFLICT if error is ErrorClass.GUARD_FAILED else error


def _gone(doubt: Doubt) -> Finding:
    if _refused(doubt):
        return Finding(Move.REJECT, "the object is not there any more", ErrorClass.NOT_FOUND, changed=True)
    return _give_up("the object is not there any more; whether it was changed before it was deleted is not to be told")


def _give_up(sentence: str, fresh: Base | Unfit | None = None) -> Finding:
    base = fresh if isinstance(fresh, Base) else None
    return Finding(Move.GIVE_UP, sentence, ErrorClass.UNDECIDED, base=base)


def _with_base(doubt: Doubt, base: Base, seen: Seen, style: Style, client_id: str) -> Finding:
    """Compare what stands where the change touches the object with what was there and with what was sent."""
    moved = None if base.etag is None or seen.etag is None else seen.etag - base.etag
    if base.touched is None:
        return _unknown_effect(doubt, base, seen, style, moved)
    places = list(zip(base.touched, now_at(base.touched, seen.document), strict=True))
    # What was before is compared first, and to the letter: it may well look like what was sent.
    as_before = all(same_place(place.before, value) for place, value in places)
    as_sent = all(shows(value, place.after, place.before) for place, value in places)
    if as_sent and (changes_nothing(base) or not as_before):
        return Finding(Move.FIND, _edited_since(moved, seen), seen=seen)
    if _refused(doubt):
        return _after_refusals(doubt, seen, style, intact=as_before and (moved == 0 or not style.guards_by_etag))
    if as_before and moved == 0:
        return _not_applied(doubt)
    fresh = examine(doubt.step, seen, style)
    if moved == 1 and (as_before or _by_another(seen, client_id) or is_idempotent(doubt.step, seen.document, style)):
        note = f"not applied: somebody else changed the object{last_changed(seen)}"
        return _on_fresh_base(note, doubt, fresh, seen)
    version = f"version {base.etag} before, now {seen.etag}{last_changed(seen)}"
    return _give_up(
        f"{_otherwise(places)}; {version}. See whether the change is in it, or was and has been undone", fresh
    )


def _by_another(seen: Seen, client_id: str) -> bool:
    """Whether another client was the last to change an object.

    If it was ours, or that is not told, our change may be what is there, in a form that the service has given it.
    """
    return seen.changed_by_client not in ("", client_id)


def _on_fresh_base(note: str, doubt: Doubt, fresh: Base | Unfit, seen: Seen) -> Finding:
    """Make of a change that was not applied what is to be done on what the object is now."""
    if isinstance(fresh, Unfit):
        return Finding(Move.REJECT, f"{note}; {fresh.message}", fresh.error, changed=True)
    if doubt.step.kind is Kind.EDIT and changes_nothing(fresh):
        return Finding(Move.FIND, f"{note}; it is as wanted", seen=seen)
    return Finding(Move.MISS, note, base=fresh, changed=True)


def _after_refusals(doubt: Doubt, seen: Seen, style: Style, *, intact: bool) -> Finding:
    """All that was sent was refused. If the guard holds, the row was meant; otherwise the object has changed."""
    if intact:
        return Finding(Move.REJECT, doubt.message, ErrorClass.CONFLICT)
    return _on_fresh_base(f"somebody else was first{last_changed(seen)}", doubt, examine(doubt.step, seen, style), seen)


def _not_applied(doubt: Doubt) -> Finding:
    """Nothing has changed. If the last request was refused all the same, the row was meant."""
    if doubt.error_class == ErrorClass.GUARD_FAILED:
        return Finding(Move.REJECT, doubt.message, ErrorClass.CONFLICT)
    return Finding(Move.MISS, "not applied")


def _unknown_effect(doubt: Doubt, base: Base, seen: Seen, style: Style, moved: int | None) -> Finding:
    """The change did not fit what was read before, so that only the version can tell."""
    if _refused(doubt):
        return _after_refusals(doubt, seen, style, intact=moved == 0)
    if moved == 0:
        return _not_applied(doubt)
    return _give_up(
        f"the change did not fit version {base.etag}, and the object is now at {seen.etag}{last_changed(seen)}."
        " See whether the change is in it",
        examine(doubt.step, seen, style),
    )


def _without_base(doubt: Doubt, seen: Seen, style: Style) -> Finding:
    """Nothing is known of what was before. What can be sent as often as one likes need not be known either."""
    try:
        once = result_of(doubt.step, seen.document, style)
    except CannotApply as error:
        return _give_up(f"what the object was before is not known, and the change does not fit what it is: {error}")
    if same(seen.document, once):
        return Finding(Move.FIND, FOUND, seen=seen)
    if is_idempotent(doubt.step, seen.document, style):
        return Finding(Move.MISS, "not applied, or undone")
    return _give_up("what the object was before is not known, and sent again the patch could be in it twice")


def document_sent(doubt: Doubt) -> Json:
    """Return the object that a create was to make: of a copy that is known only once it was made ready."""
    return msgspec.json.decode(doubt.step.body if doubt.base is None else doubt.base.body)


def judge_search(
    doubt: Doubt,
    found: Iterable[Seen],
    style: Style,
    bounds: Bounds,
    *,
    client_id: str,
    taken: Collection[str],
    marker: str = "",
    now: float,
) -> Finding | None:
    """Judge a search for what a create should have made.

    Args:
        doubt: the step.
        found: the objects of its container and type that may have its name.
        style: the endpoint style.
        bounds: how often to try.
        client_id: ours; what another client created is not what we sent.
        taken: ids of the objects that other steps of the run have made.
        marker: pointer to the member that makes each create of a run another one, "" if there is none.
        now: seconds since the epoch, when the search began.

    Returns:
        What is proven, or `None` if that is only to be told later: at `told_at`.
    """
    wanted = document_sent(doubt)
    named = [
        seen
        for seen in found
        if seen.object not in taken
        and name_in(value_at(seen.document, style.root)) == name_in(wanted)
        and _is_since(seen, doubt, LONG_AGO_S)
    ]
    ours = [
        seen
        for seen in named
        if seen.created_by_client in ("", client_id)
        and _is_since(seen, doubt, SKEW_S)
        and (not marker or same_place(value_at(seen.document, style.root + marker), value_at(wanted, marker)))
    ]
    equal = [seen for seen in ours if shows(value_at(seen.document, style.root), wanted)]
    if len(equal) == 1:
        return Finding(Move.FIND, FOUND, seen=equal[0])
    if now < told_at(doubt, bounds):
        return None
    if equal:
        return _give_up(f"it is there {len(equal)} times: {_ids(equal)}. Keep one")
    perhaps = ours or [seen for seen in named if not marker or _unmarked(seen, style, marker)]
    if perhaps:
        return _give_up(
            f"{_ids(perhaps)} has its name and was made at that time, but is not what was sent. Is it ours?"
        )
    if doubt.error_class == ErrorClass.GUARD_FAILED:
        # Its name was taken, and not by an earlier request for it.
        return Finding(Move.REJECT, doubt.message, ErrorClass.CONFLICT)
    return _bounded(Finding(Move.MISS, "it is not there"), doubt, bounds)


def _unmarked(seen: Seen, style: Style, marker: str) -> bool:
    """Whether an object has no marker, which the service may have dropped."""
    return value_at(seen.document, style.root + marker) is UNSET


def _is_since(seen: Seen, doubt: Doubt, skew_s: float) -> bool:
    """Whether an object may have been made by the first request or a later one."""
    return seen.created_at is None or seen.created_at >= doubt.first_sent_at - skew_s


def _edited_since(moved: int | None, seen: Seen) -> str:
    return f"{FOUND}; changed again since{last_changed(seen)}" if moved is not None and moved > 1 else FOUND


def _otherwise(places: Sequence[tuple[Touched, Json | UnsetType]]) -> str:
    """Say what stands where it is not what was sent; everywhere, if it is that everywhere."""
    told = [(place, value) for place, value in places if not shows(value, place.after, place.before)] or places
    return ", ".join(f"{place.path} is {shown(value)}" for place, value in told)


def _ids(objects: Iterable[Seen]) -> str:
    return " and ".join(seen.object for seen in objects)
