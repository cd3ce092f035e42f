"""Every fault, seen from both ends: what the client gets, and what the server did."""

from __future__ import annotations

import asyncio
import errno
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import (
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
)

from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    seeded_container,
)
from migrator.emulator.codes import GATEWAY_CODES
from migrator.emulator.faults import KINDS
from tests.shell.emulator.common import FIRST, INSTANCE, OFFER, XCORE_OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Clock, Start
from tests.shell.emulator.faults import HEADERS, NOTHING, OURS, RENAME, did, rename, seen

# The gateway

BEFORE = ("500-before", "502-before", "503-before", "504-before")
AFTER = ("500-after", "502-after", "503-after", "504-after")


async def test_expire_token(start: Start) -> None:
    client = await start(seed_offers=1, faults=("expire-token:every=2",), access_token=None)
    form = {"client_id": "me", "client_secret": "mine", "grant_type": "client_credentials"}

    async def fresh() -> dict[str, str]:
        async with client.session.post(f"{client.server.url}/ims/token/v3", data=form) as response:
            return {"Authorization": f"Bearer {(await response.json())['access_token']}"}

    first, other = await fresh(), await fresh()
    assert (await rename(client, first)).status == 200
    expired = await rename(client, first)
    assert (expired.status, expired.body["error_code"]) == (401, "401013")
    assert (await rename(client, first)).status == 401  # it stays expired
    assert (await rename(client, await fresh())).status == 401  # the 4th: the new one as well
    assert (await rename(client, other)).status == 200  # but only the token that was used
    assert did(client) == [("PATCH", "the-client", 2), ("PATCH", "the-client", 3)]


async def test_a_token_of_the_settings_expires_too_and_is_back_after_a_reset(start: Start) -> None:
    client = await start(faults=("expire-token:n=1",))
    assert [(await client.dps("GET", "/offers")).status for _ in range(2)] == [401, 401]
    client.server.reset()
    client.server.faults.clear()
    assert (await client.dps("GET", "/offers")).status == 200


@pytest.mark.parametrize(
    ("keys", "value"),
    [("", "1"), (":retry-after=38", "38"), (":retry-after=empty", ""), (":retry-after=garbage", "soon")],
)
async def test_429_with_a_retry_after(start: Start, keys: str, value: str) -> None:
    client = await start(seed_offers=1, faults=(f"429:PATCH{keys}",))
    answer = await rename(client)
    assert (answer.status, answer.body) == (429, {"error_code": "429050", "message": "Too many requests"})
    assert answer.headers["Retry-After"] == value
    assert did(client) == NOTHING
    state = await client.state()
    assert state["rejected_by_rate_limit"] == 1
    assert state["violations"] == {"api_keys": {}, "containers": {}}  # the client kept to the limit


async def test_429_with_a_date(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, faults=("429:GET:retry-after=date:seconds=38",))
    answer = await client.dps("GET", "/offers")
    # the clock stands at …800,000,000.123456 s; 38 s later, rounded up to a whole second
    assert parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() == 1_800_000_039
    assert answer.headers["Retry-After"].endswith(" GMT")


async def test_429_without_a_retry_after_and_with_other_bodies(start: Start) -> None:
    client = await start(faults=("429:GET:retry-after=none:code=429002",))
    answer = await client.dps("GET", "/offers")
    assert (answer.status, answer.body["message"]) == (429, "Developer key usage limit reached")
    assert "Retry-After" not in answer.headers
    client = await start(faults=("429:GET:body=problem:retry-after=2",))
    answer = await client.dps("GET", "/offers")
    assert (answer.status, answer.headers["Content-Type"]) == (429, "application/problem+json")
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("503000", 503, "Could not validate Api Key"),
        ("503020", 403, "Could not read the profile"),
        ("403027", 403, None),
    ],
)
async def test_gateway(start: Start, code: str, status: int, message: str | None) -> None:
    client = await start(seed_offers=1, faults=(f"gateway:PATCH:code={code}",))
    answer = await rename(client)
    assert (answer.status, answer.body["error_code"]) == (status, code)
    assert message in (None, answer.body["message"])
    assert did(client) == NOTHING


async def test_the_gateways_misspelt_code_has_no_body(start: Start) -> None:
    client = await start(seed_offers=1, faults=("gateway:PATCH:code=503071",))
    answer = await rename(client)
    assert (answer.status, answer.body) == (503, "")


