"""Where a running run stands, as whoever looks on sees it: counts, rate, pause."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime

from msgspec import Struct

from migrator.api import Running, Work
from migrator.core.states import State

RATE_SPAN_S = 5.0
"""The rate shown is that of the last seconds, not of the whole run: after a pause it should say what is now."""

ETA_SPAN_S = 30.0
"""What is left is told from more of them, so that it does not jump."""


class Meter:
    """So many a second over the last few seconds."""

    def __init__(self, span_s: float = RATE_SPAN_S) -> None:
        """Begin without a reading."""
        self._span_s = span_s
        self._readings: deque[tuple[float, int]] = deque()

    @property
    def has_two(self) -> bool:
        """Whether it has been read twice, so that it can tell a rate."""
        return len(self._readings) > 1

    def read(self, count: int) -> float:
        """Take in the number so far and return the rate."""
        now = time.monotonic()
        self._readings.append((now, count))
        while len(self._readings) > 2 and now - self._readings[1][0] > self._span_s:
            self._readings.popleft()
        began_at, before = self._readings[0]
        return (count - before) / (now - began_at) if now > began_at else 0.0


class Standing(Struct, frozen=True):
    """Where the steps of a run stand now."""

    applied: int
    unchanged: int
    failed: int
    in_doubt: int
    unresolved: int
    surveyed: int

    @property
    def done(self) -> int:
        """Those that there is no more to do about."""
        return self.applied + self.unchanged + self.failed + self.unresolved + self.surveyed


def standing_of(running: Running) -> Standing:
    """Add what has happened to where the run stood at the start, where it found all open intents to be in doubt."""
    before, tally = running.before.steps.get, running.engine.tally
    return Standing(
        applied=before(State.APPLIED, 0) + tally.applied,
        unchanged=before(State.UNCHANGED, 0) + tally.unchanged,
        failed=before(State.REJECTED, 0) + tally.rejected,
        in_doubt=before(State.DOUBT, 0) + before(State.INTENT, 0) + tally.in_doubt,
        unresolved=before(State.UNRESOLVED, 0) + tally.unresolved,
        surveyed=tally.surveyed if running.work is Work.SURVEY else 0,
    )


class Paused(Struct, frozen=True):
    """Everybody waits.

    Attributes:
        until: time of day.
        because: the reason.
    """

    until: str
    because: str


def pause_of(running: Running) -> Paused | None:
    """Return the pause that everybody is in, if so."""
    gate = running.throttle.gate
    if gate.shut_s <= 0:
        return None
    until = datetime.fromtimestamp(time.time() + gate.shut_s).astimezone()
    return Paused(f"{until:%H:%M:%S}", gate.pause.reason)
