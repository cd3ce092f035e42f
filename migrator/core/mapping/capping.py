"""Frequency capping: two counters of xcore, a list of counters with a window and a repetition in dps (mapping 4.8).

A counter without a window counts for as long as the offer is shown. So in dps its window is that of the offer, and
moves with it; and a window of dps that is that of the offer is none to xcore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from migrator.core.compare import shows
from migrator.core.mapping.losses import Loss, Severity
from migrator.core.mapping.shapes import DPS, XCORE, Rule
from migrator.core.mapping.walk import Walk
from migrator.core.model import Json, Operation

_CONSTRAINT, _ENTRIES = "cappingConstraint", "frequencyCappingConstraints"
_XDM_CONSTRAINT = f"xdm:{_CONSTRAINT}"
_SCOPES = {"xdm:globalCap": "global", "xdm:profileCap": "profile"}
_COUNTERS = {scope: counter for counter, scope in _SCOPES.items()}
_VERBATIM = {name.removeprefix("xdm:"): name for name in _SCOPES}
_WINDOW = ("startDate", "endDate")
_ONCE = {"enabled": False, "unit": "month", "unitCount": 1}
_KNOWN = frozenset({"enabled", "limit", "scope", "entity", "repeat", "events", *_WINDOW})
_DATES = tuple(f"/_instance/xdm:selectionConstraint{rest}" for rest in ("", *(f"/xdm:{name}" for name in _WINDOW)))

_DPS_DATES = tuple(f"/selectionConstraint{rest}" for rest in ("", *(f"/{name}" for name in _WINDOW)))


def is_whole(value: Json) -> bool:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


# To dps


def _settle_dps(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    constraint = source.get(_XDM_CONSTRAINT, UNSET)
    if constraint is UNSET:
        return
    place = f"{at}/{_XDM_CONSTRAINT}"
    if not isinstance(constraint, dict):
        walk.malformed(place, constraint, "an object")
        return
    target[_CONSTRAINT] = {}
    window = _window_of(target.get("selectionConstraint"))
    if entries := list(_entries(constraint, window, walk, place)):
        target[_ENTRIES] = entries


def _window_of(constraint: Json) -> dict[str, Json]:
    return {name: constraint[name] for name in _WINDOW if name in constraint} if isinstance(constraint, Mapping) else {}


def _entries(
    constraint: Mapping[str, Json], window: Mapping[str, Json], walk: Walk, place: str
) -> Iterator[dict[str, Json]]:
    for name, limit in constraint.items():
        at = f"{place}/{name}"
        if name not in _SCOPES:
            walk.refuse(at, limit, Loss.UNKNOWN, "no table has this member")
        elif not is_whole(limit):
            walk.malformed(at, limit, "a whole number")
        else:
            if len(window) < len(_WINDOW):
                reason = "a counter of dps has a window, and the offer has no dates to take it from"
                walk.refuse(at, limit, Loss.CAPPING, reason)
            walk.inform(at, limit, Loss.CAPPING, "converted to frequency capping for as long as the offer is shown")
            entry = {"enabled": True, "limit": limit, "scope": _SCOPES[name], "entity": "offer"}
            yield {**entry, **window, "repeat": dict(_ONCE)}


def _alone_dps(operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]) -> tuple[Operation, ...]:
    del prefix, patch
    if _XDM_CONSTRAINT in operation.path:
        walk.refuse(operation.path, operation.value, Loss.NEEDS_OBJECT, _NEEDS_ENTRIES)
    elif operation.path in _DATES:
        walk.inform(
            operation.path, operation.value, Loss.CAPPING, "if dps has counters for this offer, they keep their window"
        )
    return ()


def _merge_dps(actual: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Change the counters that a patch changes, and leave alone those that xcore knows nothing of."""
    entries = list(actual.get(_ENTRIES, ()))
    for scope in _COUNTERS:
        before, after = _of_scope(old, scope), _of_scope(new, scope)
        if before == after:
            continue
        index = next((index for index, entry in enumerate(entries) if _is_plain(entry, scope)), None)
        if index is not None:
            entries[index : index + 1] = [_changed(entries[index], after)] if after else []
        elif after:
            entries.append(after)
    kept = {_CONSTRAINT: actual.get(_CONSTRAINT, {})} if _CONSTRAINT in new else {}
    return {**kept, _ENTRIES: entries} if entries or actual.get(_ENTRIES) == [] else kept


