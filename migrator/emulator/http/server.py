"""Listens for connections, drops those that fall silent in the middle of a request, and stops without dawdling."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from migrator.emulator.http.connections import Connection
from migrator.emulator.http.reading import LARGEST_READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.emulator.http.messages import Answer, Request
    from migrator.emulator.http.routes import Router

SILENCE_S = 60.0
"""Seconds that the rest of a request may take to go on coming (408)."""
BACKLOG = 1024
"""Connections that may wait to be accepted: a load begins with many at once."""
SHUTDOWN_S = 0.1
"""Seconds that requests in flight get when the server stops. Nobody waits for their answers any more."""


class Server:
    """A server.

    Args:
        router: the ways that requests can go.
        answer: what answers a request; it has its `handler` then.
    """

    def __init__(self, router: Router, answer: Callable[[Request], Answer]) -> None:
        self._router = router
        self._answer = answer
        self._connections: set[Connection] = set()
        self._buffer = memoryview(bytearray(LARGEST_READ))
        self._listener: asyncio.Server | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            RuntimeError: it does not listen.
        """
        if self._listener is None or not self._listener.sockets:
            raise RuntimeError("the emulator is not running")
        return int(self._listener.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connection, host, port, backlog=BACKLOG)
        self._expire_silent()

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._listener is None:
            return
        if self._watch is not None:
            self._watch.cancel()
        self._listener.close()
        open_ones = list(self._connections)
        for connection in open_ones:
            connection.finish()
        if open_ones:
            await asyncio.wait([connection.closed for connection in open_ones], timeout=SHUTDOWN_S)
        await self._abort(open_ones)
        await self._listener.wait_closed()
        self._listener = None

    async def _abort(self, connections: list[Connection]) -> None:
        """Close what is still open, and be sure that nothing of it is running any more."""
        tasks = [connection.task for connection in connections if connection.task is not None]
        for connection in connections:
            connection.abort()
        await asyncio.gather(*tasks, *(connection.closed for connection in connections), return_exceptions=True)

    def _connection(self) -> Connection:
        return Connection(self._router, self._answer, self._connections, self._buffer)

    def _expire_silent(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self._connections):
            connection.expire(loop.time() - SILENCE_S)
        self._watch = loop.call_later(SILENCE_S / 4, self._expire_silent)
