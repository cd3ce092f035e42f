"""What stands in for the world around the engine, and plans to try ledgers on.

The fakes implement the ports. `MemoryLedger` passes the same suite as the real ledger (`tests/contracts`).
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self, TypeVar

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import (
    Answer,
    Base,
    Change,
    Doubt,
    EntityType,
    Failure,
    FailureKind,
    Kind,
    Operation,
    Request,
    Response,
    Row,
    Step,
)
from migrator.core.plan import merge, stage_of
from migrator.core.states import LEGAL, State
from migrator.ledger.planfile import PlanFile
from migrator.ledger.records import RunRecord
from migrator.ports import Intent, Ledger, Outcome

L = TypeVar("L")
T = TypeVar("T")

TIMEOUT_S = 30
"""Far more than anything here takes, on any machine."""

ROOT = Path(__file__).parents[1]

STYLE = "dps"

Line = tuple[str, object]
"""Something that happened, and to what."""


def change(line: int, container: str = "dev", object_: str | None = None, value: object = "new") -> Change:
    """Set the name of an object: of one that no other line is for, if none is named."""
    return Change(
        line,
        container,
        EntityType.PERSONALIZED_OFFER,
        object_ or f"offer-{line}",
        Kind.PATCH,
        (Operation("replace", "/name", value),),
    )


def changes(containers: Iterable[str]) -> list[Change]:
    """Return a change of an object of its own for each container named, on lines 2, 3 and so on."""
    return [change(line, container) for line, container in enumerate(containers, start=2)]


def steps(of: Iterable[Change]) -> list[Step]:
    """Return the steps of changes of which no two are for the same object."""
    merged = [merge(STYLE, [one]) for one in of]
    return [step for step in merged if isinstance(step, Step)]


def stages(of: Iterable[Change]) -> dict[int, int]:
    """Return the stages of the steps of such changes, by line."""
    return {one.line: stage_of(one) for one in of}


def row(line: int) -> Row:
    """Return the row that a change on `line` was read from."""
    return Row(line, {}, f'["row {line}"]')


def run_record(run_id: str = "a-run", created_at: float = 1_700_000_000.0, rows: int = 0) -> RunRecord:
    """Return what was asked of a run."""
    return RunRecord(run_id, created_at, STYLE, "in.csv", "0" * 64, "{}", "f" * 64, "{}", rows, rows)


def make_plan(path: Path, of: Iterable[Change], run: RunRecord | None = None) -> Path:
    """Plan `of` into the ledger file `path`."""
    with PlanFile(path, STYLE) as plan:
        rows = sum(1 for one in of if plan.add(row(one.line), one))
        plan.merge()
        plan.finish(run or run_record(rows=rows))
    return path


async def some_turns() -> None:
    """Let everybody do what can be done now."""
    for _ in range(50):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; fails the test if it never is."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 (what is watched has no event of its own)
            await asyncio.sleep(0)


async def written(ledger: Ledger, intent: Intent) -> None:
    """Give `intent` to `ledger` and wait until it is on the disk."""
    await ledger.intend(intent).durable()


async def soon(what: Awaitable[T]) -> T:
    """Wait for what takes no time: a test that would wait for ever fails instead."""
    return await asyncio.wait_for(what, TIMEOUT_S)


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that runs `script` and can use these fakes."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@asynccontextmanager
async def failing(opened: AbstractAsyncContextManager[L]) -> AsyncIterator[L]:
    """Open a ledger that is to fail: leaving it says so once more."""
    ledger = await opened.__aenter__()
    try:
        yield ledger
    finally:
        try:
            await opened.__aexit__(None, None, None)
        except LedgerFailed:
            pass
        else:
            raise AssertionError("the ledger did not fail")


class MemoryCommit:
    """Writes its intent when somebody waits for it, a turn of the loop later."""

    def __init__(self, ledger: MemoryLedger, intent: Intent) -> None:
        self._ledger = ledger
        self._intent = intent
        self._written = False

    @property
    def good_until(self) -> float:
        return self._ledger.good_until

    def hurry(self) -> None:
        pass

    async def durable(self) -> None:
        await asyncio.sleep(0)
        if not self._written:
            self._written = True
            self._ledger.write(self._intent)


class MemoryLedger:
    """A ledger that forgets with the process. Opening it once more is what a resume finds.

    A copy of it (`copy.copy`) shares all that is written: opened, it is another process with the same ledger.

    Attributes:
        states: of the steps that are no longer as they were planned.
        bases: of the steps that have one.
        misses: of the steps that were missed, how often.
        history: every intent that became durable, in order.
        outcomes: every outcome, in order, of steps that were dismissed too.
        seen: by step, what its object was when it was reviewed.
        held: the steps that wait.
        origins: by step, the id of what it is a copy of.
        trace: what happened, in order; shared with other fakes.
        failure: set it, and nothing can be written any more.
        good_until: what commits say.
    """

    def __init__(
        self, planned: Iterable[Step], trace: list[Line] | None = None, stages: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        self._steps = {step.seq: step for step in planned}
        self._stages = {seq: stages.get(seq, 0) for seq in self._steps}
        self.states: dict[int, State] = {}
        self.bases: dict[int, Base] = {}
        self.misses: Counter[int] = Counter()
        self.history: list[Intent] = []
        self.outcomes: list[Outcome] = []
        self.seen: dict[int, Base] = {}
        self.held: set[int] = set()
        self.origins: dict[int, str] = {}
        self.trace: list[Line] = [] if trace is None else trace
        self.failure: LedgerFailed | None = None
        self.good_until = math.inf
        self._last: dict[int, Outcome] = {}
        self._epochs = [0]
        self._epoch = 0

    async def __aenter__(self) -> Self:
        self.failure = None
        self._epoch = len(self._epochs)
        self._epochs.append(self._epoch)
        for seq, state in self.states.items():
            if state is State.INTENT:
                self._move(seq, State.DOUBT)
                said = "the run ended between sending and the answer"
                self._last[seq] = Outcome(seq, State.DOUBT, 0.0, error_class="no_answer", message=said)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._check()

    def state(self, seq: int) -> State:
        return self.states.get(seq, State.PENDING)

    async def stages(self) -> Sequence[int]:
        return sorted(set(self._stages.values()))

    async def containers(self, stage: int) -> Sequence[str]:
        to_send = {step.container for step in self._to_send(stage)}
        return [name for name in dict.fromkeys(step.container for step in self._steps.values()) if name in to_send]

    async def pending(self, container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
        await asyncio.sleep(0)
        found = [step for step in self._to_send(stage) if step.container == container and step.seq > after]
        return [self._known(step) for step in found[:limit]]

    async def doubts(self, states: Collection[State], after: int, limit: int) -> Sequence[Doubt]:
        await asyncio.sleep(0)
        found = [step for seq, step in self._steps.items() if self.state(seq) in states and seq > after]
        return [self._doubt(step) for step in found[:limit]]

    async def unbased(self, container: str, stage: int, kinds: Collection[Kind]) -> Mapping[EntityType, int]:
        return Counter(step.type for step in self._unbased(container, stage, kinds))

    async def unbased_among(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        wanted = [step for step in self._unbased(container, stage, kinds) if step.type is type_]
        return [self._known(step) for step in wanted if step.object in objects]

    async def reviewed(self) -> bool:
        return bool(self.seen)

    async def reviews(self, steps: Collection[int]) -> Mapping[int, Base]:
        return {
            seq: msgspec.structs.replace(base, body=b"", guarded=False)
            for seq, base in self.seen.items()
            if seq in steps
        }

    async def ids(self, references: Collection[str]) -> Mapping[tuple[EntityType, str], str]:
        there = [seq for seq in self.origins if self.state(seq) in (State.APPLIED, State.UNCHANGED)]
        ids = {(self._steps[seq].type, self.origins[seq]): self._last[seq].reference for seq in there}
        return {key: target for key, target in ids.items() if target and key[1] in references}

    async def settled_objects(self, objects: Collection[str]) -> Collection[str]:
        applied = [seq for seq, state in self.states.items() if state is State.APPLIED]
        return {name for seq in applied for name in (self._steps[seq].object, self._last[seq].object)} & set(objects)

    def _to_send(self, stage: int) -> list[Step]:
        return [
            step
            for seq, step in self._steps.items()
            if self._stages[seq] == stage and self.state(seq) is State.PENDING and seq not in self.held
        ]

    def _unbased(self, container: str, stage: int, kinds: Collection[Kind]) -> list[Step]:
        found = [step for step in self._to_send(stage) if step.container == container and step.kind in kinds]
        return [step for step in found if step.seq not in self.bases]

    def _intents(self, seq: int) -> list[Intent]:
        return [intent for intent in self.history if intent.seq == seq]

    def _known(self, step: Step) -> Step:
        known = msgspec.structs.replace(step, attempts=len(self._intents(step.seq)), misses=self.misses[step.seq])
        base = self.bases.get(step.seq)
        if base is None:
            return known
        return msgspec.structs.replace(known, body=base.body, based=True, etag=base.etag, guarded=base.guarded)

    def _doubt(self, step: Step) -> Doubt:
        intents, last = self._intents(step.seq), self._last[step.seq]
        return Doubt(
            msgspec.structs.replace(self._known(step), body=step.body),
            self.bases.get(step.seq),
            self.state(step.seq),
            intents[0].at,
            intents[-1].at,
            last.http_status,
            last.error_class,
            last.message,
            last.at or None if last.state is State.DOUBT else None,
        )

    def keep(self, seq: int, base: Base) -> None:
        self._check()
        self.bases[seq] = base
        self.trace.append(("base", seq))

    def dismiss(self, outcome: Outcome) -> None:
        self._check()
        if self.state(outcome.seq) is not State.PENDING:
            self.failure = LedgerFailed(f"step {outcome.seq} is {self.state(outcome.seq)}: it cannot be dismissed")
            return
        self._settle(outcome)

    def intend(self, intent: Intent) -> MemoryCommit:
        self._check()
        return MemoryCommit(self, intent)

    def write(self, intent: Intent) -> None:
        self._check()
        self._move(intent.seq, State.INTENT)
        self._check()
        self.history.append(intent)
        self.trace.append(("intent", intent.seq))

    def record(self, outcome: Outcome) -> None:
        self._check()
        before = self.state(outcome.seq)
        if before is State.PENDING:
            self.failure = LedgerFailed(f"step {outcome.seq} has no intent")
            return
        lost = before is not State.INTENT and self._last[outcome.seq].error_class != "guard_failed"
        self.misses[outcome.seq] += lost and outcome.state is State.PENDING
        self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        self._move(outcome.seq, outcome.state)
        self._last[outcome.seq] = outcome
        self.outcomes.append(outcome)
        self.trace.append(("outcome", outcome.seq))

    async def flush(self) -> None:
        self._check()

    def _move(self, seq: int, state: State) -> None:
        if (self.state(seq), state) not in LEGAL:
            self.failure = LedgerFailed(f"step {seq} cannot go from {self.state(seq)} to {state}")
        else:
            self.states[seq] = state

    def _check(self) -> None:
        if self._epoch != self._epochs[-1]:
            self.failure = LedgerFailed("another process has taken over this run")
        if self.failure is not None:
            raise self.failure


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

    async def permit(self, container: str) -> bool:
        self.waiting += 1
        await self.open.wait()
        await asyncio.sleep(0)
        self.waiting -= 1
        if not self._closed:
            self._trace.append(("permit", container))
        return not self._closed

    def sent(self, container: str) -> None:
        pass

    def returned(self, container: str) -> None:
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
