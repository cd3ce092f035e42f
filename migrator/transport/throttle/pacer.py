"""A limit that is sought: what is answered and what is refused, counted for `core.pacing`, which decides."""

from __future__ import annotations

import time

from migrator.core.pacing import Pace, Range, after_refusal, after_span, begin
from migrator.logs import log

SPAN_S = 0.5
"""How often the rate is looked at, seconds."""

SPAN_REQUESTS = 5
"""Answers that are needed to tell a speed: at low rates the spans are longer."""


class Pacer:
    """Counts what is sent and answered, and says the rate: a new one from span to span, and at each refusal."""

    def __init__(self, within: Range, found: Pace | None = None) -> None:
        """Seek the rate within bounds, from the pace that was found before, if any."""
        self.pace = begin(within, found)
        self._within = within
        self._in_flight = 0
        self._before_cut = 0
        """Answers to come to requests that left before the last cut: they say nothing of the rate after it."""
        self._answered = 0
        self._began_at = 0.0
        self._speed: float | None = None

    def sent(self) -> None:
        """Count a request that leaves."""
        self._in_flight += 1
        self._began_at = self._began_at or time.monotonic()

    def answered(self, *, refused: bool) -> float:
        """Take in an answer, and return the rate from now on."""
        self._in_flight -= 1
        if self._before_cut:
            self._before_cut -= 1
        elif refused:
            self._cut()
        else:
            self._answered += 1
            self._look()
        return self.pace.rate

    def paused(self, until: float) -> None:
        """Begin the next span at `until`, on the monotonic clock: nothing is sent before."""
        self._began_at = until
        self._answered = 0

    def _look(self) -> None:
        """Let the rate grow if there has been enough to see."""
        now = time.monotonic()
        seconds = now - self._began_at
        if seconds < max(SPAN_S, SPAN_REQUESTS / self.pace.rate):
            return
        self._speed = self._answered / seconds
        self.pace = after_span(self.pace, self._within, seconds, self._speed)
        self._began_at = now
        self._answered = 0

    def _cut(self) -> None:
        before = self.pace.rate
        self.pace = after_refusal(self.pace, self._within, self._speed)
        self._before_cut = self._in_flight
        self._speed = None
        self.paused(time.monotonic())
        log.info("rate.lowered", before=round(before, 1), now=round(self.pace.rate, 1))
