"""One input row becomes the request that the service's documentation prints: method, path, every header, the body.

The five pages are the documentation's own examples. Two of them are defective, and two rulings apply: the doubled
`Content-Type: Content-Type: …` is sent once, and the create page that prints a PATCH with an id is read as what it says
it is, a POST without one; the patch it prints is tried as the patch it is. Replacements are on none of the five: they
are as the contract says in 3.5 and 4.1.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from migrator.core.model import Change, Row, Step
from migrator.core.plan import merge
from migrator.core.rows import RowParser
from migrator.core.styles import STYLES
from migrator.sources import open_source
from migrator.transport.credentials import ReadyToken
from migrator.transport.http import HttpTransport
from tests.wire import client_to

CONTAINER = "e0bd8463-0913-4ca1-bd84-6309134ca1f6"
INSTANCE = "0f4bc230-13df-11eb-bc55-c11be7252432"
RECEIPT = "application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1"
SCHEMAS = "https://ns.adobe.com/experience/offer-management"

TEXT = {
    "xdm:placement": "xcore:offer-placement:124e0be5699743d3",
    "xdm:components": [
        {
            "@type": f"{SCHEMAS}/content-component-text",
            "dc:format": "text/plain",
            "dc:language": ["en"],
            "xdm:content": "Here is your first sale offer!",
        }
    ],
}
FALLBACK = {
    "xdm:status": "approved",
    "xdm:name": "Fallback for sales",
    "xdm:representations": [
        {
            "xdm:components": [
                {"dc:language": ["en"], "@type": f"{SCHEMAS}/content-component-html", "dc:format": "text/html"}
            ],
            "xdm:channel": "https://ns.adobe.com/xdm/channel-types/web",
            "xdm:placement": "xcore:offer-placement:124e0be5699743d3",
        }
    ],
}


def rename(name: str, description: str) -> list[dict[str, str]]:
    return [
        {"op": "replace", "path": "/name", "value": name},
        {"op": "replace", "path": "/description", "value": description},
    ]


XCORE_PATCH = {
    "Accept": RECEIPT,
    "Content-Type": "application/vnd.adobe.platform.xcore.patch.hal+json; version=1; "
    f'schema="{SCHEMAS}/personalized-offer;version=0.5"',
}
XCORE_CREATE = {
    "Accept": RECEIPT,
    "Content-Type": "application/schema-instance+json; version=1;  "  # two blanks, as every page has them
    f'schema="{SCHEMAS}/fallback-offer;version=0.1"',
}
XCORE_REPLACE = {
    "Accept": RECEIPT,
    "Content-Type": f'application/vnd.adobe.platform.xcore.hal+json; schema="{SCHEMAS}/fallback-offer"',
}
DPS = {"Content-Type": "application/json"}

POINTER = "/_instance/xdm:representations/-"
APPEND = [{"op": "add", "path": POINTER, "value": TEXT}]
APPEND_ROW = json.dumps({"container": CONTAINER, "id": INSTANCE, "patch": APPEND})
APPEND_CELLS = [CONTAINER, "personalized-offer", INSTANCE, "add", POINTER, json.dumps(TEXT)]


class Page(NamedTuple):
    """One documented request, and the input row that has to become it."""

    style: str
    row: str | list[str]
    method: str
    target: str
    media_types: dict[str, str]
    body: object


OFFER_PATCH = rename("Updated personalized offer", "Updated personalized offer description")
FALLBACK_PATCH = rename("Updated fallback offer", "Updated fallback offer description")
INSTANCES = f"/data/core/xcore/{CONTAINER}/instances"
DRAFT = {"name": "Fallback", "status": "draft"}

PAGES = {
    "xcore update personalized offer (fr)": Page(
        "xcore", APPEND_ROW, "PATCH", f"{INSTANCES}/{INSTANCE}", XCORE_PATCH, APPEND
    ),
    "xcore update personalized offer (en), as a CSV row": Page(
        "xcore", APPEND_CELLS, "PATCH", f"{INSTANCES}/{INSTANCE}", XCORE_PATCH, APPEND
    ),
    "xcore replace (contract 3.5)": Page(
        "xcore",
        json.dumps({"container": CONTAINER, "type": "fallback-offer", "id": INSTANCE, "replace": FALLBACK}),
        "PUT",
        f"{INSTANCES}/{INSTANCE}",
        XCORE_REPLACE,
        {"_instance": FALLBACK, "_links": {}},
    ),
    "dps replace decision rule (contract 4.1)": Page(
        "dps",
        json.dumps({"type": "decision-rule", "id": "offerRule1234", "replace": {"name": "Rule"}}),
        "PUT",
        "/data/core/dps/offer-rules/offerRule1234",
        DPS,
        {"name": "Rule"},
    ),
    "dps update personalized offer (ko)": Page(
        "dps",
        json.dumps({"id": "personalizedOffer1234", "patch": OFFER_PATCH}),
        "PATCH",
        "/data/core/dps/offers/personalizedOffer1234?offer-type=personalized",
        DPS,
        OFFER_PATCH,
    ),
    "dps create fallback offer (fr): the create it describes": Page(
        "dps",
        json.dumps({"type": "fallback-offer", "create": DRAFT}),
        "POST",
        "/data/core/dps/offers?offer-type=fallback",
        DPS,
        DRAFT,
    ),
    "dps create fallback offer (fr): the patch it prints": Page(
        "dps",
        json.dumps({"type": "fallback-offer", "id": "fallbackOffer1234", "patch": FALLBACK_PATCH}),
        "PATCH",
        "/data/core/dps/offers/fallbackOffer1234?offer-type=fallback",
        DPS,
        FALLBACK_PATCH,
    ),
    "xcore create fallback offer (fr)": Page(
        "xcore",
        json.dumps({"container": CONTAINER, "type": "fallback-offer", "create": FALLBACK}),
        "POST",
        INSTANCES,
        XCORE_CREATE,
        FALLBACK,
    ),
}

CREDENTIALS = {
    "Authorization": "Bearer {ACCESS_TOKEN}",
    "x-api-key": "{API_KEY}",
    "x-gw-ims-org-id": "{IMS_ORG}",
    "x-sandbox-name": "sandbox-name",
}
OF_HTTP = {"Host", "User-Agent", "Content-Length"}


def planned(path: Path, row: str | list[str], style: str) -> Step:
    """Take one row through reading, parsing and merging."""
    if isinstance(row, str):
        path = path / "row.jsonl"
        path.write_text(row)
    else:
        path = path / "row.csv"
        cells = ",".join('"' + cell.replace('"', '""') + '"' for cell in row)
        path.write_text("container,type,id,op,path,value\n" + cells)
    with open_source(path) as source:
        (found,) = source
        header = source.shape.header
    assert isinstance(found, Row)
    change = RowParser(header, STYLES[style], "sandbox-name").parse(found)
    assert isinstance(change, Change)
    step = merge(style, [change])
    assert isinstance(step, Step)
    return step


async def arrived(step: Step, style: str) -> tuple[str, str, dict[str, str], bytes]:
    """Send a step and return what arrives at a server: method, target, headers, body."""
    received: list[tuple[str, str, dict[str, str], bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        headers = {name.decode(): value.decode() for name, value in request.raw_headers}
        received.append((request.method, request.raw_path, headers, await request.read()))
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with client_to(url, timeout_s=10, connect_timeout_s=10) as client:
            transport = HttpTransport(client, ReadyToken("{API_KEY}", "{ACCESS_TOKEN}"), "{IMS_ORG}")
            await transport.send(STYLES[style].render(step, sandbox="sandbox-name", request_id=str(uuid.uuid4())))
    (request,) = received
    return request


@pytest.mark.usefixtures("no_proxies", "client")
@pytest.mark.parametrize("page", PAGES)
async def test_a_row_becomes_the_documented_request(page: str, tmp_path: Path) -> None:
    style, row, method, target, media_types, body = PAGES[page]

    step = planned(tmp_path, row, style)
    sent_method, sent_target, headers, sent_body = await arrived(step, style)

    request_id = headers.pop("x-request-id")
    assert uuid.UUID(request_id).version == 4
    assert (sent_method, sent_target) == (method, target)
    assert {name: value for name, value in headers.items() if name not in OF_HTTP} == {**CREDENTIALS, **media_types}
    assert json.loads(sent_body) == body
    assert headers["Content-Length"] == str(len(sent_body))


@pytest.mark.parametrize(
    ("style", "object_", "target"),
    [
        ("dps", "dps:tag:1a4c", "/data/core/dps/offers/dps%3Atag%3A1a4c?offer-type=personalized"),
        ("dps", "a/b?c#d e%é", "/data/core/dps/offers/a%2Fb%3Fc%23d%20e%25%C3%A9?offer-type=personalized"),
        ("xcore", "../x", f"{INSTANCES}/..%2Fx"),
    ],
)
async def test_an_id_is_one_segment_whatever_is_in_it(style: str, object_: str, target: str, tmp_path: Path) -> None:
    patch = [{"op": "replace", "path": "/_instance/a" if style == "xcore" else "/a", "value": 1}]
    row: dict[str, Any] = {"container": CONTAINER, "id": object_, "patch": patch}

    _, sent_target, _, _ = await arrived(planned(tmp_path, json.dumps(row), style), style)

    assert sent_target == target


async def test_each_request_has_a_request_id_of_its_own(tmp_path: Path) -> None:
    step = planned(tmp_path, APPEND_ROW, "xcore")

    ids = {(await arrived(step, "xcore"))[2]["x-request-id"] for _ in range(3)}

    assert len(ids) == 3
