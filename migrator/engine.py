"""The run: steps are made ready one after the other, and a fixed number of workers sends them.

::

    feed ──step──▶ one hand: permit ─▶ intent ──▶ stock ──▶ worker: intent on disk? ─▶ send ─▶ judge ─▶ outcome
                                                              ▲                                  │
                                                              └─ permit ─▶ intent ◀─ wait ◀──────┘ on `Again`

The order is the protocol. The permit comes first, so that an intent does not lie open in a queue for one. The intent is
on the disk before the first byte leaves. What is decided is decided by `core.verdict`; this module only does it.

The stock is what makes a durable intent cheap at full speed. Workers that each waited for the disk before each request
would have it write a few intents at a time; the steps of the next moment lying ready let it write many at once while
others are sent. At lower speed there is no stock, and a step is sent as soon as it has its permit and its intent.

Nothing here is ever cancelled in the middle of a request: whatever ends a run, a signal, a refusal, a full disk, stops
handing out steps and lets what is in flight be answered and recorded. Only who cancels the run itself ends that too;
what was in flight then stays an intent in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from msgspec import Struct

from migrator.core.errors import LedgerFailed, ServiceRefused, Stopped
from migrator.core.model import Answer, Request, Response, Step
from migrator.core.states import Move, State, after
from migrator.core.styles.base import Style
from migrator.core.verdict import Again, Attempt, ErrorClass, Halt, Policy, Scope, Settled, Verdict, judge, judge_read
from migrator.feed import Feed
from migrator.logs import log
from migrator.ports import Clock, Intent, Ledger, Outcome, Throttle, Transport
from migrator.stock import Ready, Stock

AHEAD = 4
"""Steps that lie ready for each worker, at the most."""

STOPPED = "not sent: the run was stopped"
PAUSED = "not sent: the run was paused"


class Tally(Struct):
    """What a run has done so far; kept current by the engine and read by whoever shows progress.

    Attributes:
        requests: requests sent, repeats included.
        retries: those that were repeats.
        applied: steps.
        rejected: steps.
        in_doubt: steps.
        in_flight: requests without an answer yet.
        last_error: what the last request that did not succeed said.
    """

    requests: int = 0
    retries: int = 0
    applied: int = 0
    rejected: int = 0
    in_doubt: int = 0
    in_flight: int = 0
    last_error: str = ""


class Engine:
    """Runs the pending steps of one ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        transport: Transport,
        throttle: Throttle,
        clock: Clock,
        style: Style,
        sandbox: str,
        policy: Policy,
        concurrency: int,
        per_container: int = 0,
    ) -> None:
        """Wire a run.

        Args:
            ledger: the durable truth.
            transport: sends.
            throttle: gives leave to send.
            clock: time and chance.
            style: spells requests and reads receipts.
            sandbox: the profile's sandbox.
            policy: bounds on attempts and delays.
            concurrency: requests in flight.
            per_container: requests in flight for each container; 0 for no limit.
        """
        self.tally = Tally()
        self._log = log.bind()  # bound once: what is not wanted then costs next to nothing
        self._ledger = ledger
        self._transport = transport
        self._throttle = throttle
        self._clock = clock
        self._style = style
        self._sandbox = sandbox
        self._policy = policy
        self._concurrency = concurrency
        self._per_container = per_container
        self._stock = Stock(AHEAD * concurrency, clock.monotonic)
        self._feed: Feed | None = None
        self._stopping = asyncio.Event()
        self._ended_by: BaseException | None = None

    def stop(self) -> None:
        """Stop cleanly: hand out nothing more, let what is in flight be answered and recorded."""
        self._stopping.set()
        self._throttle.close()
        self._stock.stop()
        if self._feed is not None:
            self._feed.stop()

    @property
    def stopping(self) -> bool:
        """Whether the run is on its way to a clean stop."""
        return self._stopping.is_set()

    async def run(self) -> None:
        """Send everything that is pending.

        Returns when every step is settled, or after `stop` when nothing is in flight any more.

        Raises:
            ServiceRefused: the service refuses the run as a whole.
            Stopped: patience ran out, or the ledger failed; what is pending stays pending.
        """
        containers = await self._ledger.containers()
        waiting = iter(containers)
        await self._crew(lambda: self._probe_all(waiting))
        if not self.stopping:
            feed = Feed(self._ledger, containers, self._per_container, self._throttle.rest_s)
            self._feed = feed
            await self._crew(lambda: self._work(feed), lambda: self._make_ready(feed))
            await self._take_back_stock()
        if self._ended_by is not None:
            raise self._ended_by
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

    async def _probe_all(self, containers: Iterator[str]) -> None:
        """Look at every container before the first write, so that a wrong one is found while nothing is changed."""
        for container in containers:
            if self.stopping:
                return
            await self._probe(container)

    async def _probe(self, container: str) -> None:
        patience = Patience(self._clock)
        while await self._throttle.permit(container):
            request = self._style.probe(container, sandbox=self._sandbox, request_id=self._clock.request_id())
            patience.begin()
            answer = await self._send(container, request)
            if answer is None:
                return
            verdict = judge_read(
                answer,
                patience.attempt(renewable=self._transport.renewable),
                self._policy,
                now=self._clock.now(),
                chance=self._clock.chance(),
            )
            if isinstance(verdict, Settled):
                return
            if isinstance(verdict, Halt):
                raise _end(verdict, f"container {container} cannot be used: ")
            await self._wait(verdict, patience)

    async def _make_ready(self, feed: Feed) -> None:
        """Keep the stock filled; when the run stops, empty it at once: what is in flight may still take long."""
        try:
            while await self._stock.has_room() and (step := feed.next() or await feed.take()) is not None:
                if not (self._throttle.free or await self._throttle.permit(step.container)):
                    break
                ready = self._intend(step, step.attempts + 1)
                if self._stock.put(ready):
                    ready.commit.hurry()
        finally:
            self._stock.close()
        await self._stock.over()
        if self.stopping:
            await self._take_back_stock()

    def _intend(self, step: Step, number: int) -> Ready:
        """Give the intent to send `step`, for which there is a permit, to the ledger as attempt `number`."""
        request = self._style.render(step, sandbox=self._sandbox, request_id=self._clock.request_id())
        intent = Intent(step.seq, number, request.request_id, self._clock.now())
        return Ready(step, number, self._throttle.pauses, request, self._ledger.intend(intent))

    async def _work(self, feed: Feed) -> None:
        while not self.stopping and (ready := await self._stock.take()) is not None:
            try:
                await self._settle(ready)
            finally:
                feed.done(ready.step)

    async def _settle(self, ready: Ready) -> None:
        """Try a step until it is settled, the run stops, or the run cannot go on."""
        step = ready.step
        patience = Patience(self._clock)
        while (cleared := await self._cleared(ready)) is not None:
            patience.begin()
            answer = await self._send(step.container, cleared.request)
            if answer is None:
                self._take_back(step, STOPPED)
                return
            self.tally.retries += patience.attempts > 1
            verdict = judge(
                answer,
                step.kind,
                self._style,
                patience.attempt(renewable=self._transport.renewable),
                self._policy,
                now=self._clock.now(),
                chance=self._clock.chance(),
            )
            self._ledger.record(self._outcome(step, answer, verdict))
            self._tell(step, verdict)
            if isinstance(verdict, Settled):
                return
            if isinstance(verdict, Halt):
                raise _end(verdict)
            await self._wait(verdict, patience)
            if not await self._throttle.permit(step.container):
                return
            ready = self._intend(step, cleared.number + 1)

    async def _cleared(self, ready: Ready) -> Ready | None:
        """Wait until the intent is on the disk, which is the whole point. `None`: the run stops in between.

        Permit and intent may be from before a pause. Then both are taken back, and had anew after it: the ledger says
        when a request left, give or take a moment, and after a pause permits leave evenly.
        """
        await ready.commit.durable()
        while ready.pauses != self._throttle.pauses:
            step = ready.step
            self._throttle.returned(step.container)
            self._take_back(step, PAUSED)
            if not await self._throttle.permit(step.container):
                return None
            ready = self._intend(step, ready.number + 1)
            await ready.commit.durable()
        return ready

    def _take_back(self, step: Step, why: str) -> None:
        """Record that the step's intent came to nothing: not one byte of its request left."""
        state = after(State.INTENT, Move.NOT_EXECUTED)
        self._ledger.record(Outcome(step.seq, state, self._clock.now(), message=why))

    async def _take_back_stock(self) -> None:
        """Leave no intent open that nobody will send. Where the ledger failed, they stay open."""
        with suppress(LedgerFailed):
            for ready in self._stock.rest():
                await ready.commit.durable()
                self._throttle.returned(ready.step.container)
                self._take_back(ready.step, STOPPED)

    async def _send(self, container: str, request: Request) -> Answer | None:
        """Send, once everything is at hand: the throttle is told of the moment at which the request really leaves.

        Return `None` when the run stops before that.
        """
        failure = None if self._transport.ready else await self._transport.make_ready()
        if failure is not None or self.stopping:
            self._throttle.returned(container)
            return failure
        self._throttle.sent(container)
        self.tally.requests += 1
        self.tally.in_flight += 1
        try:
            return await self._transport.send(request)
        finally:
            self.tally.in_flight -= 1

    def _outcome(self, step: Step, answer: Answer, verdict: Verdict) -> Outcome:
        """Put the verdict into the words of the ledger, and count it."""
        state = after(State.INTENT, verdict.move if isinstance(verdict, Settled) else Move.NOT_EXECUTED)
        receipt = verdict.receipt if isinstance(verdict, Settled) else None
        self._count(state, verdict.message)
        return Outcome(
            seq=step.seq,
            state=state,
            at=self._clock.now(),
            http_status=answer.status if isinstance(answer, Response) else None,
            error_class=verdict.error,
            message=verdict.message,
            etag=receipt.etag if receipt else None,
            object=receipt.object if receipt else "",
            reference=receipt.reference if receipt else "",
        )

    def _tell(self, step: Step, verdict: Verdict) -> None:
        """Log how an attempt ended: one line, as loud as it deserves."""
        if isinstance(verdict, Settled) and verdict.move is Move.APPLY:
            tell, event = self._log.debug, "step.applied"
        elif isinstance(verdict, Settled) and verdict.move is Move.REJECT:
            tell, event = self._log.info, "step.rejected"
        elif isinstance(verdict, Settled):
            tell, event = self._log.warning, "step.in_doubt"
        else:
            tell, event = self._log.debug, "step.again"
        tell(
            event,
            line=step.seq,
            container=step.container,
            object=step.object,
            error=verdict.error,
            message=verdict.message,
        )

    def _count(self, state: State, message: str) -> None:
        tally = self.tally
        tally.applied += state is State.APPLIED
        tally.rejected += state is State.REJECTED
        tally.in_doubt += state is State.DOUBT
        tally.last_error = message or tally.last_error

    async def _wait(self, verdict: Again, patience: Patience) -> None:
        """Wait as the verdict says: everybody at the gate, or this worker alone."""
        patience.renewed = verdict.error is ErrorClass.CREDENTIALS
        self.tally.last_error = verdict.message
        if verdict.scope is Scope.RUN:
            patience.look_up(self.tally.applied + self.tally.rejected)
            self._log.warning("run.paused", seconds=round(verdict.delay_s, 2), because=verdict.message)
            self._throttle.pause(verdict.delay_s, verdict.message)
        elif verdict.delay_s > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), verdict.delay_s)


