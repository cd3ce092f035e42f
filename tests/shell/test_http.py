"""The HTTP transport against real sockets on loopback: what leaves, what comes back, and through which proxy."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from yarl import URL

from migrator.core.model import EntityType, Kind, Response, Step
from migrator.core.styles import STYLES
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from tests.wire import (
    PATCH,
    TOKEN,
    Received,
    Server,
    answer_of,
    answers,
    request,
    says,
    sent_to,
    stalls,
    transport_to,
)

pytestmark = pytest.mark.usefixtures("no_proxies", "client")


# --- what leaves -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PATCH", "POST", "PUT", "DELETE", "GET"])
async def test_exactly_the_headers_of_the_style_and_the_identity_leave(method: str) -> None:
    written = {"x-sandbox-name": "dev", "x-request-id": "r-1"}
    body = PATCH if method in ("PATCH", "POST", "PUT") else None
    async with Server(answers()) as server:
        await sent_to(server.url, request(method, headers=written, body=body))

    (received,) = server.requests
    length = {"Content-Length": str(len(body or b""))} if method != "GET" else {}
    assert received.headers == {
        **written,
        **length,
        "Host": URL(server.url).authority,
        "User-Agent": "tests/1",
        "Authorization": f"Bearer {TOKEN}",
        "x-api-key": "the-key",
        "x-gw-ims-org-id": "org@AdobeOrg",
    }
    assert (received.method, received.body) == (method, body or b"")


@pytest.mark.parametrize(
    "target",
    [
        "/data/core/dps/offers/dps%3Aoffer%3A1",
        "/a%2Fb%3Fc%23d%20e%25f",
        "/a//b/./c/../d",
        "/%C3%BC%e2%82%AC",
        "/q?schema=https%3A%2F%2Fns.adobe.com%2Fx%3Bversion%3D0.5&limit=1&x=a+b%2Bc",
        "/q?property=name==a%2Cb",
    ],
)
async def test_the_target_goes_on_the_wire_byte_for_byte(target: str) -> None:
    async with Server(answers()) as server:
        await sent_to(server.url + "/", request(target=target))

    assert server.requests[0].target == target


@pytest.mark.parametrize("style", ["xcore", "dps"])
@pytest.mark.parametrize(
    ("object_id", "spelled"),
    [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("a b", "a%20b"), ("dps:o:ü", "dps%3Ao%3A%C3%BC"), ("50%", "50%25")],
)
async def test_an_id_of_any_characters_is_one_segment_of_the_path(style: str, object_id: str, spelled: str) -> None:
    step = Step(1, "k", "dev", EntityType.PERSONALIZED_OFFER, object_id, Kind.PATCH, PATCH)
    async with Server(answers()) as server:
        await sent_to(server.url, STYLES[style].render(step, sandbox="dev", request_id="r"))

    assert server.requests[0].target.partition("?")[0].endswith(f"/{spelled}")


async def test_the_emulator_takes_what_leaves() -> None:
    step = Step(1, "k", "dev", EntityType.PERSONALIZED_OFFER, seeded_offer_id(0), Kind.PATCH, PATCH)
    async with Emulator(EmulatorSettings(seed_offers=1, access_token=TOKEN)) as server:
        (answer,) = await sent_to(server.url, STYLES["dps"].render(step, sandbox="dev", request_id="r"))

    assert isinstance(answer, Response)
    assert (answer.status, len(server.effects)) == (200, 1)


# --- what comes back -------------------------------------------------------------------------------------------------


async def test_an_answer_is_its_status_the_headers_that_are_read_and_its_body() -> None:
    answer = await answer_of(answers("429 Slow down", b'{"a":1}', "Retry-After: 7", "X-Request-Id: r", "X-Other: o"))

    assert answer == Response(429, {"retry-after": "7"}, b'{"a":1}')


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with Server(answers("307 Elsewhere", b"", "Location: /other")) as server:
        (answer,) = await sent_to(server.url)

    assert answer == Response(307, {"location": "/other"}, b"")
    assert len(server.requests) == 1


async def test_a_compressed_answer_that_nobody_asked_for_is_read() -> None:
    body = gzip.compress(b'{"id":"x","etag":2}')

    answer = await answer_of(answers("200 OK", body, "Content-Encoding: gzip"))

    assert answer == Response(200, {}, b'{"id":"x","etag":2}')


async def test_an_error_page_that_prints_the_request_does_not_show_the_token() -> None:
    async def prints(received: Received, writer: asyncio.StreamWriter) -> None:
        await answers("403 No", received.headers["Authorization"].encode())(received, writer)

    assert await answer_of(prints) == Response(403, {}, b"Bearer ***")


async def test_cookies_are_not_kept() -> None:
    async with Server(answers("200 OK", b"", "Set-Cookie: a=b")) as server:
        await sent_to(server.url, request(), request())

    assert "Cookie" not in server.requests[1].headers


async def test_a_header_that_is_no_text_can_still_be_written_to_a_file() -> None:
    answer = await answer_of(says(b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: /caf\xe9\r\n\r\n"))

    assert answer == Response(302, {"location": "/caf?"}, b"")


async def test_connections_are_kept_alive() -> None:
    async with Server(answers()) as server:
        await sent_to(server.url, *[request()] * 5)

    assert (len(server.requests), server.connections) == (5, 1)


# --- one session -----------------------------------------------------------------------------------------------------


async def test_a_request_that_is_cancelled_leaves_the_session_usable() -> None:
    async with Server(stalls, answers()) as server, transport_to(server.url) as transport:
        sending = asyncio.create_task(transport.send(request()))
        while not server.requests:  # noqa: ASYNC110 (it is the socket that is waited for)
            await asyncio.sleep(0.001)
        sending.cancel()
        await asyncio.wait([sending])

        assert sending.cancelled()
        assert await transport.send(request()) == Response(200, {}, b"")
        assert server.connections == 2
