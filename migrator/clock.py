"""The real time and the real dice."""

from __future__ import annotations

import itertools
import random
import time
from functools import partial

_COUNTED_BITS = 48

_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while a laptop sleeps, where there is such a clock: what is good for a minute is not good after a night."""


class SystemClock:
    """Implements `ports.Clock` with the machine's clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(partial(time.clock_gettime, _BOOT_CLOCK))
    chance = staticmethod(random.random)

    def __init__(self) -> None:
        """Draw what all request ids of this clock begin with."""
        self._prefix = _random_prefix()
        self._requests = itertools.count(random.getrandbits(_COUNTED_BITS - 1))

    def request_id(self) -> str:
        """Return a UUID (version 4) that was never returned before.

        The first 80 bits are drawn once, the rest counts: that is as new as a drawn one, costs a tenth, and the ids of
        a run sort as its requests were made.
        """
        return f"{self._prefix}{next(self._requests):012x}"


def _random_prefix() -> str:
    """Draw all of a UUID but its last group. Bits 76 to 79 say version 4, bits 62 and 63 variant 1 (RFC 9562, 5.4)."""
    bits = random.getrandbits(80) & ~(0xF << 28 | 0x3 << 14) | 0x4 << 28 | 0x2 << 14
    digits = f"{bits:020x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:]}-"
