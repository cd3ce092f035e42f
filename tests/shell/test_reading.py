"""What the styles ask for, asked of the emulator: what they read is what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from migrator.core.base import examine
from migrator.core.edit import edits_body
from migrator.core.model import Base, EntityType, Json, Kind, Operation, Page, Request, Response, Seen, Step
from migrator.core.plan import name_in
from migrator.core.pointers import value_at
from migrator.core.styles import STYLES, Query
from migrator.core.styles.base import Style
from migrator.emulator import Emulator, EmulatorSettings, seeded_container, seeded_instance_id, seeded_offer_id
from migrator.engine.surveying import resting_on
from migrator.transport.credentials import ReadyToken
from migrator.transport.http import HttpTransport
from migrator.transport.session import SessionClient, open_session

OFFER, TAG = EntityType.PERSONALIZED_OFFER, EntityType.TAG
BOTH = pytest.mark.parametrize("name", ["xcore", "dps"])


class Door:
    """One style, and an emulator behind it."""

    def __init__(self, style: Style, transport: HttpTransport, server: Emulator) -> None:
        self.style = style
        self.server = server
        self.container = seeded_container(0) if style.needs_container else "dev"
        self.victim = seeded_instance_id(0) if style.needs_container else seeded_offer_id(0)
        self._transport = transport

    async def send(self, request: Request) -> Response:
        answer = await self._transport.send(request)
        assert isinstance(answer, Response)
        return answer

    async def look(self, type_: EntityType, object_: str) -> Seen | None:
        request = self.style.look(self.container, type_, object_, sandbox="dev", request_id="r")
        return self.style.seen(await self.send(request))

    async def pages(self, type_: EntityType, name: str = "") -> AsyncIterator[Page]:
        after = ""
        while True:
            request = self.style.list(self.container, type_, Query(name, after=after), sandbox="dev", request_id="r")
            page = self.style.page(await self.send(request))
            assert page is not None
            yield page
            if not page.next:
                return
            after = page.next

    def step(self, kind: Kind, body: bytes, object_: str = "", type_: EntityType = OFFER) -> Step:
        return Step(2, "k", self.container, type_, object_, kind, body)

    def based(self, patch: Sequence[Operation], seen: Seen) -> tuple[Step, Base]:
        """Return the step of a patch of the victim as it is sent, and its base."""
        step = self.step(Kind.PATCH, edits_body(patch), self.victim)
        base = examine(step, seen, self.style)
        assert isinstance(base, Base)
        return resting_on(step, base), base

    async def write(self, step: Step) -> Response:
        return await self.send(self.style.render(step, sandbox="dev", request_id="r"))

    def named(self, seen: Seen) -> str:
        return name_in(value_at(seen.document, self.style.root))


@asynccontextmanager
async def door(name: str, seed_offers: int = 1) -> AsyncIterator[Door]:
    async with (
        Emulator(EmulatorSettings(access_token="token", seed_offers=seed_offers)) as server,
        open_session(timeout_s=10, connect_timeout_s=10, user_agent="test") as session,
    ):
        client = SessionClient(session, server.url)
        yield Door(STYLES[name], HttpTransport(client, ReadyToken("us", "token"), "TEST@AdobeOrg"), server)


@BOTH
async def test_an_object_is_seen_as_it_is(name: str) -> None:
    async with door(name) as it:
        seen = await it.look(OFFER, it.victim)
        record = it.server.store.find(it.style.name, it.container, it.victim)  # type: ignore[arg-type]

        assert seen is not None
        assert record is not None
        assert (seen.object, seen.etag, it.named(seen)) == (it.victim, 1, record.name)
        assert seen.created_at is not None
        assert seen.changed_at
        assert await it.look(OFFER, "nobody") is None


@BOTH
async def test_a_list_shows_every_object_once_and_as_a_look_does(name: str) -> None:
    async with door(name, seed_offers=250) as it:
        pages = [page async for page in it.pages(OFFER)]
        seen = [one for page in pages for one in page.seen]

        assert len(pages) > 1
        assert {page.total for page in pages} == {250}
        assert len({one.object for one in seen}) == len(seen) == 250
        for one in (seen[0], seen[-1]):
            looked = await it.look(OFFER, one.object)
            assert looked is not None
            # An envelope in a list has members of the list's own.
            mine, listed = (value_at(two.document, it.style.root) for two in (looked, one))
            assert mine == listed
            assert replace(looked, document={}) == replace(one, document={})


NAMES = ["Plain", "Ünder & 1/2 %", "a,b", "a==b", "A*", "What?", "x" * 80, 'say "yes"', "a=b", "+1 ~", "plain"]


@BOTH
async def test_what_was_created_is_found_by_its_name_whatever_is_in_it(name: str) -> None:
    member = "xdm:name" if name == "xcore" else "name"
    async with door(name) as it:
        for one in NAMES:
            receipt = it.style.receipt(await it.write(it.step(Kind.CREATE, encode({member: one}), type_=TAG)))
            assert receipt is not None, one

            found = [seen async for page in it.pages(TAG, one) for seen in page.seen if it.named(seen) == one]
            assert [(seen.object, seen.reference) for seen in found] == [(receipt.object, receipt.reference)]
            assert found[0].created_by_client == ("us" if name == "xcore" else "")


def pointers(style: Style) -> Iterator[tuple[str, str]]:
    prefix = "xdm:" if style.name == "xcore" else ""
    for member in ("name", "tags"):
        yield member, f"{style.root}/{prefix}{member}"


@BOTH
async def test_a_guarded_patch_is_applied_once_and_refused_the_second_time(name: str) -> None:
    async with door(name) as it:
        where = dict(pointers(it.style))
        before = await it.look(OFFER, it.victim)
        assert before is not None
        first_tag: Json = value_at(before.document, where["tags"] + "/0")
        patch = [Operation("replace", where["name"], "New"), Operation("remove", where["tags"] + "/0")]
        step, base = it.based(patch, before)
        assert base.guarded
        assert first_tag

        first, second = await it.write(step), await it.write(step)
        after = await it.look(OFFER, it.victim)

        assert first.status == 200, first.body
        assert second.status in (409, 412, 422), second.body
        assert after is not None
        assert after.etag == 2
        assert base.touched is not None
        assert [value_at(after.document, place.path) for place in base.touched] == [
            place.after for place in base.touched
        ]


@BOTH
async def test_of_two_that_race_on_one_base_one_is_refused(name: str) -> None:
    async with door(name) as it:
        where = dict(pointers(it.style))
        before = await it.look(OFFER, it.victim)
        assert before is not None
        steps = [
            it.based(patch, before)[0]
            for patch in ([Operation("replace", where["name"], f"New {number}")] for number in range(5))
        ]

        answers = await asyncio.gather(*map(it.write, steps))

        assert sorted(answer.status == 200 for answer in answers) == [False] * 4 + [True]