async def test_forbidden(start: Start) -> None:
    client = await start(seed_offers=1, faults=("forbidden:*:after=1",))
    assert [(await rename(client)).status for _ in range(3)] == [200, 403, 403]
    refused = await rename(client)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "error_code" not in refused.body
    assert did(client) == OURS


@pytest.mark.parametrize("status", [404, 410])
async def test_gone(start: Start, status: int) -> None:
    client = await start(seed_offers=1, faults=(f"gone:*:status={status}",))
    answer = await client.xcore("GET", INSTANCE)
    assert answer.status == status
    assert seeded_container(0) in answer.body["detail"]
    assert (await rename(client)).status == 200  # dps is still there


# Before the effect


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_drop_before(start: Start, how: str) -> None:
    client = await start(seed_offers=1, faults=(f"drop-before:PATCH:n=1:how={how}",))
    with pytest.raises(ServerDisconnectedError if how == "close" else ClientOSError) as lost:
        await rename(client)
    assert getattr(lost.value, "errno", None) == (errno.ECONNRESET if how == "reset" else None)
    assert (did(client), seen(client)) == (NOTHING, [(None, ("drop-before",))])
    assert (await client.state())["requests"] == {"PATCH": {"no answer": 1}}
    assert (await rename(client)).status == 200
    assert did(client) == OURS


@pytest.mark.parametrize(("kind", "effects"), [("stall-before", NOTHING), ("stall-after", OURS)])
async def test_a_stall_outlasts_the_clients_patience(
    start: Start, kind: str, effects: list[tuple[str, str, int | None]]
) -> None:
    client = await start(seed_offers=1, faults=(f"{kind}:PATCH",))
    url = f"{client.server.url}/data/core/dps{FIRST}?offer-type=personalized"
    with pytest.raises(TimeoutError):
        await client.session.patch(url, json=RENAME, headers=HEADERS, timeout=ClientTimeout(total=0.1))
    assert did(client) == effects
    assert KINDS[kind].parameters[0].default == "60"


@pytest.mark.parametrize(("kind", "effects"), [("stall-before", NOTHING), ("stall-after", OURS)])
async def test_a_stall_ends_in_silence_or_in_a_504(
    start: Start, kind: str, effects: list[tuple[str, str, int | None]]
) -> None:
    client = await start(seed_offers=1, faults=(f"{kind}:PATCH:seconds=0.05",))
    began = time.monotonic()
    with pytest.raises(ServerDisconnectedError):
        await rename(client)
    assert time.monotonic() - began >= 0.05
    assert did(client) == effects
    client = await start(seed_offers=1, faults=(f"{kind}:PATCH:seconds=0:then=504",))
    answer = await rename(client)
    assert (answer.status, answer.headers["Content-Type"]) == (504, "text/html; charset=utf-8")
    assert did(client) == effects


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_a_server_error_on_either_side_of_the_effect(start: Start, kind: str) -> None:
    client = await start(seed_offers=1, faults=(f"{kind}:PATCH",))
    answer = await rename(client)
    status = int(kind[:3])
    assert answer.status == status
    assert answer.headers["X-Request-Id"]
    if status == 500:
        assert answer.headers["Content-Type"] == "application/problem+json"
    else:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.body.startswith("<html>")
    assert did(client) == (OURS if kind in AFTER else NOTHING)
    assert seen(client) == [(status, (kind,))]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("gateway", "application/json", {"error_code": "503999", "message": "Service Unavailable"}),
        ("error-message", "application/json", {"errorMessage": "Service Unavailable"}),
        ("empty", None, ""),
    ],
)
async def test_a_server_error_in_other_shapes(
    start: Start, body: str, content_type: str | None, expected: object
) -> None:
    client = await start(seed_offers=1, faults=(f"503-after:PATCH:body={body}:retry-after=7",))
    answer = await rename(client)
    assert (answer.status, answer.headers["Retry-After"], answer.body) == (503, "7", expected)
    assert answer.headers.get("Content-Type") in (content_type, "application/octet-stream")
    assert did(client) == OURS


def test_the_gateway_has_no_such_code_which_would_deny_the_effect() -> None:
    assert not [code for code in GATEWAY_CODES if code.endswith("999")]


@pytest.mark.parametrize(
    ("kind", "inside", "effects"), [("error-inside-before", 422, NOTHING), ("error-inside-after", 500, OURS)]
)
async def test_an_error_inside_a_200(
    start: Start, kind: str, inside: int, effects: list[tuple[str, str, int | None]]
) -> None:
    client = await start(seed_offers=1, faults=(f"{kind}:PATCH",))
    answer = await rename(client)
    assert (answer.status, answer.body["status"]) == (200, inside)
    assert did(client) == effects


