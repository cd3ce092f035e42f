"""The way of a pending step: its base, its permit, its intent, the request, the verdict, the outcome.

::

    feed ──step──▶ one hand: permit ─▶ intent ──▶ stock ──▶ worker: intent on disk? ─▶ send ─▶ judge ─▶ outcome
              └── no base yet ───────────────────▶ stock ──▶ worker: read it ─▶ permit ─▶ intent ─┘ │
                                                              ▲                                     │
                                                              └─ permit ─▶ intent ◀─ wait ◀─────────┘ on `Again`

The order is the protocol. The permit comes first, so that an intent does not lie open in a queue for one. The intent is
on the disk before the first byte leaves, and the base it rests on is there with it. What is decided is decided by
`core.verdict`; this module only does it.

The stock is what makes a durable intent cheap at full speed. Workers that each waited for the disk before each request
would have it write a few intents at a time; the steps of the next moment lying ready let it write many at once while
others are sent. At lower speed there is no stock, and a step is sent as soon as it has its permit and its intent.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import msgspec

from migrator.core.errors import LedgerFailed
from migrator.core.limits import Fuse
from migrator.core.model import BASED, Answer, Base, Response, Step
from migrator.core.states import Move, State, after
from migrator.core.styles import Style
from migrator.core.verdict import ErrorClass, Halt, Settled, Verdict, judge
from migrator.engine.feed import Feed
from migrator.engine.looking import Looker
from migrator.engine.stock import Ready, Stock
from migrator.engine.wire import NotSent, Patience, Refused, Wire, end_by
from migrator.logs import log
from migrator.ports import Intent, Ledger, Outcome

NO_FAILURE = frozenset({ErrorClass.GUARD_FAILED, ErrorClass.UNCONFIRMED})
"""What needs a look, and is no sign that something is wrong: others have edited, or a deletion was only accepted."""

AHEAD = 4
"""Steps that lie ready for each worker, at the most."""


class Sender:
    """Sends the steps of one feed: one task runs `make_ready`, several run `work`."""

    def __init__(
        self,
        feed: Feed,
        *,
        ledger: Ledger,
        wire: Wire,
        style: Style,
        sandbox: str,
        looker: Looker | None,
        fuse: Fuse,
        concurrency: int,
    ) -> None:
        """Send what `feed` hands out.

        Args:
            feed: the steps.
            ledger: where intents and outcomes go.
            wire: the way to the service.
            style: spells requests and reads receipts.
            sandbox: the profile's sandbox.
            looker: reads the bases of changes; `None` to send them without.
            fuse: ends the run when too much fails.
            concurrency: how many run `work`.
        """
        self._feed = feed
        self._ledger = ledger
        self._wire = wire
        self._clock = wire.clock
        self._throttle = wire.throttle
        self._tally = wire.tally
        self._style = style
        self._sandbox = sandbox
        self._looker = looker
        self._fuse = fuse
        self._stock: Stock[Ready | Step] = Stock(AHEAD * concurrency, wire.clock.monotonic)
        told = log.bind()  # bound once: what is not wanted then costs next to nothing
        self._events = {
            State.APPLIED: (told.debug, "step.applied"),
            State.REJECTED: (told.info, "step.rejected"),
            State.DOUBT: (told.info, "step.in_doubt"),
            State.PENDING: (told.debug, "step.again"),
        }

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stock.stop()
        self._feed.stop()

    async def make_ready(self) -> None:
        """Keep the stock filled; when the run stops, empty it at once: what is in flight may still take long."""
        try:
            while await self._stock.has_room() and (step := self._feed.next() or await self._feed.take()) is not None:
                if self._needs_base(step):
                    self._stock.put(step)  # its worker makes it ready
                    continue
                if not (self._throttle.free or await self._throttle.permit(step.container)):
                    break
                ready = self._intend(step, step.attempts + 1)
                if self._stock.put(ready):
                    ready.commit.hurry()
        finally:
            self._stock.close()
        await self._stock.over()
        if self._wire.stopping:
            await self.take_back_stock()

    async def work(self) -> None:
        """Take what lies ready and settle it, until there is nothing left or the run stops."""
        while not self._wire.stopping and (taken := await self._stock.take()) is not None:
            step = taken if isinstance(taken, Step) else taken.step
            try:
                ready = await self._with_base(taken) if isinstance(taken, Step) else taken
                if ready is not None:
                    await self._settle(ready)
            finally:
                self._feed.done(step)

    async def take_back_stock(self) -> None:
        """Leave no intent open that nobody will send. Where the ledger failed, they stay open."""
        with suppress(LedgerFailed):
            for ready in self._stock.rest():
                if not isinstance(ready, Step):
                    await ready.commit.durable()
                    self._throttle.returned(ready.step.container)
                    self._take_back(ready.step, NotSent.STOPPED)

    def _needs_base(self, step: Step) -> bool:
        return self._looker is not None and step.kind in BASED and not step.based

    async def _with_base(self, step: Step) -> Ready | None:
        """Read the base of a change and make it ready; `None` if it cannot be sent or the run stops."""
        assert self._looker is not None
        base = await self._looker.base_of(step)
        if base is None:
            return None
        if isinstance(base, Refused):
            self._dismiss(step, base)
            return None
        self._ledger.keep(step.seq, base)
        if not await self._throttle.permit(step.container):
            return None
        return self._intend(resting_on(step, base), step.attempts + 1)

    def _dismiss(self, step: Step, why: Refused) -> None:
        """Record that a step ends without a request: its object cannot be read."""
        state = after(State.PENDING, Move.REJECT)
        outcome = Outcome(step.seq, state, self._clock.now(), why.http_status, why.error, why.message)
        self._ledger.dismiss(outcome)
        self._note(step, outcome)

    def _intend(self, step: Step, number: int) -> Ready:
        """Give the intent to send `step`, for which there is a permit, to the ledger as attempt `number`."""
        request = self._style.render(step, sandbox=self._sandbox, request_id=self._clock.request_id())
        intent = Intent(step.seq, number, request.request_id, self._clock.now())
        return Ready(step, number, self._throttle.pauses, request, self._ledger.intend(intent))

    async def _settle(self, ready: Ready) -> None:
        """Try a step until it is settled, the run stops, or the run cannot go on."""
        step = ready.step
        patience = Patience(self._clock)
        while True:
            # The whole point: nothing leaves whose intent is not on the disk.
            await ready.commit.durable()
            began_at = self._clock.monotonic()
            answer = await self._wire.send(step.container, ready.request, partial(self._is_stale, ready))
            if isinstance(answer, NotSent):
                self._take_back(step, answer)
                if answer is NotSent.STOPPED:
                    return
            else:
                patience.count(began_at)
                verdict = self._judged(step, answer, patience)
                if isinstance(verdict, Settled):
                    self._wire.settled += 1
                    return
                if isinstance(verdict, Halt):
                    raise end_by(verdict)
                await self._wire.wait(verdict, patience)
            if not await self._throttle.permit(step.container):
                return
            ready = self._intend(step, ready.number + 1)

    def _is_stale(self, ready: Ready) -> bool:
        """Whether permit and intent are from before a pause, or the ledger may have another owner since.

        Both are then had anew: the ledger says when a request left, give or take a moment, and after a pause permits
        leave evenly.
        """
        return ready.pauses != self._throttle.pauses or self._clock.monotonic() >= ready.commit.good_until

    def _judged(self, step: Step, answer: Answer, patience: Patience) -> Verdict:
        """Judge an answer, and record and tell what became of the step."""
        self._tally.requests += 1
        self._tally.retries += patience.attempts > 1
        verdict = judge(
            answer,
            step.kind,
            self._style,
            patience.attempt(
                settled=self._wire.settled,
                renewable=self._wire.transport.renewable,
                guarded=step.guarded,
                missed=step.misses > 0,
            ),
            self._wire.policy,
            now=self._clock.now(),
            chance=self._clock.chance(),
        )
        outcome = self._outcome(step, answer, verdict)
        self._ledger.record(outcome)
        self._note(step, outcome)
        return verdict

    def _take_back(self, step: Step, why: NotSent) -> None:
        """Record that the step's intent came to nothing: not one byte of its request left."""
        state = after(State.INTENT, Move.NOT_EXECUTED)
        self._ledger.record(Outcome(step.seq, state, self._clock.now(), message=f"not sent: {why.value}"))

    def _outcome(self, step: Step, answer: Answer, verdict: Verdict) -> Outcome:
        """Put the verdict into the words of the ledger."""
        state = after(State.INTENT, verdict.move if isinstance(verdict, Settled) else Move.NOT_EXECUTED)
        receipt = verdict.receipt if isinstance(verdict, Settled) else None
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

    def _note(self, step: Step, outcome: Outcome) -> None:
        """Count how an attempt ended, and log it: one line, as loud as it deserves.

        Raises:
            Stopped: too much fails.
        """
        tally, state = self._tally, outcome.state
        tally.applied += state is State.APPLIED
        tally.rejected += state is State.REJECTED
        tally.in_doubt += state is State.DOUBT
        tally.last_error = outcome.message or tally.last_error
        tell, event = self._events[state]
        tell(
            event,
            line=step.seq,
            container=step.container,
            object=step.object,
            error=outcome.error_class,
            message=outcome.message,
        )
        if state is State.APPLIED:
            self._fuse.success()
        elif state is not State.PENDING and outcome.error_class not in NO_FAILURE:
            self._fuse.failure(outcome.error_class, outcome.http_status, outcome.message)


def resting_on(step: Step, base: Base) -> Step:
    """Return `step` as it is sent on `base`."""
    return msgspec.structs.replace(step, body=base.body, based=True, etag=base.etag, guarded=base.guarded)
