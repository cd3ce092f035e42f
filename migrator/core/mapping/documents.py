"""Whole objects in the other style."""

from __future__ import annotations

from typing import Any

from migrator.core.mapping.losses import Refused, Translated, Translation
from migrator.core.mapping.routes import table
from migrator.core.mapping.walk import LEFT, UNKNOWN, Context, Known, Walk
from migrator.core.model import EntityType, Json


def translate_document(
    type_: EntityType, document: Json, from_: str, to: str, context: Context, known: Known = UNKNOWN
) -> Translation[dict[str, Any]]:
    """Spell an object in the other style.

    Args:
        type_: of the object.
        document: its own members: in xcore those of `_instance`, or the bare body of a create.
        from_: the style that it is in.
        to: the style that it is wanted in.
        context: what may be asked, and what is allowed.
        known: only its `id` counts, for reports.

    Returns:
        The object, or what stands in the way. Pointers of reports lead into `document`.
    """
    if from_ == to:
        return Translated(document)
    compiled = table(type_, to)
    walk = Walk(context, type_, compiled.direction, known.id)
    made = compiled.node.convert(document, walk, "")
    reports = tuple(walk.reports)
    return Refused(reports) if walk.refused or made is LEFT else Translated(made, reports)
