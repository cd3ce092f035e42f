"""Which rate to send at when nobody has said one: up by what the service takes, down by what it refuses.

What belongs here: the next rate, from the present one and what has been seen at it. Who counts, waits and pauses is
`transport.throttle`.

No limit of the service is published, and a refusal is dear: a 429 pauses everybody, mostly for a second or more. So the
rate is sought as TCP seeks its own (CUBIC, RFC 9438), which meets the ceiling seldom and stays close below it:

* Until the first refusal it grows by a share of itself each second.
* A refusal multiplies it by `KEPT`, and what it was is remembered.
* From there it climbs back: fast at first, ever slower towards the rate that was refused, level there for a while, and
  then slowly beyond, for limits change and a refusal may have been somebody else's doing.

A rate that is not used says nothing: it does not grow while there is too little work, or too few are in flight, to use
it, and a refusal is counted against the speed that there really was.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from migrator.core.model import Answer, Response

GROWTH = 0.5
"""By which share of itself the rate grows in a second before the first refusal."""

KEPT = 0.85
"""Which share of the refused rate is left after a refusal."""

CLIMB_S = 30.0
"""Seconds of full use after which a rate is back where it was refused."""

PROBE_S = 10.0
"""Seconds of full use after which it is as far beyond that as it was below."""

USED = 0.7
"""The share of the rate from which on it is in full use. Answers lag behind a rate that grows."""


class Range(Struct, frozen=True):
    """Where a rate is sought, requests a second.

    Attributes:
        ceiling: it never gets higher.
        start: where it begins.
        floor: it never gets lower: a run that crawls is stopped by its refusals, not by us.
    """

    ceiling: float = 1000.0
    start: float = 5.0
    floor: float = 1.0


class Pace(Struct, frozen=True):
    """How fast to send.

    Attributes:
        rate: requests a second.
        refused: the rate that was refused last, or `None` if none was.
        climbed_s: seconds of full use since then.
    """

    rate: float
    refused: float | None = None
    climbed_s: float = 0.0


def is_refusal(answer: Answer) -> bool:
    """Whether an answer says that requests come too fast."""
    return isinstance(answer, Response) and answer.status in (429, 503)


def begin(within: Range, found: Pace | None = None) -> Pace:
    """Return the pace to begin with: what was found before, if anything was."""
    return Pace(_within(within, within.start)) if found is None else replace(found, rate=_within(within, found.rate))


def after_span(pace: Pace, within: Range, seconds: float, speed: float) -> Pace:
    """Return the pace after some time without a refusal.

    Args:
        pace: the one so far.
        within: its bounds.
        seconds: how long.
        speed: requests a second that were answered in that time.
    """
    if speed < USED * pace.rate:
        return pace
    if pace.refused is None:
        return Pace(_within(within, pace.rate * (1 + GROWTH) ** seconds))
    climbed_s = pace.climbed_s + seconds
    beyond_s = climbed_s - CLIMB_S
    rate = pace.refused * (1 + (1 - KEPT) * (beyond_s / (CLIMB_S if beyond_s < 0 else PROBE_S)) ** 3)
    return Pace(_within(within, rate), pace.refused, climbed_s)


def after_refusal(pace: Pace, within: Range, speed: float | None) -> Pace:
    """Return the pace after a refusal.

    Args:
        pace: the one that was refused.
        within: its bounds.
        speed: requests a second that were answered lately, or `None` if that is not known.
    """
    refused = pace.rate if speed is None else min(pace.rate, speed)
    return Pace(_within(within, KEPT * refused), _within(within, refused))


def _within(within: Range, rate: float) -> float:
    return min(max(rate, min(within.floor, within.ceiling)), within.ceiling)
