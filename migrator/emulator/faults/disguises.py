"""Faults of an answer's body: the effect is right, and what the client reads is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from migrator.emulator import instants
from migrator.emulator.answers import HTML
from migrator.emulator.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.emulator.faults.strikes import Proceed, Strike

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_IDS = ("id", "instanceId", "@id")
_LOGIN_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"

SPELLINGS = ("other", "z", "offset", "micros")
"""Ways to write a date anew. ``other`` writes ``Z`` for an offset and an offset for ``Z``."""


async def empty_body(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it has no keys
    """Answer with the right status and no body."""
    whole = await proceed()
    return Response(whole.status)


async def html(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it has no keys
    """Answer with the right status and the page of somebody on the way."""
    whole = await proceed()
    return Response(whole.status, _LOGIN_PAGE.encode(), HTML)


async def wrong_type(strike: Strike, proceed: Proceed) -> Response:
    """Answer with the right body under another ``Content-Type``."""
    response = await proceed()
    response.headers["Content-Type"] = strike["type"]
    return response


async def no_id(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it has no keys
    """Leave the ids out of a receipt."""

    def without_ids(body: Any) -> Any:
        return {name: value for name, value in body.items() if name not in _IDS} if isinstance(body, dict) else body

    return _reworded(await proceed(), without_ids)


async def repeat_page(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it has no keys
    """Lead from a page of a list to the same page again, even from the last."""

    def turned_back(body: Any) -> Any:
        links = body.get("_links", {})
        return body | {"_links": links | {"next": links["self"]}} if "self" in links else body

    return _reworded(await proceed(), turned_back)


async def shift_page(strike: Strike, proceed: Proceed) -> Response:
    """Leave out the first objects of a page that is not the first."""

    def shifted(body: Any) -> Any:
        if "_embedded" in body:
            return body | {"_embedded": shifted(body["_embedded"])}
        rest = body.get("results", [])[strike["count"] :]
        return body | {"results": rest, "count": len(rest)}

    return _reworded(await proceed(), shifted)


async def reformat_dates(strike: Strike, proceed: Proceed) -> Response:
    """Write the dates in another way: on a write those that are kept, on a read those that are shown."""

    def respell(value: Any) -> Any:
        return respelled(value, strike["spelling"])

    if strike.request.method == "GET":
        return _reworded(await proceed(), respell)
    strike.amend(lambda document, _style, _word: respell(document))
    return await proceed()


def respelled(value: Any, spelling: str) -> Any:
    """A JSON value with every date-time in it spelled anew; what is not a date-time stays as it is."""
    match value:
        case dict():
            return {name: respelled(member, spelling) for name, member in value.items()}
        case list():
            return [respelled(member, spelling) for member in value]
        case str() if _DATE_TIME.fullmatch(value):
            return _respelled(value, spelling)
        case _:
            return value


def _respelled(date_time: str, spelling: str) -> str:
    try:
        instant_us = instants.parse(date_time)
    except ValueError:  # it only looks like one: the 31st of February
        return date_time
    match spelling:
        case "z":
            return instants.millis_z(instant_us)
        case "offset":
            return instants.millis_offset(instant_us)
        case "micros":
            return instants.micros_z(instant_us)
        case _:
            return _respelled(date_time, "offset" if date_time.endswith("Z") else "z")


def _reworded(response: Response, change: Callable[[Any], Any]) -> Response:
    """An answer with its JSON object changed; one without such a body, or that refuses, stays as it is."""
    if response.status < 400 and isinstance(response.body, bytes) and response.body.startswith(b"{"):
        response.body = msgspec.json.encode(change(msgspec.json.decode(response.body)))
    return response
