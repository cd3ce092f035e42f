"""Leave to send: the rate limits of a run, and the pause that a 429 imposes on everybody.

`gate` is the pause, `window` one limit, `pacer` a limit that is sought, `limits` all limits of a run together.
"""

from __future__ import annotations

from migrator.transport.throttle.gate import Gate, Pause
from migrator.transport.throttle.limits import Past, Throttle

__all__ = ["Gate", "Past", "Pause", "Throttle"]
