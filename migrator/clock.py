"""The real time and the real dice."""

from __future__ import annotations

import random
import time


class SystemClock:
    """Implements `ports.Clock` with the machine's clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    chance = staticmethod(random.random)

    @staticmethod
    def request_id() -> str:
        """Return a random UUID (version 4). It has to be new, not secret, so the quick generator will do."""
        # Bits 76 to 79 say version 4, bits 62 and 63 say variant 1 (RFC 9562, 5.4).
        bits = random.getrandbits(128) & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
        digits = f"{bits:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
