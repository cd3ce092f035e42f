"""A rate that is found out: against a service with a bucket of tokens that says nothing of its size, in a time that
jumps."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from msgspec import Struct

from migrator.core.pacing import Range
from migrator.transport.throttle import Throttle
from tests.shell.simulated import simulate, turns


class Bucket:
    """A service that takes `rate` requests a second, and `burst` at once after a rest."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._at = 0.0

    def wait_s(self) -> float:
        """Take a token; return in how many seconds there is one, 0 if it was taken."""
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self.rate
        self._tokens -= 1
        return 0.0


class Told(Struct):
    """What a service was asked, in seconds from the first request on.

    Attributes:
        taken: when requests were taken.
        refused: when they were refused.
        paces: the rate after each request.
    """

    taken: list[float] = []
    refused: list[float] = []
    paces: list[tuple[float, float]] = []

    def used(self, rate: float, since_s: float, until_s: float) -> float:
        return sum(since_s <= at < until_s for at in self.taken) / (rate * (until_s - since_s))

    def share_refused(self, since_s: float) -> float:
        refused, taken = (sum(at >= since_s for at in times) for times in (self.refused, self.taken))
        return refused / (refused + taken)


async def seek(throttle: Throttle, bucket: Bucket, *, seconds: float, workers: int, answer_s: float) -> Told:
    """Send as fast as the throttle allows."""
    told = Told()
    began_at = time.monotonic()

    async def work() -> None:
        while time.monotonic() < began_at + seconds and await throttle.permit("c", write=True):
            throttle.sent("c", write=True)
            await asyncio.sleep(answer_s / 2)
            wait_s = bucket.wait_s()
            await asyncio.sleep(answer_s / 2)
            throttle.answered("c", write=True, refused=wait_s > 0)
            if wait_s:
                throttle.pause(math.ceil(wait_s), "HTTP 429")  # Retry-After is whole seconds
            now = time.monotonic() - began_at
            (told.refused if wait_s else told.taken).append(now)
            assert throttle.pace is not None
            told.paces.append((now, throttle.pace.rate))

    await asyncio.gather(*(work() for _ in range(workers)))
    return told


@pytest.mark.parametrize(
    ("burst", "workers", "answer_s"),
    [(20, 4, 0.002), (20, 16, 0.05), (20, 64, 0.2), (1, 4, 0.002), (137, 16, 0.02)],
)
def test_a_limit_that_nobody_has_said_is_found_within_20_s_and_hardly_ever_met(
    burst: int, workers: int, answer_s: float
) -> None:
    told = simulate(seek(Throttle(rate=Range()), Bucket(137, burst), seconds=60, workers=workers, answer_s=answer_s))

    assert any(rate >= 0.9 * 137 for at, rate in told.paces if at < 20) or burst == 1
    assert told.used(137, 20, 60) >= (0.9 if burst > 1 else 0.85)
    assert told.share_refused(20) < 0.01


@pytest.mark.parametrize("limit", [10, 400])
def test_other_limits_are_found_likewise(limit: float) -> None:
    told = simulate(seek(Throttle(rate=Range()), Bucket(limit, 20), seconds=60, workers=16, answer_s=0.02))

    assert told.used(limit, 20, 60) >= 0.85
    assert told.share_refused(20) < 0.01


def test_a_limit_that_becomes_lower_and_higher_again_is_followed() -> None:
    async def play() -> list[Told]:
        throttle, bucket = Throttle(rate=Range()), Bucket(100, 20)
        told = []
        for limit in (100, 30, 100):
            bucket.rate = limit
            told.append(await seek(throttle, bucket, seconds=120, workers=16, answer_s=0.02))
        return told

    high, low, again = simulate(play())
    assert high.used(100, 20, 120) >= 0.9
    assert low.used(30, 20, 120) >= 0.9
    assert low.share_refused(20) < 0.01
    assert again.used(100, 60, 120) >= 0.85


def test_a_rate_is_never_above_its_ceiling_nor_above_another_limit() -> None:
    async def play(**limits: Any) -> Told:
        return await seek(Throttle(**limits), Bucket(1000, 1000), seconds=20, workers=16, answer_s=0.01)

    assert simulate(play(rate=Range(ceiling=30))).used(30, 10, 20) <= 1.0
    assert simulate(play(rate=Range(), write_rate=30)).used(30, 10, 20) <= 1.0
    assert simulate(play(rate=Range(), container_rate=30)).used(30, 10, 20) <= 1.0


def test_a_rate_that_is_not_used_does_not_grow() -> None:
    throttle = Throttle(rate=Range())
    # Four in flight for a quarter of a second each: 16/s.
    simulate(seek(throttle, Bucket(1000, 1000), seconds=60, workers=4, answer_s=0.25))

    assert throttle.pace is not None
    assert throttle.pace.rate < 16 / 0.7 * 1.5**0.5 + 1  # in full use at the last look, and grown once more


def test_all_that_was_in_flight_when_one_is_refused_counts_as_one_refusal() -> None:
    async def play() -> float:
        throttle = Throttle(rate=Range(start=100))
        for _ in range(8):
            await throttle.permit("c")
            throttle.sent("c")
        for _ in range(8):
            throttle.answered("c", refused=True)
        assert throttle.pace is not None
        await turns()
        return throttle.pace.rate

    assert simulate(play()) == pytest.approx(85.0)
