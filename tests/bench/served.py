"""A server to set beside another, in a process of its own: the emulator, or the least that aiohttp can do.

`bare` is what any emulator built on `aiohttp.web` pays: a route, the body read, a constant receipt.

Run as a program, with its kind, the number of offers and the core to stay on, it prints its port. For each line on
standard input it prints the seconds of CPU that it has used, and it ends when standard input does, so that it cannot
outlive who started it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from migrator.emulator import Emulator, EmulatorSettings
from tests.bench.target import RECEIPTS

TOKEN = "t" * 1200
"""The access token that the emulator accepts, as long as a real one."""

PATHS = {"dps": "/data/core/dps/offers/{key}", "xcore": "/data/core/xcore/{container}/instances/{key}"}


@asynccontextmanager
async def emulator(offers: int) -> AsyncIterator[int]:
    """Run the emulator with so many offers in each style, and give its port."""
    async with Emulator(EmulatorSettings(seed_offers=offers, access_token=TOKEN)) as server:
        yield server.port


@asynccontextmanager
async def bare(_: int) -> AsyncIterator[int]:
    """Run the bare handlers, and give their port."""
    application = web.Application()
    for style, path in PATHS.items():
        application.router.add_patch(path, answering(RECEIPTS[f"/data/core/{style}".encode()]))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


def answering(receipt: Mapping[str, object]) -> Handler:
    """Return a handler that reads what it is sent and answers with `receipt`."""
    body = msgspec.json.encode(receipt)

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    return handle


async def serve(running: AbstractAsyncContextManager[int]) -> None:
    """Keep a server until standard input ends."""
    ended = asyncio.Event()

    def asked() -> None:
        lines = os.read(sys.stdin.fileno(), 1)
        say(time.process_time()) if lines else ended.set()

    async with running as port:
        asyncio.get_running_loop().add_reader(sys.stdin, asked)
        say(port)
        await ended.wait()
        asyncio.get_running_loop().remove_reader(sys.stdin)


def say(value: float) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    kind, number, *cpus = sys.argv[1:]
    os.sched_setaffinity(0, {int(cpu) for cpu in cpus} or os.sched_getaffinity(0))
    asyncio.run(serve((emulator if kind == "emulator" else bare)(int(number))))
