"""The machine: what it is, which cores to use, and how much of it somebody else took."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

LIBRARIES = ("aiohttp", "yarl", "msgspec", "asyncio-throttle")

MOST_STEAL = 0.05
"""A round during which the hypervisor took more than this share of the CPU is not calm."""

LEAST_BUSY = 0.85
"""Nor is one in which a bare loop, which never waits, got less than this share of its core."""

PATIENCE = 2
"""Rounds that are tried at the most, more than were asked for: to find as many calm ones."""


class Machine(Struct, frozen=True):
    """Where the figures come from.

    Attributes:
        system: kernel and processor family.
        cores: cores this process may use.
        python: implementation and version.
        libraries: versions of what is on the hot path.
        sync_ms: median time of one `fdatasync` after an append, where the ledgers are written.
    """

    system: str
    cores: int
    python: str
    libraries: dict[str, str]
    sync_ms: float


def describe(folder: Path) -> Machine:
    """Describe this machine; `folder` is where the ledgers go."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries={"sqlite": sqlite3.sqlite_version, **{name: version(name) for name in LIBRARIES}},
        sync_ms=_sync_ms(folder),
    )


def described(machine: Machine) -> str:
    """Say in a line where figures come from."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine.libraries.items())
    return f"{machine.system}, {machine.cores} cores, {machine.python}, {libraries}; fdatasync {machine.sync_ms} ms"


def _sync_ms(folder: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            os.write(file.fileno(), bytes(300))
            began_at = time.monotonic()
            os.fdatasync(file.fileno())
            times.append((time.monotonic() - began_at) * 1000)
    return round(statistics.median(times), 3)


def cores() -> tuple[int, int] | tuple[None, None]:
    """Return a core for the client and another for the target, or none if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


@contextmanager
def staying_on(cpu: int | None) -> Iterator[None]:
    """Keep this process on a core, if one is given."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if cpu is None else {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Steal:
    """Measures the share of CPU time that the hypervisor gave to others, from now on."""

    def __init__(self) -> None:
        """Begin."""
        self._before = self._ticks()

    def share(self) -> float:
        """Return the share so far, 0 to 1."""
        stolen, total = (now - before for now, before in zip(self._ticks(), self._before, strict=True))
        return stolen / total if total else 0.0

    @staticmethod
    def _ticks() -> tuple[int, int]:
        # user nice system idle iowait irq softirq steal: proc(5)
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[1:9]]
        return ticks[7], sum(ticks)
