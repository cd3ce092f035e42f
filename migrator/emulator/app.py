"""The server: puts the parts together, listens, and stops without dawdling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from aiohttp import web

from migrator.emulator.admin import Admin
from migrator.emulator.containers import sandboxes_of_containers
from migrator.emulator.dps import Dps
from migrator.emulator.entities import RESOURCES
from migrator.emulator.gateway import Gateway
from migrator.emulator.ims import Ims
from migrator.emulator.library import Library
from migrator.emulator.mirror import Mirror
from migrator.emulator.observation import Counters
from migrator.emulator.seeds import seeds
from migrator.emulator.settings import EmulatorSettings
from migrator.emulator.xcore import Xcore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp.typedefs import Middleware

    from migrator.emulator.observation import Effect
    from migrator.emulator.store import Store

_LARGEST_BODY = 4 * 1024 * 1024
"""Bytes of a request body above which it is not read at all (413)."""
_SHUTDOWN_S = 0.1
"""Seconds that requests in flight get when the server stops. Nobody waits for their answers any more."""


class Emulator:
    """The Offer Library on localhost.

    ::

        async with Emulator(EmulatorSettings(seed_offers=10)) as server:
            ...  # requests to server.url, then look at server.effects

    Args:
        settings: how it behaves; None for the defaults.
        middlewares: aiohttp middlewares put around everything, first outermost, for tests that misbehave: what they
            do to an answer happens after the effect.
        clock: nanoseconds since 1970; drives dates, ids, token expiry and rate limits.

    Attributes:
        settings: how it behaves.
        counters: what was asked of it.
        ims: the tokens.
    """

    def __init__(
        self,
        settings: EmulatorSettings | None = None,
        middlewares: Iterable[Middleware] = (),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        def now_us() -> int:
            return clock() // 1000

        self.settings = settings or EmulatorSettings()
        self.counters = Counters()
        self.ims = Ims(self.settings, self.counters, now_us)
        self._library = Library(now_us, self.settings.choices)
        sandboxes = sandboxes_of_containers(self.settings)
        if self.settings.choices.stores == "mirrored":
            self._library.mirror = Mirror(self.store, sandboxes)
        self._xcore = Xcore(self._library, sandboxes, self.settings, self.counters)
        self._gateway = Gateway(self.settings, self.ims, self.counters, now_us)
        self._runner = web.AppRunner(self._application(middlewares), access_log=None, shutdown_timeout=_SHUTDOWN_S)

    @property
    def store(self) -> Store:
        """The objects."""
        return self._library.store

    @property
    def effects(self) -> list[Effect]:
        """The writes so far, in order."""
        return self._library.effects

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            RuntimeError: it does not listen.
        """
        if not self._runner.addresses:
            raise RuntimeError("the emulator is not running")
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """Where it is: scheme, host and port. The styles are at ``/data/core/…`` below."""
        return f"http://{self.settings.host}:{self.port}"

    async def start(self) -> None:
        """Put the seeds in place and listen.

        Raises:
            OSError: the port is taken.
        """
        self._seed()
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.settings.host, self.settings.port).start()
        except OSError:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Close the port and all connections."""
        await self._runner.cleanup()

    def reset(self) -> None:
        """Go back to the seeds: forget writes, counts and used-up rate limits. Tokens stay valid."""
        self._library.clear()
        self._xcore.clear()
        self.counters.clear()
        self._gateway.clear()
        self._seed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _seed(self) -> None:
        for record in seeds(self.settings):
            self._library.seed(record)

    def _application(self, middlewares: Iterable[Middleware]) -> web.Application:
        styles = web.Application(middlewares=[self._gateway.middleware], client_max_size=_LARGEST_BODY)
        styles.add_routes(self._xcore.routes())
        for resource in ("offers", *RESOURCES):
            styles.add_routes(Dps(resource, self._library, self.settings, self.counters).routes())
        whole = web.Application(middlewares=tuple(middlewares))
        whole.add_routes([*self.ims.routes(), *Admin(self._library, self.counters, self.reset).routes()])
        whole.add_subapp("/data/core", styles)
        return whole