async def test_referenced(start: Start) -> None:
    client = await start(seed_offers=1, faults=("referenced:DELETE:n=1",))
    assert (await client.dps("DELETE", FIRST)).status == 409
    assert did(client) == NOTHING
    assert (await client.dps("DELETE", FIRST)).status == 200
    assert did(client) == [("DELETE", "the-client", None)]


# Later


async def until_landed(client: Client) -> None:
    async with asyncio.timeout(10):
        while (await client.state())["late"]["waiting"]:
            pass


@pytest.mark.parametrize("then", ["drop", "504"])
async def test_late(start: Start, then: str) -> None:
    client = await start(seed_offers=1, faults=(f"late:PATCH:n=1:seconds=0.05:then={then}",))
    if then == "drop":
        with pytest.raises(ServerDisconnectedError):
            await rename(client, {"x-request-id": "late-one"})
    else:
        assert (await rename(client, {"x-request-id": "late-one"})).status == 504
    assert did(client) == NOTHING
    assert (await client.dps("GET", FIRST)).body["etag"] == 1
    assert (await client.state())["late"] == {"waiting": 1}
    await until_landed(client)
    assert did(client) == OURS
    assert (client.server.effects[0].request_id, client.server.effects[0].request) == ("late-one", 1)
    assert (await client.dps("GET", FIRST)).body["name"] == "B"
    assert (await client.state())["late"] == {"waiting": 0, "landed": 1}


async def test_a_late_create_comes_beside_the_one_sent_again(start: Start) -> None:
    client = await start(faults=("late:POST:n=1:seconds=0.05",))
    with pytest.raises(ServerDisconnectedError):
        await client.dps("POST", "/offers", OFFER, headers={"x-request-id": "r"})
    assert (await client.dps("POST", "/offers", OFFER, headers={"x-request-id": "r"})).status == 201
    await until_landed(client)
    assert (await client.dps("GET", "/offers")).body["total"] == 2
    assert (await client.send("GET", "/_emulator/repeats")).body == {"r": 2}


async def test_what_comes_too_late_is_refused_as_it_would_have_been(start: Start) -> None:
    client = await start(seed_offers=1, faults=("late:PATCH:seconds=0.05",))
    with pytest.raises(ServerDisconnectedError):
        await rename(client)
    await client.dps("DELETE", FIRST)
    await until_landed(client)
    assert (await client.state())["late"] == {"waiting": 0, "refused": 1}
    assert did(client) == [("DELETE", "the-client", None)]


async def test_a_reset_forgets_what_is_still_to_come(start: Start) -> None:
    client = await start(seed_offers=1, faults=("late:PATCH:seconds=0.05",))
    with pytest.raises(ServerDisconnectedError):
        await rename(client)
    client.server.reset()
    await asyncio.sleep(0.1)
    assert did(client) == NOTHING


async def test_a_server_that_stops_forgets_what_is_still_to_come() -> None:
    server = Emulator(EmulatorSettings(access_token="a-token-of-the-tests", seed_offers=1, faults=("late:PATCH",)))
    async with server, ClientSession(server.url, headers=HEADERS) as session:
        with pytest.raises(ServerDisconnectedError):
            await session.patch(f"/data/core/dps{FIRST}?offer-type=personalized", json=RENAME)
        assert len(server.late) == 1
    assert len(server.late) == 0
    assert server.effects == []


# After the effect


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_drop_after(start: Start, how: str, method: str) -> None:
    client = await start(seed_offers=1, faults=(f"drop-after:{method}:n=1:how={how}",))
    path, body = ("/offers", OFFER) if method == "POST" else (FIRST, RENAME)
    with pytest.raises(ServerDisconnectedError if how == "close" else ClientOSError) as lost:
        await client.dps(method, path, body)
    assert getattr(lost.value, "errno", None) == (errno.ECONNRESET if how == "reset" else None)
    assert did(client) == [(method, "the-client", 1 if method == "POST" else 2)]
    assert seen(client) == [(None, ("drop-after",))]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_slow(start: Start, when: str) -> None:
    client = await start(seed_offers=1, faults=(f"slow:PATCH:seconds=0.2:when={when}",))
    began = time.monotonic()
    sending = asyncio.create_task(rename(client))
    while not (await client.state())["in_flight"]:
        assert not sending.done()
    assert did(client) == (OURS if when == "after" else NOTHING)
    assert (await sending).status == 200
    assert time.monotonic() - began >= 0.2
    assert did(client) == OURS


