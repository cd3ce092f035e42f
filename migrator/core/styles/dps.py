"""The persistence style: sandbox in a header, entity in the path, plain field names (contract section 4)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from migrator.core.model import EntityType, Json, Kind, Receipt, Request, Response, Step
from migrator.core.styles.base import METHODS, PatchRules, decoded, etag_of, segment, segment_problem

BASE = "/data/core/dps"
JSON = "application/json"

RESOURCES: Mapping[EntityType, tuple[str, str]] = {
    EntityType.PERSONALIZED_OFFER: ("/offers", "?offer-type=personalized"),
    EntityType.FALLBACK_OFFER: ("/offers", "?offer-type=fallback"),
    EntityType.PLACEMENT: ("/placements", ""),
    EntityType.DECISION_RULE: ("/offer-rules", ""),
    EntityType.TAG: ("/tags", ""),
    EntityType.COLLECTION: ("/offer-collections", ""),
    EntityType.DECISION: ("/offer-decisions", ""),
}
"""Path under the base and query of each type (contract 4.1)."""


class _Receipt(msgspec.Struct):
    """The receipt as it stands on the wire (contract 4.3)."""

    id: str
    etag: msgspec.Raw = msgspec.Raw()


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


class Dps:
    """The style called dps."""

    name = "dps"
    rules = PatchRules("dps", frozenset({"add", "remove", "replace", "copy", "test"}), "")
    needs_container = False

    def object_problem(self, object_id: str) -> str:
        """Accept nearly any id: they are opaque, and some begin with `xcore:` (contract 4.2)."""
        return segment_problem(object_id)

    def document_problem(self, document: Mapping[str, Json]) -> str:
        """Require a name; a document without `name` is most likely one of the other style."""
        if document.get("name"):
            return ""
        if "xdm:name" in document:
            return "has `xdm:name` but no `name`: it is written for xcore, and the style is dps"
        return "has no `name`, which every type requires"

    def render(self, step: Step, *, sandbox: str, request_id: str) -> Request:
        """Spell `step` as a request (contract 4.3, 4.4, 4.7). The sandbox is the step's container."""
        del sandbox
        path, query = RESOURCES[step.type]
        # D2: the fallback create page prints an id in the POST; a create has none.
        tail = "" if step.kind is Kind.CREATE else "/" + segment(step.object)
        return Request(
            method=METHODS[step.kind],
            target=f"{BASE}{path}{tail}{query}",
            headers={"Content-Type": JSON, "x-sandbox-name": step.container, "x-request-id": request_id},
            body=None if step.kind is Kind.DELETE else step.body,
            request_id=request_id,
        )

    def probe(self, container: str, *, sandbox: str, request_id: str) -> Request:
        """Ask for the first personalized offer of the sandbox (contract 4.6)."""
        del sandbox
        return Request(
            method="GET",
            target=f"{BASE}/offers?offer-type=personalized&limit=1",
            headers={"Accept": "*,application/json", "x-sandbox-name": container, "x-request-id": request_id},
            body=None,
            request_id=request_id,
        )

    def receipt(self, response: Response) -> Receipt | None:
        """Read `id` and `etag`; other members are free (D22)."""
        found = decoded(_decode_receipt, response.body)
        return None if found is None else Receipt(object=found.id, etag=etag_of(found.etag), reference=found.id)
