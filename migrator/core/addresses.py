"""Addresses: which object a row means, or what is wrong with how it says so.

What belongs here: the columns that every shape of a file has, `container`, `type`, `id` and `name`. What must never:
what is to be done to the object, which is a matter of `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from migrator.core.model import By, EntityType, Json, Sought
from migrator.core.styles import Style
from migrator.core.values import Fault, did_you_mean, json_kind, quote, word_fault

Address: TypeAlias = tuple[str, EntityType, str | Sought]
"""A container, a type, and the id of an object or by what it is to be looked up."""

_TYPES: Mapping[str, EntityType] = {type_.value: type_ for type_ in EntityType}
_OFFERS = (EntityType.PERSONALIZED_OFFER, EntityType.FALLBACK_OFFER)


class Addresses:
    """Reads the addresses of the rows of one file. What is wrong is added to `faults`: then nothing returned counts.

    Args:
        style: the endpoint style that they are for.
        default_container: the container of rows that name none, in a style that lets them: the sandbox.
    """

    def __init__(self, style: Style, default_container: str) -> None:
        self._style = style
        self._default_container = default_container

    def read(self, cells: Mapping[str, Json], faults: list[Fault]) -> Address:
        """Read which object is meant."""
        get = cells.get
        container, type_ = self.container(get("container", ""), faults), self.type(get("type", ""), faults)
        return container, type_, self.object(get("id", ""), get("name", ""), faults)

    def of_text(self, cells: Mapping[str, Json], faults: list[Fault]) -> Address:
        """Read which offer is meant."""
        address = self.read(cells, faults)
        faults.extend(filter(None, [textless(address[1])]))
        return address

    def container(self, container: Json, faults: list[Fault]) -> str:
        """Read a container; `container` is "" where none is named."""
        if container == "":
            if self._style.needs_container:
                faults.append(self.no_container())
            return self._default_container
        if fault := word_fault("container", container):
            faults.append(fault)
        return str(container)

    def no_container(self) -> Fault:
        """Say that a container is missing."""
        message = f"the container is missing, and {self._style.name} has no default"
        return Fault("container", message, "write the id of the container that holds the object")

    def type(self, name: Json, faults: list[Fault]) -> EntityType:
        """Read a type; `name` is "" where none is named."""
        if name == "":
            return EntityType.PERSONALIZED_OFFER
        if fault := _type_fault(name):
            faults.append(fault)
            return EntityType.PERSONALIZED_OFFER
        return _TYPES[name]

    def object(self, id_: Json, name: Json, faults: list[Fault]) -> str | Sought:
        """Read the id of an object, or by what it is to be looked up: its name, if it has no id here."""
        if id_ == "" and name != "":
            if fault := word_fault("name", name):
                faults.append(fault)
            return Sought(By.NAME, name)
        if fault := word_fault("id", id_):
            faults.append(fault)
        elif why := self._style.object_problem(id_):
            faults.append(Fault("id", f"the id {quote(id_)} {why}"))
        elif self._style.is_reference(id_):
            return Sought(By.REFERENCE, id_)
        return str(id_)

    def is_id(self, id_: str) -> bool:
        """Whether `object` would return `id_` as the id of an object, and say nothing."""
        return not (word_fault("id", id_) or self._style.object_problem(id_) or self._style.is_reference(id_))


def textless(type_: EntityType) -> Fault | None:
    """Say that an object of a type has no texts, if so."""
    return None if type_ in _OFFERS else Fault("type", f"a {type_} has no texts", "only offers have")


def _type_fault(name: Json) -> Fault | None:
    if not isinstance(name, str):
        return Fault("type", f"must be text, not {json_kind(name)}")
    if name in _TYPES:
        return None
    return Fault("type", f"'{name}' is not a type; the types are {', '.join(_TYPES)}", did_you_mean(name, _TYPES))
