"""Ends requests that take too long: one timer for all of them, because one for each costs a twentieth of a request.

All may take equally long, so that the first to begin is the first to be overdue. Who is overdue is cancelled, as by
`asyncio.timeout`, and like there a cancellation by somebody else is not taken for it.
"""

from __future__ import annotations

import asyncio


class Deadlines:
    """The tasks that wait for an answer, and when each is overdue."""

    def __init__(self, seconds: float) -> None:
        """Give each task `seconds`."""
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._until: dict[asyncio.Task[object], float] = {}  # ascending
        self._overdue: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[object]) -> None:
        """Cancel `task` if it does not end in time."""
        self._until[task] = until = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(until, self._look)

    def passed(self, task: asyncio.Task[object]) -> bool:
        """Whether `task` was cancelled because it is overdue, and for no other reason."""
        return task in self._overdue and task.cancelling() == 1

    def end(self, task: asyncio.Task[object]) -> None:
        """Let `task` be: what it began is over, in time or not."""
        del self._until[task]
        if task in self._overdue:
            self._overdue.remove(task)
            task.uncancel()

    def _look(self) -> None:
        """Cancel who is overdue, and come again when the next one may be."""
        now = self._loop.time()
        self._timer = None
        for task, until in self._until.items():
            if until > now:
                self._timer = self._loop.call_at(until, self._look)
                return
            if task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
