"""The requests that Adobe's own pages print, answered as those pages say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Place


XCORE = "/data/core/xcore/e0bd8463-0913-4ca1-bd84-6309134ca1f6/instances"
INSTANCE = f"{XCORE}/0f4bc230-13df-11eb-bc55-c11be7252432"
DPS = "/data/core/dps/offers"
RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1"
PATCH_TYPE = (
    "application/vnd.adobe.platform.xcore.patch.hal+json; version=1; "
    'schema="https://ns.adobe.com/experience/offer-management/personalized-offer;version=0.5"'
)
CREATE_TYPE = (
    "application/schema-instance+json; version=1;  "
    'schema="https://ns.adobe.com/experience/offer-management/fallback-offer;version=0.1"'
)
SALE = {
    "xdm:placement": "xcore:offer-placement:124e0be5699743d3",
    "xdm:components": [
        {
            "@type": "https://ns.adobe.com/experience/offer-management/content-component-text",
            "dc:format": "text/plain",
            "dc:language": ["en"],
            "xdm:content": "Here is your first sale offer!",
        }
    ],
}
APPEND_SALE = [{"op": "add", "path": "/_instance/xdm:representations/-", "value": SALE}]


async def test_the_xcore_update_page_in_french_and_english(client: Client) -> None:
    answer = await client.send("PATCH", INSTANCE, APPEND_SALE, {"Accept": RECEIPT, "Content-Type": PATCH_TYPE})
    assert answer.status == 200
    assert answer.body["instanceId"] == "0f4bc230-13df-11eb-bc55-c11be7252432"
    assert answer.body["@id"] == "xcore:personalized-offer:124e181c8b0d7878"
    assert answer.body["repo:etag"] == 2
    representations = (await client.send("GET", INSTANCE)).body["_instance"]["xdm:representations"]
    assert (len(representations), representations[-1]) == (3, SALE)


async def test_the_dps_update_page_in_korean(client: Client, place: Place) -> None:
    document = {
        "name": "Before",
        "status": "draft",
        "description": "Before",
        "selectionConstraint": {"startDate": "2024-03-01T00:00:00Z", "endDate": "2024-06-01T00:00:00Z"},
        "rank": {"priority": 0},
    }
    place(client.server, word="personalized-offer", key="personalizedOffer1234", document=document)
    patch = [
        {"op": "replace", "path": "/name", "value": "Updated personalized offer"},
        {"op": "replace", "path": "/description", "value": "Updated personalized offer description"},
    ]
    headers = {"Content-Type": "application/json", "Authorization": "Bearer  a-token-of-the-tests"}
    path = f"{DPS}/personalizedOffer1234?offer-type=personalized"
    answer = await client.send("PATCH", path, patch, headers)
    assert (answer.status, answer.body["etag"], answer.body["id"]) == (200, 2, "personalizedOffer1234")
    read = (await client.send("GET", path)).body
    assert read["description"] == "Updated personalized offer description"


async def test_the_dps_fallback_create_page_by_its_prose_and_by_its_paste(client: Client, place: Place) -> None:
    headers = {"Content-Type": "application/json"}
    offer = {"name": "Fallback", "status": "draft", "description": "d"}
    created = await client.send("POST", f"{DPS}?offer-type=fallback", offer, headers)
    assert (created.status, created.body["etag"]) == (201, 1)

    named = await client.send("POST", f"{DPS}/fallbackOffer1234?offer-type=fallback", offer, headers)
    assert (named.status, named.headers["Allow"]) == (405, "GET, PATCH, DELETE")

    place(client.server, word="fallback-offer", key="fallbackOffer1234", document=offer)
    patch = [
        {"op": "replace", "path": "/name", "value": "Updated fallback offer"},
        {"op": "replace", "path": "/description", "value": "Updated fallback offer description"},
    ]
    patched = await client.send("PATCH", f"{DPS}/fallbackOffer1234?offer-type=fallback", patch, headers)
    assert (patched.status, patched.body["etag"], patched.body["id"]) == (200, 2, "fallbackOffer1234")


async def test_the_xcore_fallback_create_page(client: Client) -> None:
    offer = {
        "xdm:status": "approved",
        "xdm:name": "Fallback for sales",
        "xdm:representations": [
            {
                "xdm:components": [
                    {
                        "dc:language": ["en"],
                        "@type": "https://ns.adobe.com/experience/offer-management/content-component-html",
                        "dc:format": "text/html",
                    }
                ],
                "xdm:channel": "https://ns.adobe.com/xdm/channel-types/web",
                "xdm:placement": "xcore:offer-placement:124e0be5699743d3",
            }
        ],
    }
    answer = await client.send("POST", XCORE, offer, {"Accept": RECEIPT, "Content-Type": CREATE_TYPE})
    assert (answer.status, answer.body["repo:etag"]) == (201, 1)
    assert answer.body["@id"].startswith("xcore:fallback-offer:")
