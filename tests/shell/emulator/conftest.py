"""An emulator on a free port, and a plain aiohttp client that knows the headers of both styles."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Protocol

import pytest
from aiohttp import ClientSession

from migrator.emulator import Emulator, EmulatorSettings, Record, seeded_container

TOKEN = "a-token-of-the-tests"
NAMESPACE = "https://ns.adobe.com/experience/offer-management/"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "x-api-key": "the-client",
    "x-gw-ims-org-id": "org@AdobeOrg",
    "x-sandbox-name": "dev",
}


class Clock:
    """Stands still, and moves on when told or by a fixed step at each reading."""

    def __init__(self, step_us: int = 0) -> None:
        self.now_us = 1_800_000_000_123_456
        self.step_us = step_us

    def __call__(self) -> int:
        self.now_us += self.step_us
        return self.now_us * 1000


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


class Client:
    """Sends requests to one emulator."""

    def __init__(self, server: Emulator, session: ClientSession) -> None:
        self.server = server
        self.session = session

    async def send(self, method: str, path: str, body: Any = None, headers: Any = None, **more: Any) -> Answer:
        """Send one request; headers of value None are left out."""
        merged = {name: value for name, value in (HEADERS | (headers or {})).items() if value is not None}
        if body is not None and not isinstance(body, (str, io.BytesIO)):
            body = json.dumps(body)
        url = path if path.startswith("http") else f"{self.server.url}{path}"
        async with self.session.request(method, url, data=body, headers=merged, **more) as response:
            text = await response.text()
            is_json = "json" in response.content_type and response.content_type != "application/x-ndjson" and text
            return Answer(response.status, json.loads(text) if is_json else text, response.headers)

    async def xcore(
        self, method: str, path: str, body: Any = None, word: str = "personalized-offer", headers: Any = None
    ) -> Answer:
        """Send a request to container 0, with the media type that its method needs."""
        schema = f'schema="{NAMESPACE}{word};version=0.5"'
        types = {
            "POST": f"application/schema-instance+json; version=1;  {schema}",
            "PATCH": f"application/vnd.adobe.platform.xcore.patch.hal+json; version=1; {schema}",
        }
        content = {"Content-Type": types[method]} if method in types else {}
        url = f"/data/core/xcore/{seeded_container(0)}{path}"
        return await self.send(method, url, body, content | (headers or {}))

    async def dps(
        self, method: str, path: str, body: Any = None, kind: str = "personalized", headers: Any = None
    ) -> Answer:
        """Send a request about offers."""
        joint = "&" if "?" in path else "?"
        content = {"Content-Type": "application/json"} if body is not None else {}
        url = f"/data/core/dps{path}{joint}offer-type={kind}"
        return await self.send(method, url, body, content | (headers or {}))

    async def state(self) -> Any:
        return (await self.send("GET", "/_emulator/state")).body

    async def lines(self, path: str) -> list[Any]:
        answer = await self.send("GET", path)
        return [json.loads(line) for line in answer.body.splitlines()]


class Start(Protocol):
    """Starts an emulator and a client for it."""

    async def __call__(self, middlewares: Any = (), clock: Clock | None = None, **settings: Any) -> Client: ...


class Place(Protocol):
    """Puts an object into a server's store."""

    def __call__(self, server: Emulator, *, word: str, key: str, document: dict[str, Any]) -> None: ...


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start emulators with given settings; they and their clients end with the test."""
    async with AsyncExitStack() as stack:

        async def start_one(middlewares: Any = (), clock: Clock | None = None, **settings: Any) -> Client:
            chosen = EmulatorSettings(**({"access_token": TOKEN} | settings))
            server = await stack.enter_async_context(Emulator(chosen, middlewares, clock or time.time_ns))
            session = await stack.enter_async_context(ClientSession())
            return Client(server, session)

        yield start_one


@pytest.fixture
async def client(start: Start) -> Client:
    """A client of an emulator with three seeded offers."""
    return await start(seed_offers=3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ticking() -> Clock:
    """A clock that is a millisecond later at each reading."""
    return Clock(step_us=1000)


@pytest.fixture
def place() -> Place:
    """Put an object of a chosen id into the store, past the API."""

    def place_one(server: Emulator, *, word: str, key: str, document: dict[str, Any]) -> None:
        record = Record(
            style="dps",
            scope="dev",
            word=word,
            key=key,
            reference=key,
            name=document["name"],
            document=json.dumps(document).encode(),
            created_us=1_600_000_000_000_000,
            modified_us=1_600_000_000_000_000,
            created_by="test",
            modified_by="test",
        )
        server.store.put(record)

    return place_one
