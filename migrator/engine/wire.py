"""The one way to the service that everybody in a run shares: one throttle, one stop, one count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

import msgspec
from msgspec import Struct

from migrator.core.errors import ServiceRefused, Stopped
from migrator.core.model import Answer, Request, Response
from migrator.core.pacing import is_refusal
from migrator.core.states import Move
from migrator.core.verdict import Again, Attempt, ErrorClass, Halt, Policy, Scope, Settled, judge_read
from migrator.logs import log
from migrator.ports import Clock, Throttle, Transport


class Tally(Struct):
    """What has changed since the run began or went on; kept current by the engine, read by whoever shows progress.

    Attributes:
        requests: writes sent, repeats included.
        retries: those that were repeats.
        reads: reads sent.
        applied: steps.
        unchanged: steps whose object was as wanted already.
        surveyed: steps that are still to be sent, as a look at their object has shown where there is one.
        rejected: steps.
        in_doubt: steps whose fate is not known; less than 0 if more were settled than got in doubt.
        unresolved: steps that looking could not settle; the same.
        in_flight: requests without an answer yet.
        last_error: what the last request that did not succeed said.
        ended: steps there is no more to do about, by container.
    """

    requests: int = 0
    retries: int = 0
    reads: int = 0
    applied: int = 0
    unchanged: int = 0
    surveyed: int = 0
    rejected: int = 0
    in_doubt: int = 0
    unresolved: int = 0
    in_flight: int = 0
    last_error: str = ""
    ended: Counter[str] = msgspec.field(default_factory=Counter)


class NotSent(Enum):
    """Why a request did not leave, although there was a permit for it."""

    STOPPED = "the run was stopped"
    HELD_UP = "the run was held up"


class Refused(Struct, frozen=True):
    """A read was refused, or could not be answered within all patience.

    Attributes:
        error: why.
        message: what was said, in one line.
        http_status: of the last answer, or `None` if there was none.
    """

    error: ErrorClass
    message: str
    http_status: int | None = None


class Wire:
    """Sends requests one at a time for many, counts them, and lets nobody send once the run stops."""

    def __init__(self, *, transport: Transport, throttle: Throttle, clock: Clock, policy: Policy) -> None:
        """Share `transport` and `throttle`.

        Args:
            transport: sends.
            throttle: gives leave to send.
            clock: time and chance.
            policy: bounds on attempts and delays.
        """
        self.tally = Tally()
        self.transport = transport
        self.throttle = throttle
        self.clock = clock
        self.policy = policy
        self.settled = 0
        """Requests that led to something: a run that moves is not stopped for refusals that are not a step's fault."""
        self.stopping = False
        """Whether nothing may leave any more."""
        self._stopped = asyncio.Event()
        self._log = log.bind()  # bound once: what is not wanted then costs next to nothing

    def stop(self) -> None:
        """Let nothing leave any more; what is in flight may still be answered."""
        self.stopping = True
        self._stopped.set()
        self.throttle.close()

    async def send(
        self, container: str, request: Request, held_up: Callable[[], bool] | None = None
    ) -> Answer | NotSent:
        """Send, once everything is at hand: the throttle is told of the moment at which the request really leaves.

        Args:
            container: for which there is a permit; if nothing is sent, it is given back.
            request: what to send.
            held_up: says at the last moment whether the permit, or what else the request rests on, has become stale.
        """
        write = request.method != "GET"
        failure = None if self.transport.ready else await self.transport.make_ready()
        if failure is not None or self.stopping:
            self.throttle.returned(container, write=write)
            return failure or NotSent.STOPPED
        free = self.throttle.free
        if not (free or await self.throttle.due(container, write=write)):
            return NotSent.STOPPED
        if held_up is not None and held_up():
            self.throttle.returned(container, write=write)
            return NotSent.HELD_UP
        if not free:
            self.throttle.sent(container, write=write)
        self.tally.in_flight += 1
        refused = False
        try:
            answer = await self.transport.send(request)
            refused = is_refusal(answer)
        finally:
            self.tally.in_flight -= 1
            if not free:
                self.throttle.answered(container, write=write, refused=refused)
        return answer

    async def read(
        self, container: str, request: Callable[[str], Request], scope: Scope = Scope.STEP
    ) -> Response | Refused | None:
        """Read until there is an answer.

        Args:
            container: where.
            request: makes the request from a fresh id.
            scope: whom it concerns if the service cannot answer.

        Returns:
            The answer; the refusal, also if patience has run out; `None` if the run stops.

        Raises:
            ServiceRefused: the service refuses the run as a whole.
            Stopped: patience ran out in a matter that concerns the run.
        """
        patience = Patience(self.clock)
        while await self.throttle.permit(container):
            began_at = self.clock.monotonic()
            answer = await self.send(container, request(self.clock.request_id()))
            if answer is NotSent.HELD_UP:
                continue
            if isinstance(answer, NotSent):
                return None
            patience.count(began_at)
            self.tally.reads += 1
            verdict = judge_read(
                answer,
                patience.attempt(settled=self.settled, renewable=self.transport.renewable),
                self.policy,
                scope=scope,
                now=self.clock.now(),
                chance=self.clock.chance(),
            )
            if isinstance(verdict, Settled):
                self.settled += 1
                if isinstance(answer, Response) and verdict.move is Move.APPLY:
                    return answer
                status = answer.status if isinstance(answer, Response) else None
                return Refused(verdict.error, verdict.message, status)
            if isinstance(verdict, Halt):
                raise end_by(verdict)
            await self.wait(verdict, patience)
        return None

    async def wait(self, verdict: Again, patience: Patience) -> None:
        """Wait as the verdict says: everybody at the gate, or this worker alone."""
        patience.renewed_at = self.settled if verdict.error is ErrorClass.CREDENTIALS else None
        self.tally.last_error = verdict.message
        if verdict.scope is Scope.RUN:
            patience.look_up(self.settled)
            self._log.warning("run.paused", seconds=round(verdict.delay_s, 2), because=verdict.message)
            self.throttle.pause(verdict.delay_s, verdict.message)
        else:
            await self.rest(verdict.delay_s)

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until the run stops."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)


