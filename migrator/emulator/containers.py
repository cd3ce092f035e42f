"""The containers of xcore, and the home document in which a client finds its own (contract 3.1).

A sandbox has one container. Containers beyond the last sandbox belong to sandboxes that no request may name.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from migrator.emulator import filters, instants
from migrator.emulator.seeds import seeded_container

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.emulator.settings import EmulatorSettings

HOME = "application/vnd.adobe.platform.xcore.home.hal+json"
"""Content type of the home document."""

PRODUCT = "acp"

_CONTAINER = "https://ns.adobe.com/experience/xcore/container"
_CREATED_US = instants.parse("2020-09-16T07:54:28.319959Z")
_SERVICE = "offer-emulator"


class Containers:
    """The containers that exist, each with its sandbox.

    Args:
        settings: how many there are at the start, and which sandboxes.
    """

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings
        self._sandboxes: dict[str, str] = {}
        self._containers: dict[str, str] = {}
        self.restart()

    def __contains__(self, container: str) -> bool:
        return container in self._sandboxes

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each with its sandbox, in order."""
        return iter(self._sandboxes.items())

    def sandbox_of(self, container: str) -> str | None:
        """The sandbox of a container; None when there is no such container."""
        return self._sandboxes.get(container)

    def container_of(self, sandbox: str) -> str | None:
        """The container of a sandbox; None when it has none."""
        return self._containers.get(sandbox)

    def add(self, container: str) -> None:
        """Let a container exist, in the next sandbox that has none; nothing when it does already."""
        if container not in self._sandboxes:
            named, index = self._settings.sandboxes, len(self._sandboxes)
            sandbox = named[index] if index < len(named) else f"sandbox-{index}"
            self._sandboxes[container] = sandbox
            self._containers[sandbox] = container

    def restart(self) -> None:
        """Go back to the containers of the settings."""
        self._sandboxes.clear()
        self._containers.clear()
        for index in range(self._settings.containers):
            self.add(seeded_container(index))


def sandbox_id(name: str) -> str:
    """The id of a sandbox, the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:offer-emulator:sandbox:{name}"))


def home_document(containers: Containers, products: Sequence[str], properties: Sequence[str]) -> dict[str, Any]:
    """The home document.

    Args:
        containers: the containers.
        products: what the client asks for; one that fits is enough. None asks for all.
        properties: conditions, all of which an entry has to meet.

    Raises:
        ProblemError: a condition is not one.
    """
    conditions = [filters.parse_condition(text, may_negate=False) for text in properties]
    entries = [_entry(container, sandbox) for container, sandbox in containers]
    found = [
        entry
        for entry in entries
        if (not products or PRODUCT in products) and all(_meets(entry, condition) for condition in conditions)
    ]
    query = [f"product={quote(product)}" for product in products]
    query += [f"property={quote(text, safe='=.')}" for text in properties]
    link = {"href": f"/?{'&'.join(query)}", "@type": "https://ns.adobe.com/experience/xcore/hal/home"}
    return {"_embedded": {_CONTAINER: found}, "_links": {"self": link}}


def _meets(entry: dict[str, Any], condition: filters.Condition) -> bool:
    return condition.holds(lambda path: list(filters.values(entry, path.split("."))))


def _entry(container: str, sandbox: str) -> dict[str, Any]:
    created = instants.micros_z(_CREATED_US)
    return {
        "instanceId": container,
        "schemas": [f"{_CONTAINER};version=0.5"],
        "productContexts": [PRODUCT],
        "repo:etag": 1,
        "repo:createdDate": created,
        "repo:lastModifiedDate": created,
        "repo:createdBy": _SERVICE,
        "repo:lastModifiedBy": _SERVICE,
        "repo:createdByClientId": _SERVICE,
        "repo:lastModifiedByClientId": _SERVICE,
        "_instance": {
            "containerType": "decisioning",
            "repo:name": f"{sandbox} offers",
            "dataCenter": "VA7",
            "parentName": sandbox,
            "parentId": sandbox_id(sandbox),
        },
        "_links": {"self": {"href": f"/containers/{container}"}},
    }
