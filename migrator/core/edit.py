"""Edits: what becomes an operation only on the object as it is.

People do not say `/representations/1/components/0/content`; they say "the English text in the e-mail placement". Who
undoes a change, or sends back a spreadsheet, does not say "replace" but "replace what I saw". Both kinds of edit are
kept as they were meant, and *located* each time the object is read: the place is the right one whatever has moved
since, and what somebody else has changed meanwhile is a conflict and not overwritten.

What belongs here: the form of edits in a ledger, and how they become operations. What must never: how an operation is
applied or guarded, which is `patch` and `base`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from migrator.core.compare import same_place, shows
from migrator.core.model import Edit, Json, Operation, Swap, TextChange
from migrator.core.patch import CannotApply, apply, members_of
from migrator.core.pointers import value_at
from migrator.core.styles import TextNames
from migrator.core.values import shown

_encode = msgspec.json.Encoder().encode


class Conflict(CannotApply):
    """An edit fits, but what it is to replace is not what it was meant to replace."""


def edits_body(edits: Iterable[Edit]) -> bytes:
    """Return edits as JSON text: operations as RFC 6902 shows them, the others under a name of their own."""
    return _encode([members_of(edit) if isinstance(edit, Operation) else _named(edit) for edit in edits])


def _named(edit: TextChange | Swap) -> dict[str, Any]:
    return {"text" if isinstance(edit, TextChange) else "swap": edit}


def edits_of(body: bytes) -> tuple[Edit, ...]:
    """Read back what `edits_body` wrote."""
    return tuple(map(_edit, msgspec.json.decode(body)))


def _edit(entry: dict[str, Any]) -> Edit:
    if "op" in entry:
        return Operation(entry["op"], entry["path"], entry.get("value"), entry.get("from", ""))
    return msgspec.convert(entry["text"], TextChange) if "text" in entry else msgspec.convert(entry["swap"], Swap)


def located(
    edits: Sequence[Edit], document: Json, names: TextNames, version: int | None = None
) -> tuple[Operation, ...]:
    """Return the operations that `edits` are on `document`, none for what is as wanted already.

    Each edit finds what those before it leave.

    Args:
        edits: in order.
        document: the object as it is.
        names: what the members are called that lead to a text.
        version: of the object, `None` if it is not told.

    Raises:
        CannotApply: the document has no such place, or two edits write different values there.
        Conflict: something else is there than was to be replaced.
    """
    if all(isinstance(edit, Operation) for edit in edits):
        return edits  # type: ignore[return-value]  # what `all` proves, a type checker does not see
    found: list[Operation] = []
    written: dict[str, tuple[Edit, Json]] = {}
    for edit in edits:
        operations = tuple(_operations(edit, document, names, version))
        _refuse_overwriting(edit, operations, document, written)
        document = apply(operations, document) if operations else document
        written |= {one.path: (edit, one.value) for one in operations if one.op in ("add", "replace")}
        found.extend(operations)
    return tuple(found)


def _refuse_overwriting(
    edit: Edit, operations: Iterable[Operation], document: Json, written: Mapping[str, tuple[Edit, Json]]
) -> None:
    """Refuse to lose a text to another edit of the object, or the other way round: nobody can have meant both.

    Of operations alone that is told when rows are merged. Where a text is, only the object shows.
    """
    for operation in operations:
        earlier, value = written.get(operation.path, (None, UNSET))
        if operation.op == "test" or TextChange not in (type(edit), type(earlier)):
            continue
        # An element of a list may have moved since, and somebody may say what he writes over.
        stands = value is not UNSET and same_place(value_at(document, operation.path), value)
        if stands and not same_place(value, operation.value) and getattr(edit, "was", None) is None:
            raise CannotApply(
                f"two rows of the object contradict each other: one writes {shown(value)} to {operation.path},"
                f" and a later one {shown(operation.value)}; keep one of them"
            )


def _operations(edit: Edit, document: Json, names: TextNames, version: int | None) -> Iterator[Operation]:
    if isinstance(edit, Operation):
        yield edit
    elif isinstance(edit, Swap):
        yield from _swapped(edit, document, version)
    else:
        yield from _reworded(edit, document, names)


def is_placement_id(placement: str) -> bool:
    """Whether a placement is given by its id (contract 3.2, 4.2), and not by its name."""
    return ":offer-placement:" in placement


def representation_for(placement: str, document: Json, names: TextNames) -> dict[str, Json] | None:
    """Return what an offer without a representation for a placement gets, its component without a text.

    Args:
        placement: the placement's id.
        document: the placement's own members.
        names: what the members are called.

    Returns:
        The representation, or `None` if what the placement takes is no text.
    """
    takes = str(document.get(names.component_type))
    format_ = _FORMATS.get(takes.rpartition("-")[2])
    if format_ is None:
        return None
    kind = names.kinds.get(takes, takes)
    channel = {names.channel: document[names.channel]} if names.channel in document else {}
    return {names.placement: placement, **channel, names.components: [{names.kind: kind, names.format: format_}]}


_FORMATS = {"html": "text/html", "text": "text/plain", "json": "application/json"}
"""Media types by the last word of what a placement takes (contract 5.1, 5.3)."""


# Swaps


def _swapped(swap: Swap, document: Json, version: int | None) -> Iterator[Operation]:
    now = value_at(document, swap.path)
    if same_place(now, swap.value):
        return
    untouched = version is not None and version == swap.version
    if not untouched and not _is_as_it_was(now, swap.was):
        raise Conflict(f"{swap.path} is {shown(now)}, and was {shown(swap.was)} when the change was made")
    if swap.value is UNSET:
        yield Operation("remove", swap.path)
    else:
        yield Operation("add" if now is UNSET else "replace", swap.path, swap.value)


def _is_as_it_was(now: Json | UnsetType, was: Json | UnsetType) -> bool:
    """Whether a value is the one that was there, but for how dates are spelled.

    A member more may be one that the service has added, or the work of a person: it counts as the latter.
    """
    return shows(now, was) and shows(was, now)


# Texts


def _reworded(change: TextChange, document: Json, names: TextNames) -> Iterator[Operation]:
    pointer, representation = _representation(change, document, names)
    if representation is None:
        yield from _new_representation(change, document, names)
        return
    found = list(_components(change, representation, names))
    if not found:
        yield from _new_component(change, pointer, representation, names)
        return
    if len(found) > 1:
        raise CannotApply(
            f"the offer has {len(found)} texts {_language(change.language)} for placement {change.placement}:"
            f" {_listed(component.get(names.format) for _, component in found)}; name one in the column `format`"
        )
    index, component = found[0]
    yield from _content(change, f"{pointer}/{names.components}/{index}", component, names)


def _content(change: TextChange, pointer: str, component: dict[str, Json], names: TextNames) -> Iterator[Operation]:
    now = component.get(names.content, UNSET)
    if now == change.content:
        return
    if change.was is not None and now != change.was:
        raise Conflict(f"the text is {shown(now)}, and `was` says {shown(change.was)}")
    yield Operation("add" if now is UNSET else "replace", f"{pointer}/{names.content}", change.content)


def _representation(change: TextChange, document: Json, names: TextNames) -> tuple[str, dict[str, Json] | None]:
    """Return the pointer to the representation for the placement and the representation, `None` if there is none."""
    matches = [
        (f"{names.representations}/{index}", representation)
        for index, representation in _members_of_list(document, names.representations)
        if representation.get(names.placement) == change.placement
    ]
    if len(matches) > 1:  # which the service should not let be
        raise CannotApply(f"the offer has {len(matches)} representations for placement {change.placement}")
    return matches[0] if matches else ("", None)


def _components(
    change: TextChange, representation: dict[str, Json], names: TextNames
) -> Iterator[tuple[int, dict[str, Json]]]:
    """Yield the components in the language, and in the format if one is asked for, with their indices."""
    for index, component in _members_of_list(representation, f"/{names.components}"):
        languages = _languages(component, names)
        speaks = change.language.casefold() in languages if change.language else not languages
        if speaks and change.format in ("", component.get(names.format)):
            yield index, component


def _new_representation(change: TextChange, document: Json, names: TextNames) -> Iterator[Operation]:
    if change.missing is None:
        held = [one.get(names.placement) for _, one in _members_of_list(document, names.representations)]
        raise CannotApply(f"the offer has no representation for placement {change.placement}; it has {_listed(held)}")
    _refuse_was(change)
    (component,) = change.missing[names.components]
    made = {**change.missing, names.components: [_worded(change, component, names)]}
    if value_at(document, names.representations) is UNSET:
        yield Operation("add", names.representations, [made])
    else:
        yield Operation("add", f"{names.representations}/-", made)


def _new_component(
    change: TextChange, pointer: str, representation: dict[str, Json], names: TextNames
) -> Iterator[Operation]:
    held = [component for _, component in _members_of_list(representation, f"/{names.components}")]
    if change.missing is None:
        what = f"{_language(change.language)}{f' as {change.format}' if change.format else ''}"
        raise CannotApply(
            f"the offer has no text {what} for placement {change.placement}; it has"
            f" {_listed(_described(component, names) for component in held)}"
        )
    _refuse_was(change)
    # What the offer's other languages are made of is a better example than what the placement asks for.
    (example,) = held[:1] or change.missing[names.components]
    made = _worded(change, {name: example[name] for name in (names.kind, names.format) if name in example}, names)
    if value_at(representation, f"/{names.components}") is UNSET:
        yield Operation("add", f"{pointer}/{names.components}", [made])
    else:
        yield Operation("add", f"{pointer}/{names.components}/-", made)


def _refuse_was(change: TextChange) -> None:
    if change.was is not None:
        raise Conflict(f"there is no such text, and `was` says {shown(change.was)}")


def _worded(change: TextChange, component: dict[str, Json], names: TextNames) -> dict[str, Json]:
    made = {**component, names.content: change.content}
    if change.format:
        made[names.format] = change.format
    if change.language:
        made[names.language] = [change.language]
    return made


def _members_of_list(document: Json, pointer: str) -> Iterator[tuple[int, dict[str, Json]]]:
    members = value_at(document, pointer)
    for index, member in enumerate(members if isinstance(members, list) else ()):
        if isinstance(member, dict):
            yield index, member


def _languages(component: dict[str, Json], names: TextNames) -> list[str]:
    languages = component.get(names.language)
    return [tag.casefold() for tag in languages if isinstance(tag, str)] if isinstance(languages, list) else []


def _described(component: dict[str, Json], names: TextNames) -> str:
    return f"{', '.join(_languages(component, names)) or 'no language'} ({component.get(names.format, 'no format')})"


def _language(tag: str) -> str:
    return f"in '{tag}'" if tag else "without a language"


def _listed(values: Iterable[Json]) -> str:
    return ", ".join(str(value) for value in values) or "none at all"
