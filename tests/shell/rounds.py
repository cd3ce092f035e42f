"""What the tests of rounds and looks share: an engine with everything around it, and what a service may answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from migrator.core.model import Answer, Change, Doubt, EntityType, Failure, FailureKind, Kind, Response, Step
from migrator.core.reconcile import Bounds
from migrator.core.states import State
from migrator.core.styles import DPS
from migrator.core.verdict import ErrorClass, Policy
from migrator.engine import Caller, Decide, Decision, Engine
from migrator.ports import Intent, Outcome
from tests.fakes import Line, OpenThrottle, Service, StillClock
from tests.memory import MemoryLedger
from tests.plans import change, stages, steps, written
from tests.waiting import soon

SERVER = Response(500, {}, b"")
LOST = Failure(FailureKind.LOST, "no answer within the time-out")
TAKEN = Response(409, {}, b'{"title": "conflict"}')
GONE = Response(404, {}, b'{"title": "no such offer"}')
REFUSED = Response(422, {}, b'{"title": "no such placement"}')

QUIET = Bounds(quiet_period_s=0.0, search_lag_s=0.0, max_attempts=5)
LOUD = Bounds(quiet_period_s=1000.0, search_lag_s=500.0, max_attempts=5)


class MovingClock(StillClock):
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def now(self) -> float:
        return super().now() + self.passed_s

    def monotonic(self) -> float:
        return super().monotonic() + self.passed_s


def always(decision: Decision, asked: list[str] | None = None) -> Decide:
    async def decide(doubt: Doubt, sentence: str) -> Decision:
        if asked is not None:
            asked.append(sentence)
        return decision

    return decide


def shown(seq: int, etag: int, name: str = "old") -> dict[str, Any]:
    return {"id": f"offer-{seq}", "etag": etag, "name": name}


def document(seq: int, etag: int, name: str = "old") -> Response:
    return Response(200, {}, json.dumps(shown(seq, etag, name)).encode())


def page(*objects: dict[str, Any], total: int | None = None, after: str = "") -> Response:
    links = {"next": {"href": after}} if after else {}
    return Response(200, {}, json.dumps({"results": objects, "total": total, "_links": links}).encode())


class World:
    """An engine with everything around it, and one trace of what happens."""

    def __init__(self, count: int = 1, *, creates: int = 0, of: Sequence[Change] = ()) -> None:
        """Plan so many patches and creates, or else these changes."""
        self.trace: list[Line] = []
        planned = steps(of) if of else [*patches(count), *new(count, creates)]
        self.ledger = MemoryLedger(planned, self.trace, stages(of))
        self.service = Service(self.trace)
        self.throttle = OpenThrottle(self.trace)
        self.clock = MovingClock()

    def engine(self, *, concurrency: int = 1, bounds: Bounds = QUIET, **options: Any) -> Engine:
        return Engine(
            ledger=self.ledger,
            transport=self.service,
            throttle=self.throttle,
            clock=self.clock,
            style=DPS,
            caller=Caller("dev", "us"),
            policy=Policy(max_attempts=1),
            concurrency=concurrency,
            bounds=bounds,
            **options,
        )

    async def run(self, steps: int = 0, **options: Any) -> Engine:
        engine = self.engine(**options)
        await soon(engine.run(steps))
        return engine

    def hurry(self, engine: Engine) -> list[float]:
        """Let waiting take no time but on the clock; return what was waited for, in seconds."""
        waits: list[float] = []

        async def rest(seconds: float) -> None:
            waits.append(seconds)
            self.clock.passed_s += seconds

        engine._wire.rest = rest  # type: ignore[method-assign]
        return waits

    async def lose(self, seq: int, error: str = ErrorClass.NO_ANSWER) -> None:
        """Have sent a step in an earlier process, and its answer lost."""
        await written(self.ledger, Intent(seq, 1, "r", self.clock.now()))
        self.ledger.record(Outcome(seq, State.DOUBT, self.clock.now(), error_class=error, message="no answer"))

    def answer(self, seq: int, *answers: Answer) -> None:
        self.service.answers[f"offer-{seq}"] = list(answers)

    def show(self, seq: int, *answers: Answer) -> None:
        """Say what the next reads of an object see; after that, it is what was sent, or as it was."""
        self.service.looks[f"offer-{seq}"] = list(answers)

    def events(self, seq: int) -> list[str]:
        return [event for event, what in self.trace if what == seq]

    def count(self, event: str) -> int:
        return sum(one == event for one, _ in self.trace)

    def sent(self, seq: int) -> list[list[str]]:
        """Return the operations of each write of a step, in short."""
        bodies = self.service.bodies[f"offer-{seq}"]
        return [[f"{one['op']} {one['value']}" for one in json.loads(body)] for body in bodies]

    def states(self) -> dict[State, int]:
        return Counter(self.ledger.states.values())

    @property
    def last(self) -> Outcome:
        return self.ledger.outcomes[-1]


def patches(count: int) -> list[Step]:
    return steps(change(seq) for seq in range(2, count + 2))


def new(after: int, count: int) -> list[Step]:
    lines = range(after + 2, after + 2 + count)
    return steps(
        Change(line, "dev", EntityType.PERSONALIZED_OFFER, "", Kind.CREATE, document={"name": f"offer-{line}"})
        for line in lines
    )
