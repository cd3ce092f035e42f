"""Places: where the objects of a change file are in the other style, by the id map.

What belongs here: what a row calls an object, what that is in the target, and why that is not known. What must never:
what a row wants of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from migrator.core.edit import is_placement_id
from migrator.core.mapping import DPS, Context
from migrator.core.model import By, Change, EntityType
from migrator.translating.idmap import Home, IdMap


class Way(Struct, frozen=True):
    """How lines are translated.

    Attributes:
        from_: the style they are in.
        to: the style they are wanted in.
        ids: the id map.
        context: what is allowed; it asks the id map.
        container: of lines for xcore of whose container the id map says nothing.
    """

    from_: str
    to: str
    ids: IdMap
    context: Context
    container: str = ""


class Place(Struct, frozen=True):
    """Where an object is in the target.

    Attributes:
        id: its id; "" for one that is named otherwise, or is yet to be.
        container: its container in xcore.
        context: for what is translated there.
    """

    id: str
    container: str
    context: Context


class Places:
    """Finds where things are in the target.

    Attributes:
        to_dps: whether that is dps; else xcore, where each object is in a container.
        nobody: begins a sentence on what is not found.
    """

    def __init__(self, way: Way) -> None:
        """Look things up in the id map of `way`."""
        self._way = way
        self._contexts: dict[str, Context] = {}
        self.to_dps = way.to == DPS
        self.nobody = "the id map has no" if way.ids else "no id map was given (--id-map), and so nobody knows"

    def find(self, change: Change) -> Place | str:
        """Find where the object of a change is in the target, or say why that is not known."""
        by_id = change.object or (change.sought is not None and change.sought.by is By.REFERENCE)
        id_ = id_of(change) if by_id else ""
        return self._place_in_dps(change, id_) if self.to_dps else self._place_in_xcore(change.type, id_)

    def _place_in_dps(self, change: Change, id_: str) -> Place | str:
        context = self.context(change.container)
        found = context.resolve(change.type, id_) if id_ else ""
        if found is None:
            return f"{self.nobody} {change.type} {id_}"
        return Place(found, "", context)

    def _place_in_xcore(self, type_: EntityType, id_: str) -> Place | str:
        ids, given = self._way.ids, self._way.container
        homes = ids.homes(type_, id_, given) if id_ else (Home("", given),)
        if not homes:
            elsewhere = ids.homes(type_, id_, "")
            where = f" in container {given}, but in {_containers(elsewhere)}" if elsewhere else ""
            return f"{self.nobody} {type_} {id_}{where}"
        if len(homes) > 1:
            return f"the id map has {type_} {id_} more than once in xcore: in {_containers(homes)}; give --container"
        container = homes[0].container or given
        if not container:
            return "xcore needs a container, and the id map does not say which: give --container"
        return Place(homes[0].id, container, self.context(container))

    def context(self, container: str) -> Context:
        """Return the context of what is translated in a container of xcore."""
        context = self._contexts.get(container)
        if context is None:
            resolve = self._way.ids.resolver(container)
            context = self._contexts[container] = msgspec.structs.replace(self._way.context, resolve=resolve)
        return context

    def finder(self, change: Change) -> Callable[[str], Any]:
        """Return what finds an object of the type of a change, and in its container, in the target."""
        ids = self._way.ids
        if self.to_dps:
            return ids.finder(change.type, change.container)
        return ids.home_finder(change.type, self._way.container)


def id_of(change: Change) -> str:
    """Return what a change calls its object; "" where it is yet to be."""
    return change.sought.value if change.sought is not None else change.object


def _containers(homes: Sequence[Home]) -> str:
    return ", ".join(home.container or "none that is told" for home in homes)


def placement_of(placement: str, place: Place) -> str | None:
    """Return a placement in the target; its name, if it is given by that, is the same there."""
    return place.context.resolve(EntityType.PLACEMENT, placement) if is_placement_id(placement) else placement
