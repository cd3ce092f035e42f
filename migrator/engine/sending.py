"""The way of a pending step: its base, its permit, its intent, the request, the verdict, the outcome.

::

    feed ──step──▶ one hand: permit ─▶ intent ──▶ stock ──▶ worker: intent on disk? ─▶ send ─▶ judge ─▶ outcome
              └── no base yet ───────────────────▶ stock ──▶ worker: read it ─▶ permit ─▶ intent ─┘ │
                                                              ▲                                     │
                                                              └─ permit ─▶ intent ◀─ wait ◀─────────┘ on `Again`
    feed ──lists of a container, before its steps ──▶ stock ──▶ worker: read a page ─▶ feed

The order is the protocol. The permit comes first, so that an intent does not lie open in a queue for one. The intent is
on the disk before the first byte leaves, and the base it rests on is there with it. What is decided is decided by
`core.verdict`; this module only does it.

The stock is what makes a durable intent cheap at full speed. Workers that each waited for the disk before each request
would have it write a few intents at a time; the steps of the next moment lying ready let it write many at once while
others are sent. At lower speed one lies ready at the most, and none while somebody waits for one.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from migrator.core.errors import LedgerFailed
from migrator.core.model import Answer, Receipt, Response, Step
from migrator.core.states import Move, State, after
from migrator.core.styles import Style
from migrator.core.verdict import Halt, Settled, Verdict, judge
from migrator.engine.feed import Feed
from migrator.engine.notes import Notes
from migrator.engine.stock import Ready, Stock
from migrator.engine.surveying import Lists, Surveyor
from migrator.engine.wire import NotSent, Patience, Wire, end_by
from migrator.ports import Intent, Ledger, Outcome

AHEAD = 16
"""Steps that lie ready for each worker, at the most."""

MOST_AHEAD = 512
"""Steps that lie ready for all of them, at the most: what the ledger is behind stays within 2,048 records."""

NOTHING_TOLD = Receipt(object="", etag=None, reference="")
"""What no receipt says."""


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
        surveyor: Surveyor,
        notes: Notes,
        concurrency: int,
    ) -> None:
        """Send what `feed` hands out.

        Args:
            feed: the steps.
            ledger: where intents and outcomes go.
            wire: the way to the service.
            style: spells requests and reads receipts.
            sandbox: the profile's sandbox.
            surveyor: reads the bases of steps.
            notes: what becomes of steps.
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
        self._surveyor = surveyor
        self._notes = notes
        self._stock: Stock[Ready | Step | Lists] = Stock(min(AHEAD * concurrency, MOST_AHEAD), wire.clock.monotonic)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stock.stop()
        self._feed.stop()

    async def make_ready(self) -> None:
        """Keep the stock filled; when the run stops, empty it at once: what is in flight may still take long."""
        try:
            while (self._stock.room or await self._stock.has_room()) and (
                step := self._feed.next() or await self._feed.take()
            ) is not None:
                if isinstance(step, Lists) or self._surveyor.wants(step):
                    self._stock.put(step)  # its worker reads first
                    continue
                if not (self._throttle.free or await self._throttle.permit(step.container, write=True)):
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
        while not self._wire.stopping and (taken := self._stock.next() or await self._stock.take()) is not None:
            if isinstance(taken, Lists):
                self._feed.read(taken, more=await taken.read_on())
                continue
            step = taken.step if isinstance(taken, Ready) else taken
            try:
                ready = taken if isinstance(taken, Ready) else await self._with_base(step, step.attempts + 1)
                if ready is not None:
                    await self._settle(ready)
            finally:
                self._feed.done(step)

    async def take_back_stock(self) -> None:
        """Leave no intent open that nobody will send. Where the ledger failed, they stay open."""
        with suppress(LedgerFailed):
            for ready in self._stock.rest():
                if isinstance(ready, Ready):
                    await ready.commit.durable()
                    self._throttle.returned(ready.step.container, write=True)
                    self._take_back(ready.step, NotSent.STOPPED)

    async def _with_base(self, step: Step, number: int) -> Ready | None:
        """Read the base of a step and make it ready; `None` if it is not to be sent or the run stops."""
        based = await self._surveyor.base(step)
        return None if based is None else await self._permitted(based, number)

    async def _ready_again(self, ready: Ready) -> Ready | None:
        """Make what was not executed ready once more; `None` if it is not to be sent or the run stops."""
        if self._surveyor.wants(ready.step):  # a pause may have been long
            return await self._with_base(ready.step, ready.number + 1)
        return await self._permitted(ready.step, ready.number + 1)

    async def _permitted(self, step: Step, number: int) -> Ready | None:
        return self._intend(step, number) if await self._throttle.permit(step.container, write=True) else None

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
            if not ready.commit.done:
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
            again = await self._ready_again(ready)
            if again is None:
                return
            ready, step = again, again.step

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
        now = self._clock.now()
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
            now=now,
            chance=self._clock.chance(),
        )
        outcome = _outcome(step, answer, verdict, now)
        self._ledger.record(outcome)
        self._notes.take(step, outcome)
        return verdict

    def _take_back(self, step: Step, why: NotSent) -> None:
        """Record that the step's intent came to nothing: not one byte of its request left."""
        state = after(State.INTENT, Move.NOT_EXECUTED)
        self._ledger.record(Outcome(step.seq, state, self._clock.now(), message=f"not sent: {why.value}"))


def _outcome(step: Step, answer: Answer, verdict: Verdict, at: float) -> Outcome:
    """Put the verdict into the words of the ledger."""
    settled = verdict if isinstance(verdict, Settled) else None
    receipt = (settled and settled.receipt) or NOTHING_TOLD
    return Outcome(
        step.seq,
        after(State.INTENT, settled.move if settled else Move.NOT_EXECUTED),
        at,
        answer.status if isinstance(answer, Response) else None,
        verdict.error,
        verdict.message,
        receipt.etag,
        receipt.object,
        receipt.reference,
    )
