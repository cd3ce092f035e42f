"""The server: puts the parts together, listens, and stops without dawdling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from migrator.emulator import foreign, openapi, snapshot
from migrator.emulator.admin import Admin
from migrator.emulator.containers import Containers
from migrator.emulator.dps import Dps
from migrator.emulator.entities import RESOURCES
from migrator.emulator.faults import ActiveFault, FaultRule, Faults, LateWrites, World
from migrator.emulator.gateway import Gateway, is_behind
from migrator.emulator.http import Route, Router, Server, around
from migrator.emulator.ims import Ims
from migrator.emulator.library import Library
from migrator.emulator.mirror import Mirror
from migrator.emulator.observation import Counters, Requests
from migrator.emulator.seeds import seeds
from migrator.emulator.settings import EmulatorSettings
from migrator.emulator.xcore import Xcore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from migrator.emulator.entities import Style
    from migrator.emulator.http import Answer, Middleware, Request
    from migrator.emulator.observation import Effect, Exchange
    from migrator.emulator.snapshot import LineError
    from migrator.emulator.store import Record, Store


class Emulator:
    """The Offer Library on localhost.

    ::

        async with Emulator(EmulatorSettings(seed_offers=10)) as server:
            ...  # requests to server.url, then look at server.effects

    Args:
        settings: how it behaves; None for the defaults.
        middlewares: put around everything, the first outermost, for tests that misbehave in a way that no fault does:
            what they do to an answer happens after the effect.
        clock: nanoseconds since 1970; drives dates, ids, token expiry and rate limits.

    Attributes:
        settings: how it behaves.
        counters: what was asked of it.
        ims: the tokens.
        faults: the rules of misbehaviour in force.
        late: effects whose time is still to come.
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
        self.late = LateWrites()
        self._library = Library(now_us, self.settings.choices)
        self.faults = Faults(World(self._library, self.ims, self.late), self.settings.fault_seed)
        self.faults.restart(self.settings.rules)
        self._containers = Containers(self.settings)
        if self.settings.choices.stores == "mirrored":
            self._library.mirror = Mirror(self.store, self._containers)
        self._xcore = Xcore(self._library, self._containers, self.settings, self.counters)
        self._requests = Requests(self.settings.request_log)
        self._gateway = Gateway(self.settings, self.ims, self.counters, self._requests, self.faults, now_us)
        self._router = Router(self._routes())
        self._server = Server(self._router, around(self._answer, middlewares))

    @property
    def store(self) -> Store:
        """The objects."""
        return self._library.store

    @property
    def effects(self) -> list[Effect]:
        """The writes so far, in order."""
        return self._library.effects

    @property
    def requests(self) -> list[Exchange]:
        """The requests that are over, in the order in which they ended; the newest `EmulatorSettings.request_log`."""
        return list(self._requests.finished)

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            RuntimeError: it does not listen.
        """
        return self._server.port

    @property
    def url(self) -> str:
        """Where it is: scheme, host and port. The styles are at ``/data/core/…`` below."""
        host = self.settings.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Put the seeds in place and listen.

        Raises:
            OSError: the port is taken.
        """
        self._put(seeds(self.settings))
        await self._server.start(self.settings.host, self.settings.port)

    async def stop(self) -> None:
        """Close the port and all connections, and forget effects whose time has not come."""
        await self._server.stop()
        await self.late.stop()

    def reset(self) -> None:
        """Go back to the start: its objects, its rules of misbehaviour, and no story. Issued tokens stay valid."""
        self._begin(seeds(self.settings))

    def add_fault(self, rule: FaultRule | str) -> ActiveFault:
        """Misbehave by one more rule from now on.

        Returns:
            The rule in force, which counts what it strikes. `remove_fault` takes its number.

        Raises:
            ValueError: the text is not a rule.
        """
        return self.faults.add(FaultRule.parse(rule) if isinstance(rule, str) else rule)

    def remove_fault(self, number: int) -> bool:
        """Take a rule out of force. False when there is none of that number."""
        return self.faults.remove(number)

    def edit(self, style: Style, container: str, key: str, patch: list[dict[str, Any]]) -> Effect:
        """Change an object the way somebody else would, past the doors.

        Args:
            style: the endpoint style.
            container: container id (xcore) or sandbox name (dps).
            key: instance id (xcore) or id (dps).
            patch: JSON Patch in the pointers of the style.

        Raises:
            RefusalError: there is no such object, or the patch does not apply.
        """
        record = foreign.find(self._library, style, container, key)
        foreign.edit(self._library, record, patch)
        return self.effects[-1]

    def snapshot(self) -> list[snapshot.Line]:
        """All objects, as lines of the format that `migrator.emulator.snapshot` describes."""
        return [snapshot.line(record) for record in self.store]

    def load(self, lines: Iterable[bytes]) -> list[LineError]:
        """Begin a new story, as `reset` does, with the objects of a snapshot instead of the seeds.

        Containers and sandboxes of the snapshot exist from then on until the next reset.

        Returns:
            What is wrong with the lines. If anything is, nothing has changed.
        """
        records, errors = snapshot.read(lines)
        if not errors:
            self._begin(records)
        return errors

    def openapi(self) -> dict[str, Any]:
        """What it offers, as an OpenAPI 3.1 document."""
        return openapi.describe(self._router, self.settings.choices)

    def state(self) -> dict[str, Any]:
        """Counts of everything, as a JSON object."""
        return {
            "objects": self.store.counts(),
            "writes": len(self.effects),
            **self.counters.state(),
            "in_flight": self._requests.in_flight,
            "most_in_flight": self._requests.most_in_flight,
            "late": {"waiting": len(self.late), **self.late.ended},
            "faults": {str(fault.number): fault.hits for fault in self.faults},
        }

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _begin(self, records: Iterable[Record]) -> None:
        """Forget everything but the tokens, and start with these objects and the rules of the settings."""
        self.late.clear()
        self._library.clear()
        self._xcore.clear()
        self._containers.restart()
        self.counters.clear()
        self._requests.clear()
        self.ims.clear()
        self._gateway.clear()
        self.faults.restart(self.settings.rules)
        self._put(records)

    def _put(self, records: Iterable[Record]) -> None:
        for record in records:
            (self._containers if record.style == "xcore" else self._gateway.sandboxes).add(record.scope)
            self._library.seed(record)

    def _routes(self) -> list[Route]:
        routes = self._xcore.routes()
        for resource in ("offers", *RESOURCES):
            routes += Dps(resource, self._library, self.settings, self.counters).routes()
        return [*routes, Route("POST", "/ims/token/v3", self._gateway.token), *Admin(self).routes()]

    def _answer(self, request: Request) -> Answer:
        return self._gateway.answer(request) if is_behind(request) else request.handler(request)
