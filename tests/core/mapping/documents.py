"""Generated objects of all seven types in xcore, written down from the contract and not from the tables under test."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from migrator.core.mapping import Context
from migrator.core.mapping.losses import ALLOWABLE
from migrator.core.model import EntityType

Json = Any
CONTENT = "https://ns.adobe.com/experience/offer-management/content-component-"
CHANNELS = "https://ns.adobe.com/xdm/channel-types/"

WORDS = {
    "personalized-offer": "personalized-offer",
    "fallback-offer": "fallback-offer",
    "placement": "offer-placement",
    "decision-rule": "eligibility-rule",
    "tag": "tag",
    "collection": "offer-filter",
    "decision": "offer-activity",
    "audience": "audience",
    "ai-model": "ranking-strategy",
    "ranking-formula": "ranking-function",
}


def reference(type_: str) -> st.SearchStrategy[str]:
    return st.integers(0, 5).map(lambda number: f"xcore:{WORDS[type_]}:{number:016x}")


def resolver(source: str, target: str) -> Any:
    """Know every id of the right type, and no other."""

    def resolve(type_: str, id_: str) -> str | None:
        known = id_.startswith(f"{source}:{WORDS[type_]}:")
        return target + id_.removeprefix(source) if known else None

    return resolve


def channel_of(placement: str) -> str:
    return CHANNELS + ("web" if int(placement[-1], 16) % 2 else "email")


ALL = frozenset(ALLOWABLE)
TO_DPS = Context(resolve=resolver("xcore", "dps"), channel_of=channel_of, allowed=ALL)
TO_XCORE = Context(resolve=resolver("dps", "xcore"), allowed=ALL)

# Names that are somebody's data: they look like ours, need escapes, or are empty.
keys = st.sampled_from(["region", "xdm:name", "price/unit", "a~b", "~1", "", "-", "0", "name"])
texts = st.sampled_from(["", "Spring loan", "ä/~", "xdm:name"])
instants = st.sampled_from(
    ["2024-03-01T00:00:00Z", "2024-03-01T00:00:00.000Z", "2024-03-01T02:00:00+02:00", "2030-01-01T00:00:00.5Z"]
)
numbers = st.integers(0, 3)
strange = st.sampled_from([1, "x", None, {"xdm:name": ["deep"]}])


def members(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Json]]:
    """Make an object; now and then with a member that nobody knows."""
    return st.fixed_dictionaries(required, optional={**optional, "xdm:mystery": strange})


def some(of: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, min_size=least, max_size=2)


data = st.recursive(
    texts | numbers | st.none(), lambda inner: st.dictionaries(keys, inner, max_size=2) | st.lists(inner, max_size=2)
)

components = members(
    {
        "@type": st.sampled_from([CONTENT + kind for kind in ("html", "text", "json", "imagelink")]),
        "dc:format": st.sampled_from(["text/html", "text/plain"]),
    },
    {
        "dc:language": some(st.sampled_from(["en", "fr"])),
        "xdm:content": texts,
        "xdm:deliveryURL": st.sampled_from(["", "https://a.example/b.png"]),
        "xdm:linkURL": texts,
        "xdm:copyline": st.just("an old line"),
        "repo:name": texts,
        "repo:id": st.just("urn:aaid:1"),
        "repo:resolveURL": st.just("https://assets.example/1"),
        "offerui:previewThumbnail": texts,
    },
)

representations = members(
    {"xdm:placement": reference("placement")},
    {"xdm:channel": st.sampled_from([CHANNELS + "web", CHANNELS + "social"]), "xdm:components": some(components)},
)

orders = members(
    {"xdm:orderEvaluationType": st.sampled_from(["static", "scoringFunction", "rankingStrategy"])},
    {"xdm:rankingStrategy": reference("ai-model"), "xdm:function": reference("ranking-formula")},
)

ranks = members({}, {"xdm:priority": numbers, "xdm:order": orders})

offers = {
    "xdm:description": texts,
    "xdm:representations": some(representations),
    "xdm:characteristics": st.dictionaries(keys, texts, max_size=3),
    "xdm:tags": some(reference("tag")),
    "xdm:customMetadata": st.just({"a": 1}),
}

named = {"xdm:name": texts}

profile_constraints = members(
    {"xdm:profileConstraintType": st.sampled_from(["none", "eligibilityRule", "anySegments"])},
    {"xdm:eligibilityRule": reference("decision-rule"), "xdm:segmentIdentities": some(reference("audience"))},
)

criteria = members(
    {"xdm:placements": some(reference("placement"), 1)},
    {
        "xdm:optionSelection": members(
            {},
            {
                "xdm:filter": reference("collection"),
                "xdm:optionSelectionType": st.sampled_from(["filter", "directList"]),
                "xdm:options": some(reference("personalized-offer")),
            },
        ),
        "xdm:rank": ranks,
        "xdm:profileConstraint": profile_constraints,
        "xdm:description": texts,
    },
)

conditions = members({"type": st.just("PQL")}, {"format": st.just("pql/text"), "value": texts})
definitions = st.dictionaries(
    st.sampled_from(["profile", "xEvent", "", "a/b"]),
    members(
        {},
        {
            "xdm:schema": members({"$ref": st.just("https://ns.adobe.com/xdm/context/profile")}, {"version": texts}),
            "xdm:referencePaths": some(texts),
        },
    ),
    max_size=2,
)

DOCUMENTS: dict[EntityType, st.SearchStrategy[dict[str, Json]]] = {
    EntityType.PERSONALIZED_OFFER: members(
        {
            **named,
            "xdm:status": st.sampled_from(["draft", "approved", "archived", "pending"]),
            "xdm:selectionConstraint": members(
                {"xdm:startDate": instants, "xdm:endDate": instants},
                {"xdm:eligibilityRule": reference("decision-rule")},
            ),
        },
        {
            **offers,
            "xdm:rank": ranks,
            "xdm:cappingConstraint": st.fixed_dictionaries(
                {}, optional={"xdm:globalCap": numbers, "xdm:profileCap": numbers}
            ),
        },
    ),
    EntityType.FALLBACK_OFFER: members({**named, "xdm:status": st.sampled_from(["draft", "approved"])}, offers),
    EntityType.PLACEMENT: members(
        {**named, "xdm:componentType": st.sampled_from([CONTENT + kind for kind in ("html", "text", "imagelink")])},
        {
            "xdm:description": texts,
            "xdm:channel": st.sampled_from([CHANNELS + "web", "https://ns.adobe.com/xdm/channels/web"]),
            "xdm:contentTypes": some(texts),
        },
    ),
    EntityType.DECISION_RULE: members(
        named,
        {
            "xdm:description": texts,
            "condition": conditions,
            "xdm:definedOn": definitions,
            "offerui:segmentModel": st.dictionaries(keys, data, max_size=3),
        },
    ),
    EntityType.TAG: members(named, {}),
    EntityType.COLLECTION: members(
        {**named, "xdm:filterType": st.sampled_from(["anyTags", "allTags"]), "xdm:ids": some(reference("tag"))}, {}
    )
    | members({**named, "xdm:filterType": st.just("offers"), "xdm:ids": some(reference("personalized-offer"))}, {}),
    EntityType.DECISION: members(
        named,
        {
            "xdm:description": texts,
            "xdm:status": st.sampled_from(["draft", "live", "complete", "completed", "archived"]),
            "xdm:startDate": instants,
            "xdm:endDate": instants,
            "xdm:fallback": reference("fallback-offer"),
            "xdm:criteria": some(criteria),
        },
    )
    | members(named, {"xdm:placement": reference("placement"), "xdm:filter": reference("collection")}),
}
"""Objects of each type, in the spelling that xcore is written in."""

entries = st.fixed_dictionaries(
    {
        "enabled": st.booleans(),
        "limit": st.integers(1, 3),
        "scope": st.sampled_from(["global", "profile"]),
        "entity": st.sampled_from(["offer", "offer", "placement"]),
    },
    optional={"repeat": st.fixed_dictionaries({"enabled": st.booleans()}), "startDate": instants},
)

DPS_ONLY: dict[EntityType, dict[str, st.SearchStrategy[Any]]] = {
    EntityType.PERSONALIZED_OFFER: {
        "id": texts,
        "etag": numbers,
        "labels": some(st.just("core/C1")),
        "frequencyCappingConstraints": some(entries),
    },
    EntityType.FALLBACK_OFFER: {"rank": st.just({"priority": 0}), "labels": some(texts)},
    EntityType.PLACEMENT: {
        "itemCount": numbers,
        "allowDuplicatePlacements": st.booleans(),
        "returnContent": st.booleans(),
        "returnMetaData": st.just({"offerName": True}) | st.just({"offerName": False}),
    },
    EntityType.DECISION_RULE: {"exdRule": st.booleans()},
    EntityType.TAG: {"description": texts},
    EntityType.COLLECTION: {"description": texts, "labels": some(texts)},
    EntityType.DECISION: {"id": texts},
}
"""Members that only dps has, to be put into a translation."""