class Patience:
    """How often and how long one thing has been tried in this process.

    Attributes:
        attempts: all of them.
        renewed_at: how many requests of the run had led to something when the token of the attempt before this one was
            refused and replaced, or `None` if it was not.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin before the first attempt."""
        self.attempts = 0
        self.renewed_at: int | None = None
        self._clock = clock
        self._tries = 0
        self._began_at = 0.0
        self._settled = 0

    def count(self, began_at: float) -> None:
        """Take in an attempt that began then (monotonic seconds)."""
        self.attempts += 1
        self._tries += 1
        if self._tries == 1:
            self._began_at = began_at

    def attempt(self, *, settled: int, renewable: bool, guarded: bool = False, missed: bool = False) -> Attempt:
        """Return the value that the verdict is given.

        A new token that is refused, too, is not renewed again: unless others could use it meanwhile, so that it has
        only ended as well.
        """
        elapsed_s = self._clock.monotonic() - self._began_at
        return Attempt(self._tries, elapsed_s, renewable and self.renewed_at != settled, guarded, missed)

    def look_up(self, settled: int) -> None:
        """Begin anew if the run has settled steps since the last look.

        Refusals that are not the step's fault, such as a 429, are no reason to stop a run that moves.
        """
        if settled != self._settled:
            self._settled = settled
            self._tries = 1
            self._began_at = self._clock.monotonic()


def end_by(halt: Halt, prefix: str = "") -> ServiceRefused | Stopped:
    """Turn the verdict that nothing can go on into the exception that ends the run."""
    kind = ServiceRefused if halt.refused else Stopped
    return kind(prefix + halt.message, halt.hint)
