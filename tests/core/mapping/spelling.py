"""What the tables of these tests share: a translation of an object whose ids differ by the style alone."""

from __future__ import annotations

from typing import Any

from migrator.core.mapping import DPS, XCORE, Context, translate_document
from migrator.core.model import EntityType

Json = Any
CONTENT = "https://ns.adobe.com/experience/offer-management/content-component-"
WEB = "https://ns.adobe.com/xdm/channel-types/web"
DATES_DPS = {"startDate": "2024-03-01T00:00:00.000+00:00", "endDate": "2024-06-01T00:00:00.000+00:00"}
COUNTER = {
    "enabled": True,
    "limit": 150,
    "scope": "global",
    "entity": "offer",
    **DATES_DPS,
    "repeat": {"enabled": False, "unit": "month", "unitCount": 1},
}


def swapped(id_: str) -> str:
    """Name the same object in the other style: in these tables its id differs by the style alone."""
    return id_.replace("xcore:", "dps:") if id_.startswith("xcore:") else id_.replace("dps:", "xcore:")


def resolve(_type: str, id_: str) -> str | None:
    return swapped(id_) if id_.startswith(("xcore:", "dps:")) else None


def translate(type_: EntityType, document: Json, to: str, allowed: Any = (), **options: Any) -> Any:
    context = Context(resolve=resolve, allowed=frozenset(allowed), **options)
    return translate_document(type_, document, XCORE if to == DPS else DPS, to, context)