class Patience:
    """How often and how long one thing has been tried in this process.

    Attributes:
        attempts: all of them.
        renewed: whether the attempt before this one ended with a token that was refused and replaced.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin before the first attempt."""
        self.attempts = 0
        self.renewed = False
        self._clock = clock
        self._tries = 0
        self._began_at = 0.0
        self._settled = 0

    def begin(self) -> None:
        """Note that an attempt begins."""
        self.attempts += 1
        self._tries += 1
        if self._tries == 1:
            self._began_at = self._clock.monotonic()

    def attempt(self, *, renewable: bool) -> Attempt:
        """Return the value that the verdict is given."""
        elapsed_s = self._clock.monotonic() - self._began_at
        return Attempt(self._tries, elapsed_s, renewable=renewable and not self.renewed)

    def look_up(self, settled: int) -> None:
        """Begin anew if the run has settled steps since the last look.

        Refusals that are not the step's fault, such as a 429, are no reason to stop a run that moves.
        """
        if settled != self._settled:
            self._settled = settled
            self._tries = 1
            self._began_at = self._clock.monotonic()


def _end(halt: Halt, prefix: str = "") -> ServiceRefused | Stopped:
    """Turn the verdict that nothing can go on into the exception that ends the run."""
    kind = ServiceRefused if halt.refused else Stopped
    return kind(prefix + halt.message, halt.hint)
