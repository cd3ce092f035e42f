"""Faults of the connection and of time: what is lost, what is late, what is slow."""

from __future__ import annotations

import socket
import struct
from asyncio import sleep
from typing import TYPE_CHECKING

from aiohttp import web

from migrator.emulator.answers import html_page
from migrator.emulator.errors import ConnectionLostError

if TYPE_CHECKING:
    from typing import NoReturn

    from migrator.emulator.faults.strikes import Proceed, Strike

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` on, for 0 seconds: closing sends a reset."""


async def drop_before(strike: Strike, proceed: Proceed) -> NoReturn:  # noqa: ARG001 - it goes no further
    """Close the connection instead of looking at the request."""
    _hang_up(strike, strike["how"])


async def drop_after(strike: Strike, proceed: Proceed) -> NoReturn:
    """Carry the request out, and close the connection instead of answering."""
    await proceed()
    _hang_up(strike, strike["how"])


async def stall_before(strike: Strike, proceed: Proceed) -> web.Response:  # noqa: ARG001 - it goes no further
    """Say nothing for a while, then give up without having looked at the request."""
    return await _stall(strike)


async def stall_after(strike: Strike, proceed: Proceed) -> web.Response:
    """Carry the request out, say nothing for a while, then give up without an answer."""
    await proceed()
    return await _stall(strike)


async def slow(strike: Strike, proceed: Proceed) -> web.Response:
    """Take a while, before or after the effect, and answer."""
    if strike["when"] == "before":
        await strike.request.read()  # the client may be gone when the time has come, and its body with it
        await sleep(strike["seconds"])
        return await proceed()
    response = await proceed()
    await sleep(strike["seconds"])
    return response


async def late(strike: Strike, proceed: Proceed) -> web.Response:
    """Give up at once, and carry the request out later."""
    await strike.request.read()
    strike.world.late.start(strike["seconds"], proceed)
    return _give_up(strike)


async def cut_body(strike: Strike, proceed: Proceed) -> web.Response:
    """Answer, and close the connection in the middle of the body."""
    return _Cut(await proceed(), strike.request, strike["keep"])


class _Cut(web.Response):
    """An answer that promises its whole body and breaks off. An empty body is given two bytes, to have a middle."""

    def __init__(self, whole: web.Response, request: web.Request, keep: float) -> None:
        body = whole.body if isinstance(whole.body, bytes) and whole.body else b"{}"
        super().__init__(status=whole.status, headers=whole.headers, body=body)
        self.headers["Content-Length"] = str(len(body))
        self._kept = body[: min(len(body) - 1, max(1, round(len(body) * keep)))]
        self._request = request

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - aiohttp's signature
        await self.write(self._kept)
        if self._request.transport is not None:
            self._request.transport.close()


async def _stall(strike: Strike) -> web.Response:
    await sleep(strike["seconds"])
    return _give_up(strike)


def _give_up(strike: Strike) -> web.Response:
    """End without an answer of the service's: a closed connection, or the page of a proxy that waited too long."""
    if strike["then"] == "drop":
        _hang_up(strike, "close")
    return html_page(504)


def _hang_up(strike: Strike, how: str) -> NoReturn:
    """Close the connection, with what is still unsent on it thrown away."""
    transport = strike.request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if how == "reset" and connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    raise ConnectionLostError
