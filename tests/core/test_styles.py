"""How each style reads: one object, a list page by page, and what the answers say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migrator.core.model import EntityType, Kind, Page, Request, Response, Seen, Step
from migrator.core.styles import DPS, XCORE, Query
from migrator.core.styles.base import Style
from migrator.core.styles.dps import RESOURCES
from migrator.core.styles.xcore import RESULTS, SCHEMA_ROOT, SCHEMAS

OFFER = EntityType.PERSONALIZED_OFFER
ROOTS = {"xcore": "/data/core/xcore/box", "dps": "/data/core/dps"}
SCHEMA = "https%3A%2F%2Fns.adobe.com%2Fexperience%2Foffer-management%2Fpersonalized-offer%3Bversion%3D0.5"


def ok(body: Any) -> Response:
    return Response(200, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def listed(style: Style, type_: EntityType = OFFER, name: str = "", after: str = "") -> Request:
    return style.list("box", type_, Query(name, after=after), sandbox="dev", request_id="r")


@pytest.mark.parametrize("type_", EntityType)
def test_a_look_asks_for_one_object_of_its_type(type_: EntityType) -> None:
    xcore = XCORE.look("b/x", type_, "o?1", sandbox="dev", request_id="r")
    dps = DPS.look("box", type_, "dps:o/1", sandbox="dev", request_id="r")

    assert xcore.target == "/data/core/xcore/b%2Fx/instances/o%3F1"
    assert xcore.headers == {
        "Accept": f'*, application/vnd.adobe.platform.xcore.hal+json; schema="{SCHEMAS[type_]}"',
        "x-sandbox-name": "dev",
        "x-request-id": "r",
    }
    path, query = RESOURCES[type_]
    assert dps.target == f"/data/core/dps{path}/dps%3Ao%2F1{query}"
    assert dps.headers == {"Accept": "*,application/json", "x-sandbox-name": "box", "x-request-id": "r"}
    assert (xcore.method, dps.method) == ("GET", "GET")
    assert xcore.body is dps.body is None
    assert SCHEMAS[type_].startswith(SCHEMA_ROOT)


@pytest.mark.parametrize(
    ("style", "type_", "name", "after", "target"),
    [
        (XCORE, OFFER, "", "", f"/queries/core/search?schema={SCHEMA}&limit=100"),
        (XCORE, OFFER, "Späte Ö&?", "", f"/queries/core/search?schema={SCHEMA}&limit=100"),  # ? is a wild card
        (XCORE, OFFER, "A*", "", f"/queries/core/search?schema={SCHEMA}&limit=100"),
        (XCORE, OFFER, "Ö & 1/2", "", f"/instances?schema={SCHEMA}&limit=100&name=%C3%96%20%26%201%2F2"),
        (DPS, OFFER, "", "", "/offers?offer-type=personalized&orderby=id&limit=100"),
        (DPS, EntityType.FALLBACK_OFFER, "", "", "/offers?offer-type=fallback&orderby=id&limit=100"),
        (DPS, EntityType.TAG, "", "", "/tags?orderby=id&limit=100"),
        (DPS, EntityType.TAG, "Ö & ?", "", "/tags?orderby=id&limit=100&property=name%3D%3D%C3%96%20%26%20%3F"),
        (DPS, EntityType.TAG, "a,b", "", "/tags?orderby=id&limit=100"),
        (DPS, EntityType.TAG, "a==b", "", "/tags?orderby=id&limit=100"),
        # The next page is asked for as the service said, under the base path and not encoded again.
        (DPS, EntityType.TAG, "a", "/tags?start=a%2Cb&limit=2", "/tags?start=a%2Cb&limit=2"),
    ],
)
def test_a_page_of_a_list_is_asked_for(style: Style, type_: EntityType, name: str, after: str, target: str) -> None:
    request = listed(style, type_, name, after)

    assert request.target == ROOTS[style.name] + target
    assert request.method == "GET"
    assert request.headers["x-sandbox-name"] == ("dev" if style is XCORE else "box")


def test_the_next_page_in_xcore_names_its_container_itself() -> None:
    request = listed(XCORE, after="/box/queries/core/search?start=1%2C2&schema=a;b:c")

    assert request.target == "/data/core/xcore/box/queries/core/search?start=1%2C2&schema=a;b:c"
    assert request.headers["Accept"] == RESULTS


def rendered(style: Style, kind: Kind, *, etag: int | None = None, guarded: bool = False) -> Request:
    object_ = "" if kind is Kind.CREATE else "o 1"
    step = Step(2, "k", "box", OFFER, object_, kind, b"[]", based=guarded, etag=etag, guarded=guarded)
    return style.render(step, sandbox="dev", request_id="r")


def test_a_guarded_change_in_xcore_names_the_etag_it_is_for() -> None:
    for kind in (Kind.PATCH, Kind.REPLACE):
        assert rendered(XCORE, kind, etag=7, guarded=True).headers["If-Match"] == '"7"'
    for request in (
        rendered(XCORE, Kind.PATCH, etag=7),
        rendered(XCORE, Kind.PATCH),
        rendered(XCORE, Kind.REPLACE, etag=7),
        rendered(XCORE, Kind.DELETE),
        rendered(XCORE, Kind.CREATE),
        # Its guard is in the body.
        rendered(DPS, Kind.PATCH, etag=7, guarded=True),
    ):
        assert "If-Match" not in request.headers


@pytest.mark.parametrize(
    ("style", "kind", "method", "target", "body"),
    [
        (XCORE, Kind.PATCH, "PATCH", "/instances/o%201", b"[]"),
        (XCORE, Kind.REPLACE, "PUT", "/instances/o%201", b'{"_instance":[],"_links":{}}'),
        (XCORE, Kind.DELETE, "DELETE", "/instances/o%201", None),
        (XCORE, Kind.CREATE, "POST", "/instances", b"[]"),
        (DPS, Kind.PATCH, "PATCH", "/offers/o%201?offer-type=personalized", b"[]"),
        (DPS, Kind.DELETE, "DELETE", "/offers/o%201?offer-type=personalized", None),
        (DPS, Kind.CREATE, "POST", "/offers?offer-type=personalized", b"[]"),
    ],
)
def test_a_step_becomes_a_request(style: Style, kind: Kind, method: str, target: str, body: bytes | None) -> None:
    request = rendered(style, kind)

    assert (request.method, request.target, request.body) == (method, ROOTS[style.name] + target, body)
    assert request.headers["x-request-id"] == request.request_id == "r"
    assert ("Content-Type" in request.headers) is (body is not None or style is DPS)


def test_a_decision_rule_in_dps_is_put_as_it_is() -> None:
    step = Step(2, "k", "box", EntityType.DECISION_RULE, "r/1", Kind.REPLACE, b'{"name":"R"}')
    request = DPS.render(step, sandbox="dev", request_id="r")

    assert (request.method, request.target) == ("PUT", "/data/core/dps/offer-rules/r%2F1")
    assert (request.headers["Content-Type"], request.body) == ("application/json", b'{"name":"R"}')


@pytest.mark.parametrize("type_", EntityType)
def test_a_replacement_in_xcore_names_its_schema_without_a_version(type_: EntityType) -> None:
    step = Step(2, "k", "box", type_, "i", Kind.REPLACE, b"{}")
    headers = XCORE.render(step, sandbox="dev", request_id="r").headers
    schema = SCHEMAS[type_].partition(";")[0]

    assert headers["Content-Type"] == f'application/vnd.adobe.platform.xcore.hal+json; schema="{schema}"'
    assert headers["Accept"] == "application/vnd.adobe.platform.xcore.xdm.receipt+json; version=1"


@pytest.mark.parametrize("style", [XCORE, DPS], ids=["xcore", "dps"])
def test_a_probe_reads_one_object(style: Style) -> None:
    request = style.probe("box", sandbox="dev", request_id="r")

    assert request.method == "GET"
    assert request.target.startswith(ROOTS[style.name])
    assert request.target.endswith("&limit=1")


@pytest.mark.parametrize(
    ("object_", "xcore", "dps"),
    [
        ("0f4bc230-13df", "", ""),
        ("dps:offer:1", "", ""),
        ("xcore:offer:1", "", ""),
        (".", "is a step in a path", "is a step in a path"),
        ("..", "is a step in a path", "is a step in a path"),
        ("...", "", ""),
    ],
)
def test_an_id_may_stand_in_a_url_or_not(object_: str, xcore: str, dps: str) -> None:
    for style, problem in ((XCORE, xcore), (DPS, dps)):
        said = style.object_problem(object_)
        assert said.startswith(problem)
        assert bool(said) is bool(problem)


def test_only_xcore_has_another_id_for_references_than_for_urls() -> None:
    assert XCORE.is_reference("xcore:personalized-offer:1")
    assert not XCORE.is_reference("0f4bc230-13df")
    assert not DPS.is_reference("xcore:personalized-offer:1"), "the id of an object that was made in xcore"


@pytest.mark.parametrize(
    ("document", "xcore", "dps"),
    [
        ({"name": "A"}, "it is written for dps", ""),
        ({"xdm:name": "A"}, "", "it is written for xcore"),
        ({"name": "A", "xdm:name": "A"}, "", ""),
        ({}, "has no `xdm:name`", "has no `name`"),
        ({"_instance": {"xdm:name": "A"}}, "write what is in its `_instance`", "has no `name`"),
        ({"name": ""}, "it is written for dps", "has no `name`"),
    ],
)
def test_a_document_has_a_name_in_the_words_of_its_style(document: dict[str, str], xcore: str, dps: str) -> None:
    for style, problem in ((XCORE, xcore), (DPS, dps)):
        said = style.document_problem(document)
        assert problem in said
        assert bool(said) is bool(problem)


ENVELOPE = {
    "instanceId": "i-1",
    "repo:etag": 3,
    "repo:createdDate": "1970-01-01T00:16:40.000Z",
    "repo:createdByClientId": "us",
    "repo:lastModifiedDate": "1970-01-02T00:00:00.000Z",
    "repo:lastModifiedBy": "ann@example.com",
    "repo:lastModifiedByClientId": "them",
    "_instance": {"@id": "xcore:offer:1", "xdm:name": "A"},
}
PLAIN = {
    "id": "o-1",
    "etag": 2,
    "created": "1970-01-01T00:16:40.000+00:00",
    "modified": "1970-01-02T00:00:00.000+00:00",
    "lastModifiedBy": "ann@example.com",
    "name": "A",
}


@pytest.mark.parametrize(
    ("style", "document", "seen"),
    [
        (
            XCORE,
            ENVELOPE,
            Seen(
                "i-1", "xcore:offer:1", 3, ENVELOPE, 1000.0, "us", "1970-01-02T00:00:00.000Z", "ann@example.com", "them"
            ),
        ),
        (DPS, PLAIN, Seen("o-1", "o-1", 2, PLAIN, 1000.0, "", "1970-01-02T00:00:00.000+00:00", "ann@example.com")),
        (
            DPS,
            {"id": "o", "createdDate": "1970-01-01T00:00:01Z", "lastModifiedDate": "x", "createdByClientId": "us"},
            Seen("o", "o", None, {}, 1.0, "us", "x", ""),
        ),
        # What is not told, or not as documented, is not known.
        (XCORE, {"instanceId": "i"}, Seen("i", "", None, {})),
        (XCORE, {"instanceId": "i", "_instance": None, "repo:etag": "3"}, Seen("i", "", None, {})),
        (XCORE, {"instanceId": "i", "_instance": [], "repo:createdDate": "noon"}, Seen("i", "", None, {})),
        (DPS, {"id": "o", "etag": True, "created": 5, "modified": None}, Seen("o", "o", None, {})),
        (DPS, {"id": "o", "etag": 2.5}, Seen("o", "o", None, {})),
    ],
)
def test_an_object_is_read_into_one_shape(style: Style, document: dict[str, Any], seen: Seen) -> None:
    found = style.seen(ok(document))

    assert found is not None
    assert found.document == document
    assert [getattr(found, name) for name in Seen.__struct_fields__ if name != "document"] == [
        getattr(seen, name) for name in Seen.__struct_fields__ if name != "document"
    ]


@pytest.mark.parametrize("style", [XCORE, DPS], ids=["xcore", "dps"])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b'{"id": "x", "instanceId": "x', {}, {"id": 5, "instanceId": 5}, {"id": ""}],
)
def test_what_is_no_object_is_none(style: Style, body: Any) -> None:
    assert style.seen(ok(body)) is None


@pytest.mark.parametrize("after", ["", "/next?start=1"])
@pytest.mark.parametrize("total", [None, 12])
def test_a_page_is_read_into_one_shape(after: str, total: int | None) -> None:
    links = {"_links": {"self": {"href": "/here"}, **({"next": {"href": after}} if after else {})}}
    counted = {} if total is None else {"total": total}
    xcore = XCORE.page(ok({"_embedded": {"results": [ENVELOPE], "count": 1, **counted}, **links}))
    dps = DPS.page(ok({"results": [PLAIN], "count": 1, **counted, **links}))

    assert xcore == Page((XCORE.seen(ok(ENVELOPE)),), after, total)  # type: ignore[arg-type]
    assert dps == Page((DPS.seen(ok(PLAIN)),), after, total)  # type: ignore[arg-type]


def test_a_page_without_links_is_the_last() -> None:
    assert DPS.page(ok({"results": []})) == Page((), "", None)
    assert XCORE.page(ok({"_embedded": {"results": []}})) == Page((), "", None)


@pytest.mark.parametrize("style", [XCORE, DPS], ids=["xcore", "dps"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        {},
        {"results": 5},
        {"results": [5]},
        {"results": [], "total": "many"},
        {"_embedded": None},
        {"_embedded": {}},
        {"_embedded": {"results": ["x"]}},
    ],
)
def test_what_is_no_page_is_none(style: Style, body: Any) -> None:
    assert style.page(ok(body)) is None


@pytest.mark.parametrize(
    ("etag", "read"),
    [
        (b"0", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", None),
        (b"-1", None),
        (b"9" * 5000, None),
        (b"1e400", None),
        (b'"3"', None),
        (b"true", None),
        (b"null", None),
        (b"[1]", None),
    ],
)
@pytest.mark.parametrize(("style", "id_", "member"), [(DPS, b"id", b"etag"), (XCORE, b"instanceId", b"repo:etag")])
def test_an_etag_that_cannot_be_kept_does_not_lose_the_receipt(
    style: Style, id_: bytes, member: bytes, etag: bytes, read: int | None
) -> None:
    receipt = style.receipt(ok(b'{"%s": "x", "%s": %s}' % (id_, member, etag)))

    assert receipt is not None
    assert (receipt.object, receipt.etag) == ("x", read)


def test_the_home_of_xcore_is_asked_for_as_it_is_documented() -> None:
    request = XCORE.home(sandbox="dev", request_id="r")

    assert request.target == "/data/core/xcore/?product=acp&property=_instance.containerType==decisioning"
    assert request.headers["Accept"] == "application/vnd.adobe.platform.xcore.home.hal+json"
    assert DPS.home(sandbox="dev", request_id="r") == DPS.probe("dev", sandbox="dev", request_id="r")


def test_the_containers_of_a_sandbox_are_those_whose_parent_it_is() -> None:
    entries = [
        {"instanceId": "c1", "_instance": {"containerType": "decisioning", "parentName": "dev"}},
        {"instanceId": "c2", "_instance": {"containerType": "decisioning", "parentName": "prod"}},
        {"instanceId": "c3"},
    ]
    home = ok({"_embedded": {"https://ns.adobe.com/experience/xcore/container": entries}})

    assert XCORE.containers(home, sandbox="dev") == ["c1"]
    assert XCORE.containers(home, sandbox="stage") == []
    assert XCORE.containers(ok({"_embedded": {}}), sandbox="dev") == []


@pytest.mark.parametrize("style", [XCORE, DPS])
@pytest.mark.parametrize("body", [b"", b"<html>", {}, []])
def test_what_is_no_document_of_the_style_tells_no_containers(style: Style, body: Any) -> None:
    assert style.containers(ok(body), sandbox="dev") is None
