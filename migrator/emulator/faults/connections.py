"""Faults of the connection and of time: what is lost, what is late, what is slow."""

from __future__ import annotations

from asyncio import sleep
from typing import TYPE_CHECKING

from migrator.emulator.answers import html_page
from migrator.emulator.errors import ConnectionLostError

if TYPE_CHECKING:
    from typing import NoReturn

    from migrator.emulator.faults.strikes import Proceed, Strike
    from migrator.emulator.http import Response


async def drop_before(strike: Strike, proceed: Proceed) -> NoReturn:  # noqa: ARG001 - it goes no further
    """Close the connection instead of looking at the request."""
    _hang_up(strike, strike["how"])


async def drop_after(strike: Strike, proceed: Proceed) -> NoReturn:
    """Carry the request out, and close the connection instead of answering."""
    await proceed()
    _hang_up(strike, strike["how"])


async def stall_before(strike: Strike, proceed: Proceed) -> Response:  # noqa: ARG001 - it goes no further
    """Say nothing for a while, then give up without having looked at the request."""
    return await _stall(strike)


async def stall_after(strike: Strike, proceed: Proceed) -> Response:
    """Carry the request out, say nothing for a while, then give up without an answer."""
    await proceed()
    return await _stall(strike)


async def slow(strike: Strike, proceed: Proceed) -> Response:
    """Take a while, before or after the effect, and answer."""
    if strike["when"] == "before":
        await sleep(strike["seconds"])
        return await proceed()
    response = await proceed()
    await sleep(strike["seconds"])
    return response


async def late(strike: Strike, proceed: Proceed) -> Response:
    """Give up at once, and carry the request out later."""
    strike.world.late.start(strike["seconds"], proceed)
    return _give_up(strike)


async def cut_body(strike: Strike, proceed: Proceed) -> Response:
    """Answer, and close the connection in the middle of the body; an empty one is given two bytes, to have a middle."""
    response = await proceed()
    body = response.body if isinstance(response.body, bytes) and response.body else b"{}"
    response.body, response.kept = body, min(len(body) - 1, max(1, round(len(body) * strike["keep"])))
    return response


async def _stall(strike: Strike) -> Response:
    await sleep(strike["seconds"])
    return _give_up(strike)


def _give_up(strike: Strike) -> Response:
    """End without an answer of the service's: a closed connection, or the page of a proxy that waited too long."""
    if strike["then"] == "drop":
        _hang_up(strike, "close")
    return html_page(504)


def _hang_up(strike: Strike, how: str) -> NoReturn:
    """Close the connection, with what is still unsent on it thrown away."""
    strike.request.hang_up(reset=how == "reset")
    raise ConnectionLostError
