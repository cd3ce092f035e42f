"""The curl lines of Adobe's own pages, sent by curl itself.

They stand here as the pages print them, defects included: the doubled Content-Type, the two blanks after Bearer, the
PATCH on the page about creating. Replaced are the host, what stands in braces, and the readable ids that no service
hands out; everything else is the shell's and curl's to read.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from migrator.emulator import (
    Choices,
    seeded_companion,
    seeded_instance_id,
    seeded_offer_id,
    seeded_reference,
)
from migrator.emulator.entities import FALLBACK_OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Start

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")

XCORE_UPDATE = r"""
curl -X PATCH \
  'https://platform.adobe.io/data/core/xcore/e0bd8463-0913-4ca1-bd84-6309134ca1f6/instances/0f4bc230-13df-11eb-bc55-c11be7252432' \
  -H 'Accept: application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1' \
  -H 'Content-Type: Content-Type: application/vnd.adobe.platform.xcore.patch.hal+json; version=1; schema="https://ns.adobe.com/experience/offer-management/personalized-offer;version=0.5"' \
  -H 'Authorization: Bearer {ACCESS_TOKEN}' \
  -H 'x-api-key: {API_KEY}' \
  -H 'x-gw-ims-org-id: {IMS_ORG}' \
  -H 'x-sandbox-name: {SANDBOX_NAME}'\
  -d '[
        {
            "op": "add",
            "path": "/_instance/xdm:representations/-",
            "value": {
                "xdm:placement": "xcore:offer-placement:124e0be5699743d3",
                "xdm:components": [
                    {
                        "@type": "https://ns.adobe.com/experience/offer-management/content-component-text",
                        "dc:format": "text/plain",
                        "dc:language": ["en"],
                        "xdm:content": "Here is your first sale offer!"
                    }
                ]
            }
        }
    ]'
