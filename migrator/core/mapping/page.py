"""The mapping as a page for people, in Markdown, made from the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator.core.mapping.losses import MEANINGS, NEVER_ALLOWED, Loss, Severity
from migrator.core.mapping.shapes import (
    DPS,
    Channel,
    Data,
    Date,
    Keyed,
    Many,
    Member,
    Members,
    Ref,
    Shape,
    Text,
    Whole,
    Word,
)
from migrator.core.mapping.tables import TABLES
from migrator.core.model import EntityType

_MARKS = """\
| mark | means |
| --- | --- |
| = | documents show it in both styles |
| ~ | documents show it in one style; the other name is inferred, and written with a report `unattested` |
| → | only xcore has it: going to dps loses it |
| ← | only dps has it: going to xcore loses it |
| ! | severe: refused, unless the class is allowed by `--allow-lossy CLASS` |

`*` is any element of a list, `KEY` any key. Pointers of xcore begin with `/_instance`.
"""


def page(types: Sequence[EntityType] = tuple(EntityType)) -> str:
    """Return the mapping of some types, by default of all."""
    return "\n".join(_lines(types))


def _lines(types: Sequence[EntityType]) -> Iterator[str]:
    yield "# The mapping of xcore and dps\n"
    yield _MARKS
    for type_ in types:
        yield f"## {type_}\n"
        yield "| xcore | dps | | value | remarks |"
        yield "| --- | --- | --- | --- | --- |"
        yield from _rows(TABLES[type_], "/_instance", "")
        yield ""
    yield "## Classes of loss\n"
    yield "| class | what it is | |"
    yield "| --- | --- | --- |"
    for loss in Loss:
        yield f"| `{loss}` | {MEANINGS[loss]} | {'cannot be allowed' if loss in NEVER_ALLOWED else ''} |"


def _rows(shape: Shape, xcore: str, dps: str) -> Iterator[str]:
    """Yield a line for each member, and for those below it."""
    if isinstance(shape, Many):
        yield from _rows(shape.of, f"{xcore}/*", f"{dps}/*")
    elif isinstance(shape, Keyed):
        yield from _rows(shape.of, f"{xcore}/KEY", f"{dps}/KEY")
    elif isinstance(shape, Members):
        for member in shape.members:
            yield _row(member, xcore, dps)
            if member.xcore and member.dps:
                yield from _rows(member.shape, f"{xcore}/{member.xcore[0]}", f"{dps}/{member.dps[0]}")


def _row(member: Member, xcore: str, dps: str) -> str:
    names = (_names(xcore, member.xcore), _names(dps, member.dps))
    return f"| {names[0]} | {names[1]} | {_mark(member)} | {_value(member.shape)} | {_remarks(member)} |"


def _names(prefix: str, names: Sequence[str]) -> str:
    if not names:
        return "–"
    others = "".join(f" or `{name}`" for name in names[1:])
    return f"`{prefix}/{names[0]}`{others}"


def _mark(member: Member) -> str:
    mark = "~" if member.unattested else "="
    if member.lost is None:
        return mark
    arrow = "→" if member.lost.to == DPS else "←"
    severe = "!" if member.lost.severity is Severity.SEVERE else ""
    return f"{mark if member.xcore and member.dps else ''}{arrow}{severe}"


def _remarks(member: Member) -> str:
    parts = [member.note, member.shape.note]
    if member.unattested:
        parts.append(f"inferred in {member.unattested}")
    if member.lost is not None:
        parts.append(f"{member.lost.reason} (`{member.lost.loss}`)")
    return "; ".join(filter(None, parts))


def _value(shape: Shape) -> str:
    match shape:
        case Many():
            return f"list of: {_value(shape.of)}" if _value(shape.of) else "list"
        case Word():
            changed = [f"`{xcore}` ↔ `{dps}`" for xcore, dps in shape.pairs if xcore != dps]
            down = [f"`{word}` → `{instead}`" for word, instead in shape.downgraded]
            return "word: " + (", ".join([*changed, *down]) or "the same")
        case Ref():
            return "id of " + " or ".join(f"`{type_}`" for type_ in shape.types)
        case Date():
            return "date: `2024-03-01T00:00:00Z` ↔ `2024-03-01T00:00:00.000+00:00`"
        case Whole():
            return "whole number"
        case Data():
            return "as it is, whatever is in it"
        case Text():
            return "text, as it is"
        case Channel():
            return "URI"
    return ""
