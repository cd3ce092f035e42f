"""The real time and the real dice."""

from __future__ import annotations

import random
import time


class SystemClock:
    """Implements `ports.Clock` with the machine's clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    chance = staticmethod(random.random)
