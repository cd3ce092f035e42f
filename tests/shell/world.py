"""An engine with fakes all around it, and one trace of what happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from migrator.core.model import Answer, Failure, FailureKind, Response
from migrator.core.reconcile import Bounds
from migrator.core.states import State
from migrator.core.styles import DPS
from migrator.core.verdict import Policy
from migrator.engine import Caller, Engine
from migrator.engine.stock import Stock
from migrator.ports import Ledger
from tests.fakes import Line, OpenThrottle, Service, StillClock
from tests.memory import MemoryLedger
from tests.plans import changes, steps
from tests.waiting import soon

PATIENT = Policy(max_attempts=100)

OK = Response(200, {}, b'{"id": "x", "etag": 2}')
NO_RECEIPT = Response(200, {}, b"cut")
REFUSED = Response(422, {}, b'{"title": "no"}')
SERVER = Response(500, {}, b"")
LOST = Failure(FailureKind.LOST, "no answer within the time-out")
NOT_SENT = Failure(FailureKind.NOT_SENT, "connection refused")
TOO_MANY = Response(429, {"retry-after": "7"}, b"")
LOCKED = Response(423, {}, b"")
GATEWAY = Response(503, {}, b'{"error_code": "503010"}')
BAD_TOKEN = Response(401, {}, b'{"error_code": "401013"}')
FORBIDDEN = Response(403, {}, b'{"title": "forbidden"}')


class World:
    """An engine with everything around it, and one trace of what happens."""

    def __init__(self, containers: Sequence[str], *, chance: float = 0.0, policy: Policy = PATIENT) -> None:
        self.trace: list[Line] = []
        self.ledger = MemoryLedger(steps(changes(containers)), self.trace)
        self.service = Service(self.trace)
        self.throttle = OpenThrottle(self.trace)
        self._chance = chance
        self._policy = policy

    def engine(self, concurrency: int = 2, *, ledger: Ledger | None = None, per_container: int = 0) -> Engine:
        return Engine(
            ledger=ledger or self.ledger,
            transport=self.service,
            throttle=self.throttle,
            clock=StillClock(self._chance),
            style=DPS,
            caller=Caller("dev"),
            policy=self._policy,
            concurrency=concurrency,
            per_container=per_container,
            guard=False,
            bounds=Bounds(quiet_period_s=0.0),
        )

    async def run(self, concurrency: int = 2) -> Engine:
        engine = self.engine(concurrency)
        await soon(engine.run())
        return engine

    def answer(self, seq: int, *answers: Answer | BaseException) -> None:
        self.service.answers[f"offer-{seq}"] = list(answers)

    def hold(self, seq: int) -> asyncio.Event:
        """Answer the requests of a step when the event is set."""
        return self.service.held.setdefault(f"offer-{seq}", asyncio.Event())

    def states(self) -> dict[State, int]:
        return Counter(self.ledger.states.values())

    def sent(self) -> list[int]:
        return [int(str(seq)) for event, seq in self.trace if event == "send"]


def full_speed(monkeypatch: pytest.MonkeyPatch, size: int) -> list[Stock[Any]]:
    """Let every stock hold `size` steps, as if they were taken fast; return those that are made from now on."""
    begin, stocks = Stock.__init__, list[Stock[Any]]()

    def full(stock: Stock[Any], largest: int, monotonic: Callable[[], float]) -> None:
        begin(stock, largest, monotonic)
        stock._size = size
        stocks.append(stock)

    monkeypatch.setattr(Stock, "__init__", full)
    return stocks
