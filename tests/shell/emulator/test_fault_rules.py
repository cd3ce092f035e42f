"""Rules of misbehaviour: how they are written, whom they strike, and how often."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from migrator.emulator import Emulator, EmulatorSettings, FaultRule, listing, seeded_container, seeded_offer_id
from migrator.emulator.faults import KINDS
from tests.shell.emulator.common import OFFER

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client, Start


def test_a_rule_is_a_kind_methods_and_keys() -> None:
    rule = FaultRule.parse("429:POST,patch:p=0.02:retry-after=1:max=3")
    assert (rule.kind.name, rule.methods, rule.styles) == ("429", ("POST", "PATCH"), ("xcore", "dps"))
    expected = {"p": 0.02, "retry-after": "1", "max": 3, "n": None, "every": None, "path": "*", "code": "429050"}
    assert {key: rule.values[key] for key in expected} == expected


@pytest.mark.parametrize("text", ["drop-after", "drop-after:*", "drop-after:*:p=1", "late:*", "expire-token:every=500"])
def test_without_methods_a_rule_strikes_all_that_its_kind_can(text: str) -> None:
    rule = FaultRule.parse(text)
    assert rule.methods == rule.kind.methods


def test_values_may_hold_colons() -> None:
    rule = FaultRule.parse("foreign-edit:PATCH:path=*/offers/dps:personalized-offer:1a*:member=xdm:name:n=3")
    assert rule.values["path"] == "*/offers/dps:personalized-offer:1a*"
    assert (rule.values["member"], rule.values["n"]) == ("xdm:name", 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_rule_that_reads_back_as_itself(kind: str) -> None:
    given = "".join(f":{one.name}={one.default}" for one in KINDS[kind].parameters if one.default is not None)
    rule = FaultRule.parse(f"{kind}:*{given}:p=0.5:max=2")
    assert FaultRule.parse(rule.text) == rule


def test_a_table_says_the_same_as_text() -> None:
    table = {"kind": "drop-after", "methods": ["PATCH", "POST"], "p": 0.05, "max": 2, "how": "reset"}
    assert FaultRule.of(table) == FaultRule.parse("drop-after:PATCH,POST:p=0.05:max=2:how=reset")
    assert FaultRule.of({"kind": "429", "methods": "GET", "retry-after": 1}) == FaultRule.parse("429:GET:retry-after=1")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("drop-aftr:PATCH", r"no kind 'drop-aftr' \(did you mean drop-after\?\); there are expire-token, 429, .*"),
        ("", r"there is no kind ''; there are expire-token"),
        ("drop-after:PATCH:prob=0.1", r"drop-after has no 'prob' \(did you mean p\?\); it has path, style, n, .* how"),
        ("late:GET", r"late strikes POST, PUT, PATCH, DELETE, not GET"),
        ("drop-after:FETCH", r"drop-after strikes GET, .* not FETCH"),
        ("drop-after:PATCH:p=1.5", r"p=1\.5 is not a number from 0 to 1"),
        ("drop-after:PATCH:p=nan", r"p=nan is not a number from 0 to 1"),
        ("drop-after:PATCH:n=0", r"n=0 is not a whole number, 1 or more"),
        ("drop-after:PATCH:n=1:p=0.5", r"n and p exclude each other"),
        ("drop-after:PATCH:n=1:n=2", r"n is given twice"),
        ("stall-after:PATCH:seconds=-1", r"seconds=-1 is not a number of seconds, 0 or more"),
        ("429:*:retry-after=soon", r"retry-after=soon is not a number of seconds or one of date, empty, garbage, none"),
        ("gone:*:status=200", r"status=200 is not an HTTP status of 400 or more that has a name"),
        ("gone:*:status=499", r"status=499 is not an HTTP status of 400 or more that has a name"),
        ("gateway:*:code=999999", r"code=999999 is not one of 400001, "),
        ("drop-after:*:style=decisioning", r"style=decisioning is not one of xcore, dps, ims"),
        ("twin:*:style=ims", r"twin cannot strike the token endpoint"),
    ],
)
def test_what_is_no_rule_is_told_what_would_be_one(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FaultRule.parse(text)
    with pytest.raises(ValueError, match=complaint):
        EmulatorSettings(faults=(text,))


def test_a_table_needs_a_kind() -> None:
    with pytest.raises(ValueError, match=r"kind is missing; it is one of expire-token"):
        FaultRule.of({"methods": "PATCH"})


def test_the_listing_has_every_kind_and_every_key() -> None:
    text = listing()
    for kind in KINDS.values():
        assert f"\n  {kind.name} " in text
        assert all(f"    {one.name} " in text for one in kind.parameters)
    assert max(map(len, text.splitlines())) <= 80


async def struck(client: Client, requests: int, method: str = "GET") -> list[int]:
    """Send requests one after the other, and return the numbers of those that were refused, from 1."""
    answers = [await client.dps(method, "/offers", OFFER if method == "POST" else None) for _ in range(requests)]
    return [number for number, answer in enumerate(answers, 1) if answer.status >= 400]


@pytest.mark.parametrize(
    ("often", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7, 8]),
        (":n=3", [3]),
        (":every=3", [3, 6]),
        (":max=2", [1, 2]),
        (":every=2:max=2", [2, 4]),
        (":after=6", [7, 8]),
        (":after=2:n=3", [5]),
        (":after=2:every=2", [4, 6, 8]),
        (":p=0", []),
        (":p=1", [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
async def test_how_often_a_rule_strikes(start: Start, often: str, expected: list[int]) -> None:
    client = await start(faults=(f"forbidden:*{often}",))
    assert await struck(client, 8) == expected
    (fault,) = client.server.faults
    assert (fault.matched, fault.hits) == (8, len(expected))


async def test_a_probability_is_the_share_that_is_struck(start: Start) -> None:
    client = await start(faults=("forbidden:*:p=0.3",))
    # 400 draws at 0.3: 120 expected, standard deviation sqrt(400 * 0.3 * 0.7) = 9.2; five of them either way
    assert 74 < len(await struck(client, 400)) < 166


async def test_the_same_seed_and_requests_misbehave_in_the_same_way(start: Start) -> None:
    rules = ("forbidden:GET:p=0.3", "500-after:GET:p=0.3")

    async def run(seed: int) -> list[tuple[int | None, tuple[str, ...]]]:
        client = await start(faults=rules, fault_seed=seed)
        await struck(client, 60)
        return [(one.status, one.faults) for one in client.server.requests]

    first, second, other = await run(1), await run(1), await run(2)
    assert first == second
    assert first != other
    assert {faults for _, faults in first} == {(), ("forbidden",), ("500-after",)}


async def test_a_rule_draws_for_the_requests_it_matches_and_for_no_others(start: Start) -> None:
    plain = await start(faults=("forbidden:GET:p=0.3",), fault_seed=5)
    expected = await struck(plain, 40)
    # other methods, another rule in front of it and refusals by that rule: all the same to this one's generator
    mixed = await start(faults=("429:POST:p=0.5", "forbidden:GET:p=0.3"), fault_seed=5)
    refused = []
    for number in range(1, 41):
        await struck(mixed, random.randrange(3), "POST")
        refused += [number] if await struck(mixed, 1) else []
    assert refused == expected


async def test_two_rules_of_one_text_strike_independently(start: Start) -> None:
    client = await start(faults=("slow:GET:p=0.5:seconds=0",) * 2)
    await struck(client, 40)
    assert {len(one.faults) for one in client.server.requests} == {0, 1, 2}


async def test_a_reset_lets_everything_happen_again(start: Start) -> None:
    client = await start(faults=("forbidden:*:p=0.3:max=5",))
    first = await struck(client, 30)
    client.server.add_fault("500-before")
    await client.send("POST", "/_emulator/reset")
    assert await struck(client, 30) == first


async def test_a_path_and_a_style_narrow_a_rule_down(start: Start) -> None:
    client = await start(seed_offers=2, faults=(f"forbidden:GET:path=*/offers/{seeded_offer_id(1)}",))
    assert (await client.dps("GET", f"/offers/{seeded_offer_id(0)}")).status == 200
    assert (await client.dps("GET", f"/offers/{seeded_offer_id(1)}")).status == 403

    client = await start(seed_offers=2, faults=("forbidden:GET:style=xcore",))
    schema = "https://ns.adobe.com/experience/offer-management/personalized-offer"
    assert (await client.dps("GET", "/offers")).status == 200
    assert (await client.xcore("GET", f"/instances?schema={schema}")).status == 403


async def test_what_ends_a_request_keeps_faults_further_in_from_it(start: Start) -> None:
    client = await start(faults=("drop-after:GET", "foreign-delete:GET", "429:GET:n=1"))
    assert (await client.dps("GET", "/offers")).status == 429
    assert [(fault.rule.kind.name, fault.matched, fault.hits) for fault in client.server.faults] == [
        ("429", 1, 1),
        ("drop-after", 1, 0),
        ("foreign-delete", 0, 0),  # a list is not about one object
    ]


async def test_faults_of_one_request_nest(start: Start) -> None:
    client = await start(seed_offers=1, faults=("foreign-edit:PATCH", "500-after:PATCH"))
    patch = [{"op": "replace", "path": "/name", "value": "B"}]
    assert (await client.dps("PATCH", f"/offers/{seeded_offer_id(0)}", patch)).status == 500
    assert [effect.api_key for effect in client.server.effects] == ["somebody-else", "the-client"]
    assert client.server.requests[0].faults == ("500-after", "foreign-edit")


async def test_requests_that_the_gateway_refuses_are_struck_by_nothing_else(start: Start) -> None:
    client = await start(faults=("drop-before",))
    answer = await client.send("GET", f"/data/core/xcore/{seeded_container(0)}", headers={"Authorization": None})
    assert answer.status == 403
    (fault,) = client.server.faults
    assert fault.matched == 0


FAULTS = "/_emulator/faults"


async def test_rules_come_and_go_at_run_time(client: Client) -> None:
    one = await client.send("POST", FAULTS, json.dumps("forbidden:GET:n=1"))
    more = await client.send("POST", FAULTS, [{"kind": "429", "methods": "POST"}, "500-before:DELETE"])
    assert (one.status, more.status) == (201, 201)
    assert [fault["id"] for fault in one.body + more.body] == [1, 2, 3]
    assert (await client.dps("GET", "/offers")).status == 403
    assert (await client.dps("GET", "/offers")).status == 200
    assert (await client.dps("POST", "/offers", OFFER)).status == 429
    listed: Any = (await client.send("GET", FAULTS)).body
    assert [(one["id"], one["rule"], one["matched"], one["hits"]) for one in listed] == [
        (1, "forbidden:GET:n=1", 2, 1),
        (2, "429:POST", 1, 1),
        (3, "500-before:DELETE", 0, 0),
    ]
    assert (await client.state())["faults"] == {"1": 1, "2": 1, "3": 0}
    assert (await client.send("DELETE", f"{FAULTS}/2")).status == 204
    assert (await client.send("DELETE", f"{FAULTS}/2")).status == 404
    assert (await client.dps("POST", "/offers", OFFER)).status == 201
    assert (await client.send("DELETE", FAULTS)).status == 204
    assert (await client.send("GET", FAULTS)).body == []


async def test_a_rule_can_be_added_before_the_server_listens() -> None:
    server = Emulator(EmulatorSettings(faults=("slow",)))
    server.add_fault("html:GET")
    async with server:
        assert [fault.rule.text for fault in server.faults] == ["slow:*", "html:GET"]


@pytest.mark.parametrize("body", ["{", "17", json.dumps(["forbidden", "drop-aftr"]), json.dumps({"methods": "GET"})])
async def test_wrong_rules_are_refused_as_a_whole(client: Client, body: str) -> None:
    answer = await client.send("POST", FAULTS, body)
    assert answer.status == 400
    assert answer.body["error"]
    assert list(client.server.faults) == []
