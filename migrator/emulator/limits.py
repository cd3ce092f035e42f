"""How many requests are let through, and what those are told that are not.

A token bucket, kept as one number per key: the time at which the bucket will be full again (the generic cell rate
algorithm, which admits exactly what a bucket with counted tokens admits). Nothing drifts, no bucket needs refilling.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECOND_US = 1_000_000

RetryAfter = Literal["seconds", "date", "empty", "none"]
"""What a 429 carries: whole seconds, an HTTP date, the header without a value, or no such header."""


class Buckets:
    """One token bucket for each key, all of one size.

    Args:
        rate: tokens that flow in per second; 0 means that there is no limit.
        burst: tokens that a full bucket holds.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval_us = round(_SECOND_US / rate) if rate else 0
        self._tolerance_us = self._interval_us * (burst - 1)
        self._full_at_us: dict[str, int] = {}

    def wait_us(self, key: str, now_us: int) -> int:
        """Microseconds until this key's bucket holds a token; 0 when it does."""
        return max(0, self._full_at_us.get(key, 0) - self._tolerance_us - now_us)

    def take(self, key: str, now_us: int) -> None:
        """Take a token that is there."""
        if self._interval_us:
            self._full_at_us[key] = max(now_us, self._full_at_us.get(key, 0)) + self._interval_us

    def clear(self) -> None:
        """Fill all buckets."""
        self._full_at_us.clear()


def take_all(wanted: Sequence[tuple[Buckets, str]], now_us: int) -> int:
    """Take one token from each of several buckets, or none from any.

    Returns:
        0 when all were taken, else the microseconds until all of them hold a token.
    """
    wait_us = max(buckets.wait_us(key, now_us) for buckets, key in wanted)
    if not wait_us:
        for buckets, key in wanted:
            buckets.take(key, now_us)
    return wait_us


def retry_after(form: RetryAfter, wait_us: int, now_us: int) -> dict[str, str]:
    """The header that says when to come back, never too early (errors-and-limits 3, RFC 9110 10.2.3).

    Args:
        form: how to say it.
        wait_us: microseconds until it is worth while.
        now_us: the clock, microseconds since 1970.
    """
    match form:
        case "seconds":
            return {"Retry-After": str(_seconds_up(wait_us))}
        case "date":
            return {"Retry-After": formatdate(_seconds_up(now_us + wait_us), usegmt=True)}
        case "empty":
            return {"Retry-After": ""}
        case "none":
            return {}


def _seconds_up(duration_us: int) -> int:
    return -(-duration_us // _SECOND_US)
