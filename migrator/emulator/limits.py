"""How many requests are let through.

A token bucket, kept as one number per key: the time at which the bucket will be full again (the generic cell rate
algorithm, which admits exactly what a bucket with counted tokens admits). Nothing drifts, no bucket needs refilling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECOND_US = 1_000_000


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


def take_all(wanted: Iterable[tuple[Buckets, str]], now_us: int) -> int:
    """Take one token from each of several buckets, or none from any.

    Returns:
        0 when all were taken, else the microseconds until all of them hold a token.
    """
    wanted = tuple(wanted)
    wait_us = max(buckets.wait_us(key, now_us) for buckets, key in wanted)
    if not wait_us:
        for buckets, key in wanted:
            buckets.take(key, now_us)
    return wait_us