def _changed(entry: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Give a counter the limit and the window that it has after a patch."""
    kept = {name: value for name, value in entry.items() if name not in _WINDOW}
    return {**kept, **_window_of(after), "limit": after["limit"]}


def _of_scope(written: Mapping[str, Any], scope: str) -> dict[str, Any]:
    return next((entry for entry in written.get(_ENTRIES, ()) if entry["scope"] == scope), {})


def _is_plain(entry: Json, scope: str) -> bool:
    """Whether an entry is of the kind that a counter of xcore becomes."""
    return isinstance(entry, dict) and entry.get("scope") == scope and not _why_not(entry)


_NEEDS_ENTRIES = (
    "which counters the dps offer has is known only by reading it; or write them as xcore has them, "
    "with --capping verbatim"
)

TO_DPS = Rule(
    to=DPS,
    settle=_settle_dps,
    reads=frozenset({_XDM_CONSTRAINT}),
    watches=frozenset({"xdm:selectionConstraint"}),
    writes=frozenset({_CONSTRAINT, _ENTRIES}),
    alone=_alone_dps,
    at_end=True,
    by_target=True,
    merge=_merge_dps,
    off=lambda walk: walk.context.capping_verbatim,
)


# To xcore


def _settle_xcore(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    constraint, entries = source.get(_CONSTRAINT, UNSET), source.get(_ENTRIES, UNSET)
    if constraint is UNSET and entries is UNSET:
        return
    counters: dict[str, Json] = {}
    _take_verbatim(constraint, counters, walk, f"{at}/{_CONSTRAINT}")
    _take_entries(entries, source, counters, walk, f"{at}/{_ENTRIES}")
    target[_XDM_CONSTRAINT] = counters


def _take_verbatim(constraint: Json | UnsetType, counters: dict[str, Json], walk: Walk, place: str) -> None:
    if constraint is UNSET:
        return
    if not isinstance(constraint, dict):
        walk.malformed(place, constraint, "an object")
        return
    for name, limit in constraint.items():
        if name not in _VERBATIM:
            walk.refuse(f"{place}/{name}", limit, Loss.UNKNOWN, "no table has this member")
        elif not is_whole(limit):
            walk.malformed(f"{place}/{name}", limit, "a whole number")
        else:
            counters[_VERBATIM[name]] = limit


def _take_entries(
    entries: Json | UnsetType, source: Mapping[str, Any], counters: dict[str, Json], walk: Walk, place: str
) -> None:
    if entries is UNSET:
        return
    if not isinstance(entries, list):
        walk.malformed(place, entries, "a list")
        return
    window = _window_of(source.get("selectionConstraint"))
    for index, entry in enumerate(entries):
        at = f"{place}/{index}"
        counter = _COUNTERS.get(entry.get("scope", "")) if isinstance(entry, dict) else None
        if isinstance(entry, dict) and entry.get("enabled") is False:
            walk.inform(at, entry, Loss.CAPPING, "the counter is not enabled: left out")
        elif why := _why_not(entry) or _why_not_when(entry, window):
            walk.refuse(at, entry, Loss.CAPPING, f"xcore has no counter {why}")
        elif counter is None or counter in counters:
            walk.refuse(at, entry, Loss.CAPPING, "xcore has one global counter and one for each profile")
        else:
            counters[counter] = entry["limit"]


def _why_not(entry: Json) -> str:
    """Say what xcore cannot say of a counter, or "" if it can; of its window elsewhere."""
    if not isinstance(entry, dict) or not is_whole(entry.get("limit")):
        return "without a limit"
    if unknown := sorted(entry.keys() - _KNOWN):
        return f"with {', '.join(unknown)}"
    if entry.get("enabled") is not True:
        return "that is not enabled"
    if entry.get("entity") != "offer":
        return "of anything but the offer"
    repeat = entry.get("repeat", {})
    if not isinstance(repeat, dict) or repeat.get("enabled", False) is not False:
        return "that begins anew"
    return "" if entry.get("events", ["decisioning"]) in (["decisioning"], "decisioning", []) else "of such events"


def _why_not_when(entry: Mapping[str, Json], window: Mapping[str, Json]) -> str:
    differs = any(name in entry and not shows(entry[name], window.get(name)) for name in _WINDOW)
    return "for a part of the time that the offer is shown" if differs else ""


def _alone_xcore(operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]) -> tuple[Operation, ...]:
    """Take a whole list of counters, if they can be told without the offer's dates."""
    del patch
    if operation.path.startswith("/selectionConstraint"):
        if operation.path in _DPS_DATES:
            reason = "if the offer has counters, their window is to move with it: in xcore they have none"
            walk.inform(operation.path, operation.value, Loss.CAPPING, reason)
        return ()
    if operation.op in ("add", "replace") and operation.path == f"/{_ENTRIES}":
        quiet, target = walk.quiet(), dict[str, Any]()
        _settle_xcore({_ENTRIES: operation.value}, target, quiet, "")
        if all(report.severity is Severity.INFORMATIONAL for report in quiet.reports):
            walk.reports.extend(quiet.reports)
            return (Operation("add", f"{prefix}/{_XDM_CONSTRAINT}", target[_XDM_CONSTRAINT]),)
    walk.refuse(
        operation.path,
        operation.value,
        Loss.NEEDS_OBJECT,
        "what becomes of the counters is known only with the offer's other counters and its dates",
    )
    return ()


TO_XCORE = Rule(
    to=XCORE,
    settle=_settle_xcore,
    reads=frozenset({_CONSTRAINT, _ENTRIES}),
    watches=frozenset({"selectionConstraint"}),
    writes=frozenset({_XDM_CONSTRAINT}),
    alone=_alone_xcore,
    at_end=True,
)
