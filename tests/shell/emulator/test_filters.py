"""What narrows a list down, in both styles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from migrator.emulator import filters, seeded_instance_id, seeded_offer_id, seeded_reference, seeded_tag
from migrator.emulator.errors import ProblemError
from tests.shell.emulator.common import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.shell.emulator.conftest import Client, Start


DOCUMENT = {
    "name": "Spring loan",
    "rank": {"priority": 3},
    "share": 0.5,
    "draft": True,
    "start": "2024-03-01T00:00:00Z",
    "tags": ["a", "b"],
    "none": [],
    "nothing": None,
    "parts": [{"place": "x", "texts": [{"text": "one"}]}, {"place": "y", "texts": [{"text": "two"}]}],
}


def read(path: str) -> Sequence[Any]:
    return list(filters.values(DOCUMENT, path.split(".")))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("name==Spring loan", True),
        ("name==spring loan", False),
        ("name!=Spring loan", False),
        ("name!=Autumn loan", True),
        ("absent!=x", True),
        ("absent==x", False),
        ("name", True),
        ("none", True),
        ("nothing", True),
        ("absent", False),
        ("name.deeper", False),
        ("name~spring.*", True),
        ("name~SPRING LOAN", True),
        ("name~spring", False),
        ("share~.*", False),
        ("rank.priority==3", True),
        ("rank.priority==3.0", True),
        ("rank.priority==03", False),
        ("rank.priority>2", True),
        ("rank.priority>3", False),
        ("rank.priority>=3", True),
        ("rank.priority<3", False),
        ("rank.priority<=3", True),
        ("rank.priority<10", True),
        ("rank.priority<ten", False),
        ("share<1", True),
        ("draft==true", True),
        ("draft==1", False),
        ("draft>0", False),
        ("name<T", True),
        ("name>T", False),
        ("start==2024-03-01T01:00:00+01:00", True),
        ("start<2024-03-01T00:00:00.001Z", True),
        ("start>=2024-03-01T03:00:00+03:00", True),
        ("start>2024-03-01T03:00:00+03:00", False),
        ("tags==b", True),
        ("tags==c", False),
        ("tags!=b", False),
        ("parts.place==y", True),
        ("parts.texts.text==two", True),
        ("parts.texts.text==three", False),
        ("parts.texts.text~t.*", True),
    ],
)
def test_a_condition_holds_or_not(text: str, holds: bool) -> None:
    assert filters.parse_condition(text, may_negate=False).holds(read) is holds
    assert filters.parse_condition(f"!{text}", may_negate=True).holds(read) is not holds


@pytest.mark.parametrize("text", ["", "==x", "name=x", "!name", "name~(", "name~*"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        filters.parse_condition(text, may_negate=False)
    assert (refused.value.status, refused.value.kind) == (400, "bad-query")


def test_the_first_operator_ends_the_path() -> None:
    condition = filters.parse_condition("name===x<1", may_negate=False)
    assert (condition.path, condition.sign, condition.value) == ("name", "==", "=x<1")


@pytest.mark.parametrize(
    ("query", "joint", "fields", "found"),
    [
        ("spring", "AND", [], True),
        ("Spring", "AND", [], False),
        ("loan spring", "AND", [], True),
        ("spring autumn", "AND", [], False),
        ("spring autumn", "or", [], True),
        ('"spring loan"', "AND", [], True),
        ('"loan spring"', "AND", [], False),
        ("loan\\-spring", "AND", [], False),
        ("two", "AND", [], True),
        ("two", "AND", ["name"], False),
        ("two", "AND", ["name", "parts.texts.text"], True),
        ("spring", "AND", ["rank"], False),
    ],
)
def test_a_search_finds_words_and_phrases(query: str, joint: str, fields: list[str], found: bool) -> None:
    def read_whole(path: str) -> Sequence[Any]:
        return [DOCUMENT] if path == "*" else read(path)

    assert filters.parse_search(query, joint, fields).finds(read_whole, "*") is found


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def ten(start: Start) -> Client:
    return await start(seed_offers=10)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (["rank.priority>=8"], {8, 9}),
        (["rank.priority<2,status==approved"], {0, 1}),
        (["!rank.priority<8"], {8, 9}),
        (["name~.*offer [12]"], {1, 2}),
        (["name!=Seeded offer 3", "rank.priority>2", "rank.priority<5"], {4}),
        (["description", "rank.priority==7"], {7}),
        (["!description"], set()),
        ([f"tags=={seeded_tag('dps')}", "rank.priority==0"], {0}),
        (["created<2025-02-27T05:12:44Z"], {0, 1}),
        (["modified>=2025-02-27T05:12:51.130+00:00"], {9}),
        ([f"id=={seeded_offer_id(4)}"], {4}),
        (["etag==1", "rank.priority==5"], {5}),
        (["createdBy==offer-emulator", "rank.priority==6"], {6}),
        (["name==Seeded offer 3", "rank.priority==4"], set()),
        (["representations.components.language==fr", "rank.priority==1"], {1}),
    ],
)
async def test_dps_lists_are_narrowed_down(ten: Client, conditions: list[str], found: set[int]) -> None:
    query = "&".join(f"property={quote(text)}" for text in conditions)
    answer = await ten.dps("GET", f"/offers?{query}")
    assert {one["id"] for one in answer.body["results"]} == {seeded_offer_id(index) for index in found}
    assert answer.body["total"] == len(found)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("property=_instance.xdm:rank.xdm:priority>=8", {8, 9}),
        ("property=_instance.xdm:name~.*OFFER 3", {3}),
        ("property=_instance.xdm:name==Seeded offer 3&property=_instance.xdm:rank.xdm:priority<3", set()),
        ("property=_instance.xdm:description", set()),
        (f"property=_instance.@id=={seeded_reference(6)}", {6}),
        (f"property=instanceId=={seeded_instance_id(6)}", {6}),
        ("property=repo:createdDate<2020-10-21T20:50:34Z", {0, 1}),
        ("property=repo:etag>1", set()),
        (f"id={seeded_reference(2)}&id={seeded_reference(5)}&id={seeded_reference(2)}&id=xcore:tag:0", {2, 5}),
        (f"id={seeded_reference(2)}&property=_instance.xdm:rank.xdm:priority==3", set()),
        ("name=Seeded offer ?&property=_instance.xdm:rank.xdm:priority==3", {3}),
        ("name=*7", {7}),
        ("name=Seeded.*", set()),
        ("q=seeded", set(range(10))),
        ("q=4 7&qop=OR&field=_instance.xdm:name", {4, 7}),
        ("q=4 7&qop=AND&field=_instance.xdm:name", set()),
        ('q="votre taux" 7&qop=AND', {7}),
        ("q=b&field=_instance.xdm:name&field=_instance.xdm:status", set()),
    ],
)
@pytest.mark.parametrize("path", ["/instances", "/queries/core/search"])
async def test_xcore_lists_are_narrowed_down(ten: Client, path: str, query: str, found: set[int]) -> None:
    answer = await ten.xcore("GET", f"{path}?schema={SCHEMA}&{quote(query, safe='=&')}")
    entries = answer.body["_embedded"]["results"]
    assert {one["instanceId"] for one in entries} == {seeded_instance_id(index) for index in found}
    assert answer.body["_embedded"]["total"] == len(found)


async def test_a_narrowed_list_is_walked_and_ordered(ten: Client) -> None:
    query = (
        f"schema={SCHEMA}&limit=2&orderby=-_instance.xdm:rank.xdm:priority&property=_instance.xdm:rank.xdm:priority>4"
    )
    href, seen = f"/data/core/xcore/e0bd8463-0913-4ca1-bd84-6309134ca1f6/instances?{query}", []
    while href:
        body = (await ten.send("GET", href)).body
        seen += [one["_instance"]["xdm:rank"]["xdm:priority"] for one in body["_embedded"]["results"]]
        href = body["_links"].get("next", {}).get("href", "")
        href = href and f"/data/core/xcore{href}"
    assert seen == [9, 8, 7, 6, 5]
