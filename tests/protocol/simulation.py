"""One thread, virtual time, processes that can be killed or paused between any two of their turns.

What is simulated: an event loop whose clock jumps to the next timer when nothing is left to do, so that a quiet period
costs nothing and a run depends on its seed alone; processes in it, each with a ledger thread of its own; the death of a
process, after which not one of its turns is taken any more; and a pause, after which all of them are.

What is not: a turn that takes time, a death or a pause in the middle of a turn (so what the program does without an
`await` is atomic, the check of the lease and the first byte of a request too), and the loss of what SQLite has
committed, so that syncing is switched off.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from functools import partial
from itertools import count
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OWNER: ContextVar[Process | None] = ContextVar("OWNER", default=None)
"""Whose turn it is; the service and the time itself belong to nobody."""


class Process:
    """Something that takes turns until it ends, is killed, or stands still.

    Attributes:
        turns: taken so far.
        kill_at: the turn that is not taken, nor any after it; 0 for none.
        pause_at: the turn before which it stands still for `pause_s`; 0 for none.
        dead: whether it was killed.
    """

    def __init__(self, loop: Loop, kill_at: int = 0, pause_at: int = 0, pause_s: float = 0.0) -> None:
        self.turns = 0
        self.kill_at = kill_at
        self.pause_at = pause_at
        self.pause_s = pause_s
        self.dead = False
        self._paused = False
        self._held: deque[asyncio.Handle] = deque()
        self._loop = loop
        self._main: asyncio.Task[None] | None = None

    def start(self, main: Coroutine[Any, Any, None]) -> None:
        context = Context()
        context.run(OWNER.set, self)
        self._main = self._loop.create_task(main, context=context)

    @property
    def ended(self) -> bool:
        return self._main is not None and self._main.done()

    @property
    def over(self) -> bool:
        return self.dead or self.ended

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def failure(self) -> BaseException | None:
        """What ended it, if it ended by itself and not well."""
        assert self._main is not None
        return self._main.exception() if self._main.done() and not self._main.cancelled() else None

    def take(self, turn: asyncio.Handle) -> None:
        if not (self.dead or self._paused):
            self.turns += 1
            if self.turns == self.kill_at:
                self.kill()
            elif self.turns == self.pause_at:
                self.pause(self.pause_s)
        if self.dead or self._paused:
            self._held.append(turn)
        else:
            turn._run()

    def kill(self) -> None:
        self.dead = True

    def cancel(self) -> None:
        """End it as a second Ctrl-C does: it drops what it has in flight, and closes the ledger."""
        assert self._main is not None
        self._main.cancel()

    def pause(self, seconds: float) -> None:
        self._paused = True
        self._loop.call_at(self._loop.time() + seconds, self._wake, context=Context())

    def _wake(self) -> None:
        self._paused = False
        if not self.dead:
            self._loop.hand_back(self._held)

    def bury(self) -> None:
        """Let a killed process unwind. Call it when all is said and done, and nothing it touches counts any more."""
        self.dead = self._paused = False
        self.kill_at = self.pause_at = 0
        self.cancel()
        self._loop.hand_back(self._held)


class Loop(asyncio.AbstractEventLoop):
    """As much of an event loop as the program needs, first come first served like asyncio's own."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        self.failures: list[dict[str, Any]] = []

    def run_until(self, done: Callable[[], bool]) -> None:
        """Take turns until something is so.

        Raises:
            RuntimeError: nothing is left to do, and it is not.
        """
        asyncio._set_running_loop(self)
        try:
            while not done():
                if not self._turn():
                    raise RuntimeError("everybody waits for ever")
        finally:
            asyncio._set_running_loop(None)

    def go_on_for(self, turns: int) -> None:
        """Take so many turns, or as many as there are."""
        left = iter(range(turns))
        self.run_until(lambda: next(left, None) is None or not (self._ready or self._timers))

    def rest(self, seconds: float) -> None:
        """Take all the turns of the next `seconds`."""
        until = self._now + seconds
        self.call_at(until, lambda: None, context=Context())
        self.run_until(lambda: self._now >= until)

    def settle(self) -> None:
        """Take all the turns that can be taken now."""
        self.run_until(lambda: not self._ready)

    def _turn(self) -> bool:
        """Take one turn; return whether there was one."""
        if not self._ready:
            self._advance()
        if not self._ready:
            return False
        handle = self._ready.popleft()
        if not handle.cancelled():
            owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
            handle._run() if owner is None else owner.take(handle)
        return True

    def _advance(self) -> None:
        """Jump to the next timer."""
        while self._timers and (not self._ready or self._timers[0][0] <= self._now):
            when, _, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._now = max(self._now, when)
                self._ready.append(handle)

    def hand_back(self, held: deque[asyncio.Handle]) -> None:
        """Let what was held up take its turns before everything else."""
        while held:
            self._ready.appendleft(held.pop())

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, copy_context() if context is None else context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        return asyncio.wrap_future(executor.submit(func, *args), loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


class Disk(ThreadPoolExecutor):
    """The thread of a ledger: does one thing after the other, each in a turn of its own, a moment after it was asked.

    What it is asked for before its process is killed and does not come to is not done.
    """

    def __init__(self, loop: Loop, moment_s: Callable[[], float]) -> None:
        super().__init__(max_workers=1)  # whose thread is never started
        self._loop = loop
        self._moment_s = moment_s
        self._calls: deque[Callable[[], None]] = deque()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        self._calls.append(partial(_settle, future, partial(fn, *args, **kwargs)))
        self._loop.call_later(self._moment_s(), self._next)
        return future

    def _next(self) -> None:
        if self._calls:
            self._calls.popleft()()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        while self._calls:
            self._next()


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 (as the real one does)
        future.set_exception(error)
