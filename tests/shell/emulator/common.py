"""What the tests of the emulator send again and again, and where to."""

from __future__ import annotations

from migrator.emulator import seeded_instance_id, seeded_offer_id

NAMESPACE = "https://ns.adobe.com/experience/offer-management/"
SCHEMA = f"{NAMESPACE}personalized-offer"

OFFER = {
    "name": "A",
    "status": "draft",
    "selectionConstraint": {"startDate": "2024-03-01T00:00:00Z", "endDate": "2024-06-01T00:00:00Z"},
    "rank": {"priority": 3},
}
XCORE_OFFER = {
    "xdm:name": "A",
    "xdm:status": "draft",
    "xdm:selectionConstraint": {"xdm:startDate": "2024-03-01T00:00:00Z", "xdm:endDate": "2024-06-01T00:00:00Z"},
    "xdm:rank": {"xdm:priority": 3},
}

FIRST = f"/offers/{seeded_offer_id(0)}"
"""The first seeded offer of dps."""

INSTANCE = f"/instances/{seeded_instance_id(0)}"
"""The first seeded offer of a container of xcore."""

RENAME = [{"op": "replace", "path": "/name", "value": "New"}]
XCORE_RENAME = [{"op": "replace", "path": "/_instance/xdm:name", "value": "New"}]