async def test_a_slow_effect_comes_although_the_client_has_given_up(start: Start) -> None:
    client = await start(seed_offers=1, faults=("slow:PATCH:seconds=0.1:when=before",))
    url = f"{client.server.url}/data/core/dps{FIRST}?offer-type=personalized"
    with pytest.raises(TimeoutError):
        await client.session.patch(url, json=RENAME, headers=HEADERS, timeout=ClientTimeout(total=0.02))
    assert did(client) == NOTHING
    async with asyncio.timeout(10):
        while (await client.state())["in_flight"]:
            pass
    assert did(client) == OURS


async def read_to_the_end(response: ClientResponse, into: bytearray) -> None:
    while chunk := await response.content.readany():
        into += chunk


@pytest.mark.parametrize("keep", [0, 0.5, 1])
async def test_cut_body(start: Start, keep: float) -> None:
    client = await start(seed_offers=1, faults=(f"cut-body:PATCH,DELETE:keep={keep}",))
    url = f"{client.server.url}/data/core/dps{FIRST}?offer-type=personalized"
    read = bytearray()
    async with client.session.patch(url, json=RENAME, headers=HEADERS) as response:
        with pytest.raises(ClientPayloadError):
            await read_to_the_end(response, read)
    promised = int(response.headers["Content-Length"])
    assert response.status == 200
    assert len(read) == {0: 1, 0.5: round(promised / 2), 1: promised - 1}[keep]
    assert read.startswith(b"{")
    assert did(client) == OURS
    with pytest.raises(ClientPayloadError):  # an empty body breaks off as well
        await client.dps("DELETE", FIRST)
    assert did(client)[1:] == [("DELETE", "the-client", None)]


@pytest.mark.parametrize(
    ("rule", "content_type", "begins"),
    [
        ("empty-body:PATCH", None, ""),
        ("html:PATCH", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("wrong-type:PATCH", "text/plain", '{"etag":2,'),
        ("wrong-type:PATCH:type=application/xml", "application/xml", '{"etag":2,'),
    ],
)
async def test_an_answer_that_is_not_what_it_should_be(
    start: Start, rule: str, content_type: str | None, begins: str
) -> None:
    client = await start(seed_offers=1, faults=(rule,))
    answer = await rename(client)
    assert (answer.status, answer.headers.get("Content-Type")) == (200, content_type)
    assert answer.body.startswith(begins)
    assert bool(answer.body) == bool(begins)
    assert did(client) == OURS


async def test_no_id(start: Start) -> None:
    client = await start(faults=("no-id:POST",))
    dps = await client.dps("POST", "/offers", OFFER)
    xcore = await client.xcore("POST", "/instances", XCORE_OFFER)
    assert (dps.status, dps.body["etag"], "id" in dps.body) == (201, 1, False)
    assert (xcore.status, xcore.body["repo:etag"]) == (201, 1)
    assert not {"instanceId", "@id"} & xcore.body.keys()
    assert len(did(client)) == 2


# The token endpoint


async def test_the_token_endpoint_can_misbehave_when_a_rule_names_it(start: Start) -> None:
    client = await start(faults=("503-before:*:style=ims:n=1", "drop-after:*:style=ims:n=2"))
    form = {"client_id": "me", "client_secret": "mine", "grant_type": "client_credentials"}
    url = f"{client.server.url}/ims/token/v3"
    async with client.session.post(url, data=form) as response:
        assert response.status == 503
    with pytest.raises(ClientError):
        async with client.session.post(url, data=form):
            pass
    async with client.session.post(url, data=form) as response:
        assert response.status == 200
    assert (await client.dps("GET", "/offers")).status == 200
    assert [(one.style, one.status, one.faults) for one in client.server.requests] == [
        ("ims", 503, ("503-before",)),
        ("ims", None, ("drop-after",)),
        ("ims", 200, ()),
        ("dps", 200, ()),
    ]
    assert client.server.counters.tokens_issued == 2


def test_every_kind_is_tested_here_or_beside() -> None:
    """A new kind of fault has to come with its test."""
    files = Path(__file__).parent.glob("test_faults*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [name for name in KINDS if f'"{name}' not in text and f"{name}:" not in text] == []
