"""A ledger in memory, which passes the same suite as the real one (`tests/contracts`)."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base, Doubt, EntityType, Kind, Step
from migrator.core.states import LEGAL, State
from migrator.ports import Intent, Outcome
from tests.fakes import Line


class MemoryCommit:
    """Writes its intent when somebody waits for it, a turn of the loop later."""

    def __init__(self, ledger: MemoryLedger, intent: Intent) -> None:
        self._ledger = ledger
        self._intent = intent
        self.done = False

    @property
    def good_until(self) -> float:
        return self._ledger.good_until

    def hurry(self) -> None:
        pass

    async def durable(self) -> None:
        await asyncio.sleep(0)
        if not self.done:
            self.done = True
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

    async def unbased_elsewhere(
        self, container: str, stage: int, type_: EntityType, kinds: Collection[Kind], objects: Collection[str]
    ) -> Sequence[Step]:
        return ()

    async def lend(self, bases: Mapping[int, Base]) -> None:
        raise AssertionError("there is nobody to lend to")

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
