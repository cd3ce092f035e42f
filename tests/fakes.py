"""What stands in for the world around the engine: time, the throttle, and the service.

The fakes implement the ports; that of the ledger is in `memory`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict

import msgspec

from migrator.core.model import Answer, Failure, FailureKind, Request, Response

Line = tuple[str, object]
"""Something that happened, and to what."""


class StillClock:
    """Time does not pass, and chance is what it is told to be."""

    def __init__(self, chance: float = 0.0) -> None:
        self._chance = chance

    def now(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return 5.0

    def chance(self) -> float:
        return self._chance

    def request_id(self) -> str:
        return str(uuid.uuid4())


class OpenThrottle:
    """Grants every permit, unless it is paused; a pause ends when the test says so.

    Attributes:
        open: whether permits are granted now.
        asked: the pauses that were asked for: seconds and reasons.
        waiting: who waits for a permit.
    """

    def __init__(self, trace: list[Line] | None = None) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[tuple[float, str]] = []
        self.waiting = 0
        self.free = False
        self._closed = False
        self._trace: list[Line] = [] if trace is None else trace

    @property
    def pauses(self) -> int:
        return len(self.asked)

    def rest_s(self, container: str) -> float:
        return 0.0

    async def permit(self, container: str, *, write: bool = False) -> bool:
        self.waiting += 1
        await self.open.wait()
        await asyncio.sleep(0)
        self.waiting -= 1
        if not self._closed:
            self._trace.append(("permit", container))
        return not self._closed

    async def due(self, container: str, *, write: bool = False) -> bool:
        return True

    def sent(self, container: str, *, write: bool = False) -> None:
        pass

    def answered(self, container: str, *, write: bool = False, refused: bool = False) -> None:
        pass

    def returned(self, container: str, *, write: bool = False) -> None:
        self._trace.append(("returned", container))

    def pause(self, seconds: float, reason: str) -> None:
        self.asked.append((seconds, reason))
        self.open.clear()

    def close(self) -> None:
        self._closed = True
        self.open.set()


class Service:
    """A transport and the service behind it: applies what it is sent, unless it has another answer ready.

    Attributes:
        answers: what it says to the next requests for an object, in order; an exception is raised.
        probes: what it says to the next probes.
        held: by object, what an answer waits for.
        renewable: whether a refused token is replaced.
        missing: why the next requests may not leave yet, one after the other.
        sent: the objects of all writes, in order of their sending.
        probed: the containers that were looked at.
        in_flight: objects with a request that is not answered yet.
        effects: objects that were changed, in order.
        keeps_what_is_lost: whether a request whose answer says nothing has had its effect.
        looks: what it says to the next reads of an object, in order.
        pages: what it says to the next reads of a list; after that, nothing that can be read.
        listed: the paths and queries of all reads of lists.
        bodies: by object, the bodies of all writes.
    """

    def __init__(self, trace: list[Line] | None = None) -> None:
        self.answers: dict[str, list[Answer | BaseException]] = {}
        self.probes: list[Answer] = []
        self.held: dict[str, asyncio.Event] = {}
        self.renewable = True
        self.missing: list[Failure] = []
        self.sent: list[str] = []
        self.probed: list[str] = []
        self.in_flight: list[str] = []
        self.effects: list[str] = []
        self.keeps_what_is_lost = False
        self.looks: dict[str, list[Answer]] = {}
        self.pages: list[Answer] = []
        self.listed: list[str] = []
        self.bodies: defaultdict[str, list[bytes]] = defaultdict(list)
        self._trace: list[Line] = [] if trace is None else trace

    @property
    def ready(self) -> bool:
        return not self.missing

    async def make_ready(self) -> Failure | None:
        await asyncio.sleep(0)
        return self.missing.pop(0) if self.missing else None

    async def send(self, request: Request) -> Answer:
        name = request.target.rpartition("/")[2].partition("?")[0]
        if request.method == "GET":
            return await (self._look(name) if name.startswith("offer-") else self._list_or_probe(request))
        if request.method == "POST":  # what a create makes is known by its name
            name = msgspec.json.decode(request.body or b"")["name"]
        self._trace.append(("send", int(name.removeprefix("offer-"))))
        self.bodies[name].append(request.body or b"")
        self.sent.append(name)
        self.in_flight.append(name)
        try:
            return await self._answer(name)
        finally:
            self.in_flight.remove(name)

    async def _list_or_probe(self, request: Request) -> Answer:
        container = request.headers["x-sandbox-name"]
        if "orderby=" in request.target:
            self._trace.append(("list", container))
            self.listed.append(request.target)
            await asyncio.sleep(0)
            return self.pages.pop(0) if self.pages else Response(200, {}, b"{}")
        self._trace.append(("probe", container))
        self.probed.append(container)
        await asyncio.sleep(0)
        return self.probes.pop(0) if self.probes else Response(200, {}, b"{}")

    async def _look(self, name: str) -> Answer:
        self._trace.append(("look", int(name.removeprefix("offer-"))))
        await asyncio.sleep(0)
        if ready := self.looks.get(name):
            return ready.pop(0)
        times = self.effects.count(name)
        return Response(
            200, {}, msgspec.json.encode({"id": name, "etag": 1 + times, "name": "new" if times else "old"})
        )

    async def _answer(self, name: str) -> Answer:
        await asyncio.sleep(0)
        if name in self.held:
            await self.held[name].wait()
        ready = self.answers.get(name)
        answer = ready.pop(0) if ready else applied(name)
        if isinstance(answer, BaseException):
            raise answer
        told = isinstance(answer, Response) and answer.status < 300
        refused = isinstance(answer, Failure) and answer.kind is not FailureKind.LOST
        says_nothing = not refused and (not isinstance(answer, Response) or answer.status >= 500)
        if told or (self.keeps_what_is_lost and says_nothing):
            self.effects.append(name)
        return answer


def applied(name: str) -> Response:
    """Return the receipt of a write."""
    return Response(200, {}, msgspec.json.encode({"id": name, "etag": 2}))
