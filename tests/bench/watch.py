"""Times the sending part of a measurement, and has its instructions counted."""

from __future__ import annotations

import os
import subprocess
import time
from array import array
from typing import Literal


class Watch:
    """Times the sending part."""

    def __init__(self, *, every: bool, counted: int | None) -> None:
        """Wait for the first request.

        Args:
            every: keep the time of every write.
            counted: see `Order`.
        """
        self.requests = 0
        self.reads = 0
        self.sends = array("q")
        self.sending_s = 0.0
        self.cpu_s = 0.0
        self._every = every
        self._counted = counted

    def read(self) -> None:
        """Note that a read begins."""
        self._begin()
        self.reads += 1

    def write(self) -> None:
        """Note that a write begins."""
        self._begin()
        self.requests += 1
        if self._every:
            self.sends.append(time.monotonic_ns())
        if self.requests == self._counted:
            instrumentation("on")

    def _begin(self) -> None:
        if not self.requests and not self.reads:
            self._began_at = time.monotonic()
            self._cpu_before_s = time.process_time()

    def stop(self) -> None:
        """Note that the last write has ended."""
        self.sending_s = time.monotonic() - self._began_at
        self.cpu_s = time.process_time() - self._cpu_before_s
        if self._counted is not None:
            instrumentation("off")


def instrumentation(mode: Literal["on", "off"]) -> None:
    """Have callgrind, which runs this process, count instructions or not: off, it is ten times as fast."""
    subprocess.run(["vgdb", f"--pid={os.getpid()}", "instrumentation", mode], capture_output=True, check=True)
