"""The objects as they are before the change: what a read shows, one by one and in pages, made at a constant cost each.

Objects are numbered. Number `n` is in container `n % containers`, and both ids end in their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from msgspec import Struct

PAGE = 100
"""Objects on a page of a list."""

CONTENT = "Save on everything for the garden until Sunday: free delivery, thirty days to return, and a gift. " * 2

NAME = "Spring in the garden"


def container_id(number: int) -> str:
    """Return the id of a container."""
    return str(UUID(int=number, version=1))


def object_id(number: int) -> str:
    """Return the id of an object."""
    return container_id(1_000_000 + number)


def _offer(prefix: str) -> dict[str, object]:
    """Return an offer's own members, about 1,300 octets."""
    text = {"format": "text/html", "deliveryURL": "", "linkURL": "", "copyline": ""}
    members = {
        "name": NAME,
        "status": "approved",
        "representations": [
            {
                f"{prefix}placement": "xcore:offer-placement:124cc332095cfa74",
                f"{prefix}components": [
                    {
                        "@type": "https://ns.adobe.com/experience/offer-management/content-component-html",
                        "dc:language": [language],
                        f"{prefix}content": f"{language} {CONTENT}",
                        **{f"{prefix}{name}": value for name, value in text.items()},
                    }
                    for language in ("en", "fr")
                ],
            }
        ],
        "selectionConstraint": {
            f"{prefix}startDate": "2026-03-01T00:00:00Z",
            f"{prefix}endDate": "2026-06-01T00:00:00Z",
        },
        "rank": {f"{prefix}priority": 7},
        "cappingConstraint": {f"{prefix}globalCap": 1000},
        "characteristics": {"season": "spring", "channel": "web"},
        "tags": [f"xcore:tag:{number:016x}" for number in range(3)],
    }
    return {f"{prefix}{name}": value for name, value in members.items()}


ID = "00000000-0000-0000-0000-000000000000"
"""Stands for an object's id."""

DOCUMENTS: Mapping[str, Mapping[str, object]] = {
    "dps": {
        **_offer(""),
        "id": ID,
        "etag": 1,
        "created": "2023-09-16T18:59:20.147Z",
        "createdBy": "someone@AdobeID",
        "modified": "2023-09-16T19:00:45.902Z",
        "lastModifiedBy": "someone@AdobeID",
    },
    "xcore": {
        "instanceId": ID,
        "schemas": ["https://ns.adobe.com/experience/offer-management/personalized-offer;version=0.5"],
        "repo:etag": 1,
        "repo:createdDate": "2023-09-16T18:59:20.147314Z",
        "repo:lastModifiedDate": "2023-09-16T19:00:45.902118Z",
        "repo:createdBy": "someone",
        "repo:lastModifiedBy": "someone",
        "repo:createdByClientId": "a-client",
        "repo:lastModifiedByClientId": "a-client",
        "_instance": {"@id": "xcore:personalized-offer:124cc332095cfa74", **_offer("xdm:")},
    },
}
_TEXTS = {style: msgspec.json.encode(document) for style, document in DOCUMENTS.items()}


def text_of(style: str, object_: str) -> bytes:
    """Return the JSON text of an object."""
    return _TEXTS[style].replace(ID.encode(), object_.encode(), 1)


class Listed(Struct, frozen=True):
    """What lists show.

    Attributes:
        objects: so many; with none, every object still answers when it is read by itself.
        containers: over which they are spread.
    """

    objects: int = 0
    containers: int = 1

    def read(self, target: str) -> bytes:
        """Return the JSON text that a GET of `target` is answered with: an object, or a page of a list."""
        path, _, query = target.partition("?")
        _, _, _, style, *segments = path.split("/")
        match segments:
            case ["offers"]:
                return self._page_dps(int(parse_qs(query).get("start", ["0"])[0]))
            case [container, "queries", "core", "search"]:
                return self._page_xcore(container, int(parse_qs(query).get("start", ["0"])[0]))
            case [*_, object_]:
                return text_of(style, object_)
        return b"{}"

    def _page_dps(self, start: int) -> bytes:
        numbers = range(self.objects)
        following = f"/offers?offer-type=personalized&start={start + PAGE}" if numbers[start + PAGE :] else ""
        return b'{"results":[%b],"total":%d,"_links":{"next":{"href":"%b"}}}' % (
            _texts("dps", numbers[start : start + PAGE]),
            len(numbers),
            following.encode(),
        )

    def _page_xcore(self, container: str, start: int) -> bytes:
        numbers = range(int(container[-12:], 16), self.objects, self.containers)
        following = f"/{container}/queries/core/search?start={start + PAGE}" if numbers[start + PAGE :] else ""
        return b'{"_embedded":{"results":[%b],"total":%d},"_links":{"next":{"href":"%b"}}}' % (
            _texts("xcore", numbers[start : start + PAGE]),
            len(numbers),
            following.encode(),
        )


def _texts(style: str, numbers: Iterable[int]) -> bytes:
    return b",".join(text_of(style, object_id(number)) for number in numbers)