"""  # noqa: E501 - as the page has it

DPS_UPDATE = r"""
curl -X PATCH 'https://platform.adobe.io/data/core/dps/offers/personalizedOffer1234?offer-type=personalized' \
-H 'Content-Type: application/json' \
-H 'Authorization: Bearer  {ACCESS_TOKEN}' \
-H 'x-api-key: {API_KEY}' \
-H 'x-gw-ims-org-id: {IMS_ORG}' \
-H 'x-sandbox-name: {SANDBOX_NAME}' \
-d '[
    {
        "op": "replace",
        "path": "/name",
        "value": "Updated personalized offer"
    },
    {
        "op": "replace",
        "path": "/description",
        "value": "Updated personalized offer description"
    }
]'
"""

DPS_FALLBACK = r"""
curl -X PATCH 'https://platform.adobe.io/data/core/dps/offers/fallbackOffer1234?offer-type=fallback' \
-H 'Content-Type: application/json' \
-H 'Authorization: Bearer  {ACCESS_TOKEN}' \
-H 'x-api-key: {API_KEY}' \
-H 'x-gw-ims-org-id: {IMS_ORG}' \
-H 'x-sandbox-name: {SANDBOX_NAME}' \
-d '[
    {
        "op": "replace",
        "path": "/name",
        "value": "Updated fallback offer"
    },
    {
        "op": "replace",
        "path": "/description",
        "value": "Updated fallback offer description"
    }
]'
"""

XCORE_CREATE = r"""
curl -X POST \
  'https://platform.adobe.io/data/core/xcore/e0bd8463-0913-4ca1-bd84-6309134ca1f6/instances' \
  -H 'Accept: application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1' \
  -H 'Content-Type: application/schema-instance+json; version=1;  schema="https://ns.adobe.com/experience/offer-management/fallback-offer;version=0.1"' \
  -H 'Authorization: Bearer {ACCESS_TOKEN}' \
  -H 'x-api-key: {API_KEY}' \
  -H 'x-gw-ims-org-id: {IMS_ORG}' \
  -H 'x-sandbox-name: {SANDBOX_NAME}' \
  -d '{
        "xdm:status": "approved",
        "xdm:name": "Fallback for sales",
        "xdm:representations": [
            {
                "xdm:components": [
                    {
                        "dc:language": [
                            "en"
                        ],
                        "@type": "https://ns.adobe.com/experience/offer-management/content-component-html",
                        "dc:format": "text/html"
                    }
                ],
                "xdm:channel": "https://ns.adobe.com/xdm/channel-types/web",
                "xdm:placement": "xcore:offer-placement:124e0be5699743d3"
            }
        ]
}'
"""  # noqa: E501 - as the page has it

XCORE_RECEIPT = {
    "instanceId",
    "@id",
    "repo:etag",
    "repo:createdDate",
    "repo:lastModifiedDate",
    "repo:createdBy",
    "repo:lastModifiedBy",
    "repo:createdByClientId",
    "repo:lastModifiedByClientId",
}
DPS_RECEIPT = {
    "etag",
    "createdBy",
    "lastModifiedBy",
    "id",
    "sandboxId",
    "createdDate",
    "lastModifiedDate",
    "createdByClientId",
    "lastModifiedByClientId",
}


class Seen(NamedTuple):
    """What curl printed."""

    status: int
    body: Any


Curl = Callable[["Client", str], Any]


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    """Runs a line of a page against an emulator. What curl is to print beside the answer stands in its own file."""
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nmax-time = 20\nwrite-out = "\\n%{http_code}"\n')
    environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(tmp_path), "NO_PROXY": "*"}

    async def run(client: Client, line: str) -> Seen:
        for printed, real in {
            "https://platform.adobe.io": client.server.url,
            "{ACCESS_TOKEN}": "a-token-of-the-tests",
            "{API_KEY}": "the-client",
            "{IMS_ORG}": "org@AdobeOrg",
            "{SANDBOX_NAME}": "dev",
            "personalizedOffer1234": seeded_offer_id(0),
            "fallbackOffer1234": seeded_companion("dps", FALLBACK_OFFER),
        }.items():
            line = line.replace(printed, real)
        piped = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_shell(line, env=environment, stdout=piped, stderr=piped)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        body, _, status = out.decode().rpartition("\n")
        return Seen(int(status), json.loads(body))

    return run


async def test_the_update_page_of_xcore_in_french_and_english(client: Client, curl: Curl) -> None:
    seen = await curl(client, XCORE_UPDATE)
    assert seen.status == 200
    assert seen.body.keys() == XCORE_RECEIPT
    assert seen.body["instanceId"] == seeded_instance_id(0) == "0f4bc230-13df-11eb-bc55-c11be7252432"
    assert seen.body["@id"] == seeded_reference(0) == "xcore:personalized-offer:124e181c8b0d7878"
    assert seen.body["repo:createdDate"] == "2020-10-21T20:50:32.019000Z"
    assert seen.body["repo:etag"] == 2, "the page shows the sample of a create; an update raises it"
    read = await client.xcore("GET", f"/instances/{seeded_instance_id(0)}")
    content = read.body["_instance"]["xdm:representations"][2]["xdm:components"][0]["xdm:content"]
    assert content == "Here is your first sale offer!"
    assert (await client.state())["warnings"] == {"doubled Content-Type": 1}


async def test_that_page_is_refused_where_its_doubled_header_is(start: Start, curl: Curl) -> None:
    client = await start(seed_offers=1, choices=Choices(doubled_content_type="strict"))
    seen = await curl(client, XCORE_UPDATE)
    assert seen.status == seen.body["status"] == 415
    mended = await curl(client, XCORE_UPDATE.replace("Content-Type: Content-Type:", "Content-Type:"))
    assert mended.status == 200


async def test_that_page_sent_twice_would_give_a_placement_two_texts(client: Client, curl: Curl) -> None:
    first, second = await curl(client, XCORE_UPDATE), await curl(client, XCORE_UPDATE)
    assert (first.status, second.status) == (200, 422)


async def test_the_update_page_of_dps_in_korean(client: Client, curl: Curl) -> None:
    seen = await curl(client, DPS_UPDATE)
    assert (seen.status, seen.body["etag"], seen.body["id"]) == (200, 2, seeded_offer_id(0))
    assert seen.body.keys() == DPS_RECEIPT
    read = (await client.dps("GET", f"/offers/{seeded_offer_id(0)}")).body
    assert read["name"] == "Updated personalized offer"
    assert read["description"] == "Updated personalized offer description"


async def test_the_fallback_page_of_dps_in_french_which_prints_an_update(client: Client, curl: Curl) -> None:
    seen = await curl(client, DPS_FALLBACK)
    assert (seen.status, seen.body["etag"]) == (200, 2)
    assert seen.body["id"] == seeded_companion("dps", FALLBACK_OFFER)
    assert seen.body.keys() == DPS_RECEIPT
    create = DPS_FALLBACK.replace("-X PATCH", "-X POST")
    assert (await curl(client, create)).status == 405, "its format line posts to an id"
    create = create.replace("/fallbackOffer1234", "").partition("-d '")[0] + """-d '{"name": "F", "status": "draft"}'"""
    created = await curl(client, create)
    assert (created.status, created.body["etag"]) == (201, 1)
    assert created.body.keys() == DPS_RECEIPT


async def test_the_fallback_page_of_xcore_in_french(client: Client, curl: Curl) -> None:
    seen = await curl(client, XCORE_CREATE)
    assert (seen.status, seen.body["repo:etag"]) == (201, 1)
    assert seen.body.keys() == XCORE_RECEIPT
    assert seen.body["@id"].startswith("xcore:fallback-offer:")
    assert seen.body["repo:createdDate"] == seen.body["repo:lastModifiedDate"]
    read = await client.xcore("GET", f"/instances/{seen.body['instanceId']}")
    assert read.body["_instance"]["xdm:name"] == "Fallback for sales"
