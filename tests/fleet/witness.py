"""A migrator whose requests are noted as they leave: `python -m tests.fleet.witness FILE COMMAND …`.

A service sees when a request arrives, and on a busy machine that may be a while after it left. What the limit holds is
the leaving. Each moment is written at once, as eight bytes, so that a kill loses none of them.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from migrator.cli import main
from migrator.fleet.limiter import FleetThrottle

INSTANT = struct.Struct("<q")


def note_sends(file: Path) -> None:
    """Let every request of this process be noted: nanoseconds of the monotonic clock, which processes share."""
    notes = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sent = FleetThrottle.sent

    def noted(throttle: FleetThrottle, container: str, *, write: bool = False) -> None:
        os.write(notes, INSTANT.pack(time.monotonic_ns()))
        sent(throttle, container, write=write)

    FleetThrottle.sent = noted  # type: ignore[assignment, method-assign]


def noted_sends(file: Path) -> Sequence[int]:
    """Return when requests left, ascending."""
    return sorted(instant for (instant,) in INSTANT.iter_unpack(file.read_bytes()))


if __name__ == "__main__":
    note_sends(Path(sys.argv.pop(1)))
    main()
