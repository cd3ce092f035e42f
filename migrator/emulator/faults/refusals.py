"""Faults that put another answer in the place of the right one, with or without the effect."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from migrator.emulator.answers import json_answer
from migrator.emulator.codes import GATEWAY_CODES
from migrator.emulator.errors import SHAPES, GatewayError, ProblemError, problem
from migrator.emulator.http import Response
from migrator.emulator.limits import retry_after

if TYPE_CHECKING:
    from typing import NoReturn

    from migrator.emulator.faults.strikes import Act, Proceed, Strike

_SECOND_US = 1_000_000

BODIES = ("html", "problem", "gateway", "error-message", "empty")
"""Shapes that the body of an injected 5xx can have (errors-and-limits 2.3, C-30); no other is a server's."""


async def expire_token(strike: Strike, proceed: Proceed) -> Response:
    """Make the token of this request invalid, which the gateway is about to notice."""
    ims = strike.world.ims
    token = ims.token_of(strike.request)
    if token is not None:
        ims.revoke(token)
    return await proceed()


async def too_many(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it goes no further
    """Refuse with 429, at the gateway or, in the shape of a problem, at the service."""
    headers = _retry_after(strike)
    if strike["body"] == "problem":
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "too many requests", headers=headers)
    raise GatewayError(strike["code"], headers)


async def gateway(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it goes no further
    """Refuse with any of the gateway's codes."""
    status, message = GATEWAY_CODES[strike["code"]]
    if not message:
        return Response(status)
    raise GatewayError(strike["code"])


async def forbidden(strike: Strike, proceed: Proceed) -> NoReturn:  # noqa: ARG001 - it goes no further
    """Refuse for want of a permission, as the service does and not the gateway."""
    raise ProblemError(HTTPStatus.FORBIDDEN, "permission-revoked", "the product profile lacks a permission")


async def gone(strike: Strike, proceed: Proceed) -> NoReturn:  # noqa: ARG001 - it goes no further
    """Say that what the path begins with does not exist (any more)."""
    where = strike.request.params.get("container") or "the service"
    raise ProblemError(strike["status"], "container-gone", f"{where} does not exist")


async def referenced(strike: Strike, proceed: Proceed) -> NoReturn:  # noqa: ARG001 - it goes no further
    """Refuse a delete because another object refers to this one (C-11)."""
    key = strike.request.params.get("key", "the object")
    raise ProblemError(HTTPStatus.CONFLICT, "referenced", f"{key} is referred to by another object")


def failing_before(status: int) -> Act:
    """Fail with a status, without having done anything."""

    async def fail(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it goes no further
        return _failure(strike, status)

    return fail


def failing_after(status: int) -> Act:
    """Carry the request out, and fail with a status all the same."""

    async def fail(strike: Strike, proceed: Proceed) -> Response:
        await proceed()
        return _failure(strike, status)

    return fail


async def error_inside_before(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it goes no further
    """Do nothing, and say so in the body of a 200."""
    return _error_inside(strike)


async def error_inside_after(strike: Strike, proceed: Proceed) -> Response:
    """Carry the request out, and speak of an error in the body of a 200."""
    await proceed()
    return _error_inside(strike)


def _error_inside(strike: Strike) -> Response:
    status = HTTPStatus(strike["status"])
    body = {"type": "urn:offer-emulator:error:injected", "title": status.phrase, "status": status, "detail": "injected"}
    return json_answer(HTTPStatus.OK, body)


def _failure(strike: Strike, status: int) -> Response:
    failure = ProblemError(status, "injected", HTTPStatus(status).phrase)
    response = SHAPES[strike["body"]](status, problem(failure, status, strike.request.exchange.request_id))
    response.headers.update(_retry_after(strike))
    return response


def _retry_after(strike: Strike) -> dict[str, str]:
    wanted = strike["retry-after"]
    match wanted:
        case "none" | "empty" | "date":
            return retry_after(wanted, round(strike["seconds"] * _SECOND_US), strike.world.library.now_us())
        case "garbage":
            return {"Retry-After": "soon"}
        case _:
            return {"Retry-After": wanted}
