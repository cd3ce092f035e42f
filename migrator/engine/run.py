"""The rounds of a run, its workers, and what stops them.

::

    probe ─▶ ┌─▶ look at what is in doubt ─▶ anything pending?  ──yes──▶ send it ─▶ ┐
             │                                       no                             │
             │                          anything still in doubt? ──no──▶ end        │
             │                                      yes                             │
             └──◀── look again, when that can tell more ◀──────────────────◀────────┘

Stages follow each other: what is in a later one, such as the deletion of what others refer to, is sent when all of the
earlier ones is settled.

Nothing of which the fate is unknown is ever sent again without a look, and nothing waits for the fate of another: what
a first look cannot tell is looked at again when all else is done.

Nothing here is ever cancelled in the middle of a request: whatever ends a run, a signal, a refusal, a full disk, stops
handing out steps and lets what is in flight be answered and recorded. Only who cancels the run itself ends that too;
what was in flight then stays an intent in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from functools import partial

from migrator.core.errors import Stopped
from migrator.core.limits import Fuse, Limits
from migrator.core.model import Doubt
from migrator.core.reconcile import Bounds, Finding
from migrator.core.states import Move, State, after
from migrator.core.styles import Style
from migrator.core.verdict import ErrorClass, Policy
from migrator.engine.feed import Feed
from migrator.engine.looking import Decide, Decision, Looker, hold
from migrator.engine.notes import Notes
from migrator.engine.reader import Caller, Reader
from migrator.engine.sending import Sender
from migrator.engine.surveying import Lists, Surveyor
from migrator.engine.wire import Tally, Wire
from migrator.logs import log
from migrator.ports import Clock, How, Ledger, Outcome, Throttle, Transport

WAITING = "what was lost may still be carried out"

PAGE = 500
"""Steps in doubt that are in memory at a time."""


class Engine:
    """Runs the pending steps of one ledger, and settles those in doubt."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        transport: Transport,
        throttle: Throttle,
        clock: Clock,
        style: Style,
        caller: Caller,
        policy: Policy,
        concurrency: int,
        per_container: int = 0,
        guard: bool = True,
        bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        decide: Decide = hold,
    ) -> None:
        """Wire a run.

        Args:
            ledger: the durable truth.
            transport: sends.
            throttle: gives leave to send.
            clock: time and chance.
            style: spells requests and reads receipts.
            caller: who sends.
            policy: bounds on attempts and delays.
            concurrency: requests in flight.
            per_container: requests in flight for each container; 0 for no limit.
            guard: whether to read what an object is before its change, and guard the change by it.
            bounds: when a look at a step in doubt is a proof, and how often to send again.
            limits: when the run stops itself.
            decide: decides what looking cannot tell.
        """
        self._wire = Wire(transport=transport, throttle=throttle, clock=clock, policy=policy)
        self._reader = Reader(self._wire, style, caller)
        self._looker = Looker(self._reader, ledger=ledger, wire=self._wire, bounds=bounds)
        self._ledger = ledger
        self._clock = clock
        self._style = style
        self._caller = caller
        self._concurrency = concurrency
        self._per_container = per_container
        self._guard = guard
        self._bounds = bounds
        self._limits = limits
        self._decide = decide
        self._on_stop: list[Callable[[], None]] = []
        self._ended_by: BaseException | None = None
        self._waits_until = 0.0
        self._log = log.bind()

    @property
    def tally(self) -> Tally:
        """What has been done so far."""
        return self._wire.tally

    @property
    def stopping(self) -> bool:
        """Whether the run is on its way to a clean stop."""
        return self._wire.stopping

    @property
    def waits_s(self) -> float:
        """For how many seconds the run waits for the quiet period to end; 0 or less if it does not."""
        return self._waits_until - self._clock.monotonic()

    def stop(self) -> None:
        """Stop cleanly: hand out nothing more, let what is in flight be answered and recorded."""
        self._wire.stop()
        for stop in self._on_stop:
            stop()

    async def run(self, steps: int = 0) -> None:
        """Send everything that is pending and settle everything that is in doubt.

        Args:
            steps: of the whole run, if a share of them may fail.

        Returns when every step is settled, or after `stop` when nothing is in flight any more.

        Raises:
            ServiceRefused: the service refuses the run as a whole.
            Stopped: patience ran out, a limit was reached, or the ledger failed; what is pending stays pending.
        """
        await self._in_time(self._send_and_settle(Fuse(self._limits, steps)))

    async def reconcile(self) -> None:
        """Settle by reading alone what is in doubt, and look once more at what could not be settled before.

        Raises:
            ServiceRefused: the service refuses the run as a whole.
            Stopped: patience or time ran out, or the ledger failed.
        """
        await self._in_time(self._settle_by_reading())

    async def survey(self) -> None:
        """Read what every object is that is to be changed, and keep it as a base; send nothing.

        Steps are settled that a look shows not to be needed, or not to be possible.

        Raises:
            ServiceRefused: the service refuses the run as a whole.
            Stopped: patience or time ran out, or the ledger failed.
        """
        await self._in_time(self._survey_all())

    async def _in_time(self, work: Coroutine[None, None, None]) -> None:
        """Do `work`, stop it cleanly when its time is over, and raise what ended it."""
        limit_s = self._limits.max_duration_s
        timer = asyncio.get_running_loop().call_later(limit_s, self._run_out_of_time) if limit_s else None
        try:
            await work
        finally:
            if timer is not None:
                timer.cancel()
        if self._ended_by is not None:
            raise self._ended_by

    def _run_out_of_time(self) -> None:
        message = f"the run has taken the {self._limits.max_duration_s:g} s that --max-duration allows"
        self._ended_by = self._ended_by or Stopped(message)
        self.stop()

    async def _send_and_settle(self, fuse: Fuse) -> None:
        stages = await self._ledger.stages()
        to_send = [container for stage in stages for container in await self._ledger.containers(stage)]
        await self._probe_all([*to_send, *await self._containers_in_doubt([State.DOUBT])])
        notes = Notes(self.tally, fuse)
        surveyor = await self._surveyor(notes, guard=self._guard)
        for stage in stages:
            await self._settle_stage(stage, surveyor, notes)

    async def _settle_stage(self, stage: int, surveyor: Surveyor, notes: Notes) -> None:
        while not self.stopping:
            await self._look_at_all([State.DOUBT])
            if containers := await self._ledger.containers(stage):
                await self._send(containers, stage, surveyor, notes)
            elif await self._in_doubt():
                await self._look_at_all([State.DOUBT], patiently=True)
            else:
                break

    async def _surveyor(self, notes: Notes, *, guard: bool, strict: bool = False) -> Surveyor:
        return Surveyor(
            ledger=self._ledger,
            wire=self._wire,
            reader=self._reader,
            notes=notes,
            guard=guard,
            reviewed=await self._ledger.reviewed(),
            strict=strict,
        )

    async def _settle_by_reading(self) -> None:
        await self._probe_all(await self._containers_in_doubt([State.DOUBT, State.UNRESOLVED]))
        # What was given up is looked at once, when a look can tell: it is not asked about twice.
        await self._look_at_all([State.UNRESOLVED], patiently=True)
        await self._look_at_all([State.DOUBT])
        while not self.stopping and await self._in_doubt():
            await self._look_at_all([State.DOUBT], patiently=True)

    async def _in_doubt(self) -> bool:
        return bool(await self._ledger.doubts([State.DOUBT], 0, 1))

    async def _written(self) -> None:
        """Wait until the ledger answers with all that was recorded. If it has failed, that is what ends the run."""
        if self._ended_by is None:
            await self._ledger.flush()

    async def _crew(self, work: Callable[[], Awaitable[None]], *others: Callable[[], Awaitable[None]]) -> None:
        """Let every worker do `work`, beside `others`. The first that fails stops all cleanly, and ends the run."""

        async def guarded(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except BaseException as error:
                self._ended_by = self._ended_by or error
                self.stop()
                # An error is raised by `run`, when nothing is in flight any more. A cancellation is not held up.
                if not isinstance(error, Exception):
                    raise

        async with asyncio.TaskGroup() as crew:
            for each in (*others, *[work] * self._concurrency):
                crew.create_task(guarded(each))

    async def _for_each(self, items: Collection[str], what: Callable[[str], Awaitable[None]]) -> None:
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                if self.stopping:
                    return
                await what(item)

        await self._crew(work)

    async def _probe_all(self, containers: Collection[str]) -> None:
        """Look at every container before the first write, so that a wrong one is found while nothing is changed."""
        await self._for_each(list(dict.fromkeys(containers)), self._reader.probe)

    # Surveying

    async def _survey_all(self) -> None:
        stages = await self._ledger.stages()
        await self._probe_all([container for stage in stages for container in await self._ledger.containers(stage)])
        surveyor = await self._surveyor(Notes(self.tally, Fuse(Limits(equal_failures=0), 0)), guard=True, strict=True)
        for stage in stages:
            await self._survey_stage(stage, surveyor)

    async def _survey_stage(self, stage: int, surveyor: Surveyor) -> None:
        containers = await self._ledger.containers(stage)
        if self.stopping:
            return
        feed = Feed(self._ledger, containers, stage, per_container=0, lists=partial(surveyor.lists, stage=stage))
        taking = asyncio.Lock()
        self._on_stop = [feed.stop]

        async def work() -> None:
            while True:
                async with taking:  # a feed has one taker at a time
                    step = await feed.take()
                if step is None:
                    return
                if isinstance(step, Lists):
                    feed.read(step, more=await step.read_on())
                    continue
                if surveyor.reads(step):
                    await surveyor.base(step)
                elif not step.based:
                    self.tally.surveyed += 1  # of what is to be made there is nothing to read
                feed.done(step)

        await self._crew(work)
        await self._written()

    # Sending

    async def _send(self, containers: Collection[str], stage: int, surveyor: Surveyor, notes: Notes) -> None:
        """Send everything of a stage that is pending."""
        if self.stopping:  # from here to the crew nothing may wait, or a stop would find nobody to tell
            return
        lists = partial(surveyor.lists, stage=stage)
        feed = Feed(self._ledger, list(containers), stage, self._per_container, self._wire.throttle.rest_s, lists)
        sender = Sender(
            feed,
            ledger=self._ledger,
            wire=self._wire,
            style=self._style,
            sandbox=self._caller.sandbox,
            surveyor=surveyor,
            notes=notes,
            concurrency=self._concurrency,
        )
        self._on_stop = [sender.stop]
        await self._crew(sender.work, sender.make_ready)
        await sender.take_back_stock()
        await self._written()

    # Reconciling

    async def _doubts(self, states: Collection[State]) -> AsyncIterator[Doubt]:
        last = 0
        while page := await self._ledger.doubts(states, last, PAGE):
            for doubt in page:
                yield doubt
            last = page[-1].step.seq

    async def _containers_in_doubt(self, states: Collection[State]) -> list[str]:
        return list({doubt.step.container: None async for doubt in self._doubts(states)})

    async def _look_at_all(self, states: Collection[State], *, patiently: bool = False) -> None:
        """Look at every step in `states`: at once, or each not before a look can tell that there is no effect."""
        doubts = self._doubts(states)
        taking = asyncio.Lock()

        async def work() -> None:
            while not self.stopping:
                async with taking:  # an asynchronous generator has one reader at a time
                    doubt = await anext(doubts, None)
                if doubt is None:
                    return
                if patiently and (wait_s := self._looker.told_in_s(doubt)) > 0:
                    await self._wire.rest(self._announced(wait_s))
                finding = await self._looker.look(doubt)
                if finding is not None:
                    await self._conclude(doubt, finding)

        await self._crew(work)
        await self._written()

    def _announced(self, wait_s: float) -> float:
        """Say that the run waits, if it does not yet."""
        now = self._clock.monotonic()
        if now >= self._waits_until:
            self._log.info("run.waiting", seconds=round(wait_s), because=WAITING)
        self._waits_until = max(self._waits_until, now + wait_s)
        return wait_s

    async def _conclude(self, doubt: Doubt, finding: Finding) -> None:
        """Record what a look proved, or what a person makes of what it could not prove."""
        how = How.LOOK
        if finding.move is Move.GIVE_UP:
            decision = await self._decision(doubt, finding.note)
            if decision is Decision.HOLD and doubt.state is State.UNRESOLVED:
                return  # it stays as it is
            if decision is not Decision.HOLD:
                how = How.POLICY
                move = Move.FIND if decision is Decision.ASSUME_APPLIED else Move.MISS
                # On a fresh base it goes to an object that has changed.
                changed = finding.base is not None
                finding = Finding(move, f"by --on-doubt {decision}: {finding.note}", base=finding.base, changed=changed)
        if finding.changed and finding.move is not Move.FIND and await self._is_reviewed(doubt):
            # What was reviewed is not made anew on what somebody else has left.
            note = f"the object has changed meanwhile: {finding.note}"
            finding = Finding(Move.REJECT, note, ErrorClass.DRIFTED)
        elif finding.base is not None and finding.move is Move.MISS:
            self._ledger.keep(doubt.step.seq, finding.base)
        self._ledger.record(self._outcome(doubt, finding, how))
        self._note(doubt, finding)

    async def _is_reviewed(self, doubt: Doubt) -> bool:
        return doubt.step.seq in await self._ledger.reviews([doubt.step.seq])

    async def _decision(self, doubt: Doubt, sentence: str) -> Decision:
        """Ask what is to be done. By itself a run sends a step again only so often; then a person has to say so."""
        decision = await self._decide(doubt, sentence)
        spent = doubt.state is State.DOUBT and doubt.step.attempts >= self._bounds.max_attempts
        return Decision.HOLD if spent and decision is Decision.RESEND else decision

    def _outcome(self, doubt: Doubt, finding: Finding, how: How) -> Outcome:
        seen = finding.seen
        return Outcome(
            seq=doubt.step.seq,
            state=after(doubt.state, finding.move),
            at=self._clock.now(),
            http_status=doubt.http_status,
            error_class=finding.error,
            message=finding.note,
            etag=seen.etag if seen else None,
            object=seen.object if seen else "",
            reference=seen.reference if seen else "",
            how=how,
        )

    def _note(self, doubt: Doubt, finding: Finding) -> None:
        """Count and log what became of a step in doubt."""
        tally = self.tally
        tally.in_doubt -= doubt.state is State.DOUBT
        tally.unresolved -= doubt.state is State.UNRESOLVED
        tally.applied += finding.move is Move.FIND
        tally.rejected += finding.move is Move.REJECT
        tally.unresolved += finding.move is Move.GIVE_UP
        tally.ended[doubt.step.container] += (finding.move is not Move.MISS) - (doubt.state is State.UNRESOLVED)
        event = {
            Move.FIND: "doubt.applied",
            Move.MISS: "doubt.not_applied",
            Move.REJECT: "doubt.rejected",
            Move.GIVE_UP: "doubt.unresolved",
        }[finding.move]
        tell = self._log.warning if finding.move is Move.GIVE_UP else self._log.info
        tell(event, line=doubt.step.seq, container=doubt.step.container, object=doubt.step.object, seen=finding.note)
