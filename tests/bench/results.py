"""What one measurement of a run is, and what those of several rounds come to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from msgspec import Struct

from tests.bench import windows
from tests.bench.sender import Measured
from tests.bench.workload import Workload

TENTH_NS = windows.SECOND_NS // 10


class Speed(Struct, frozen=True, tag="speed"):
    """How fast one way of sending is; medians over the rounds.

    Attributes:
        name: of the scenario.
        requests_per_s: in the sending part.
        cpu_us: microseconds of CPU a request, user and system, all threads.
        busy: share of one core that the process had in the sending part. The bare loop never waits, so that less than
            nearly all of a core means that others had the rest, and that requests a second say little.
        whole_s: seconds with planning.
        of_bare: requests a second, of the bare loop in the same round; `None` for the bare loop itself.
        cpu_of_bare: CPU a request, of the same.
        target_us: microseconds of CPU a request in the target: what bounds all figures.
    """

    name: str
    requests_per_s: float
    cpu_us: float
    busy: float
    whole_s: float
    of_bare: float | None
    cpu_of_bare: float | None
    target_us: float


class Pace(Struct, frozen=True, tag="pace"):
    """How well a limit is kept and used; at the moment of sending, and of arrival at the target.

    Attributes:
        name: of the scenario.
        limit: requests a second.
        used: median share of the limit used after the first second, at sending.
        used_least: the least of all rounds.
        second_sent: most requests in any window of a second, worst of all rounds.
        second_arrived: the same on arrival.
        tenth_sent: most requests in any window of a tenth of a second, worst of all rounds.
        tenth_arrived: the same on arrival.
        over_sent: windows of a second with more than the limit, of all rounds.
        over_arrived: the same on arrival.
    """

    name: str
    limit: float
    used: float
    used_least: float
    second_sent: int
    second_arrived: int
    tenth_sent: int
    tenth_arrived: int
    over_sent: int
    over_arrived: int


class Run(Struct, frozen=True):
    """One measurement with what was seen from outside.

    Attributes:
        measured: what the sender says.
        arrivals: when each write arrived at the target, nanoseconds of the monotonic clock.
        target_s: seconds of CPU that the target used.
        steal: share of CPU time that the hypervisor gave to others meanwhile.
    """

    measured: Measured
    arrivals: list[int]
    target_s: float
    steal: float

    @property
    def busy(self) -> float:
        """Share of one core that the process had in the sending part."""
        return self.measured.cpu_s / self.measured.sending_s

    @property
    def requests_per_s(self) -> float:
        """Writes a second in the sending part."""
        return self.measured.requests / self.measured.sending_s

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a write in the sending part."""
        return self.measured.cpu_s / self.measured.requests * 1e6


def speed(name: str, runs: Sequence[Run], bare: Sequence[Run] | None) -> Speed:
    """Sum up `runs`, each set beside the bare run of its own round."""
    pairs = list(zip(runs, bare, strict=True)) if bare else []
    return Speed(
        name=name,
        requests_per_s=statistics.median(run.requests_per_s for run in runs),
        cpu_us=statistics.median(run.cpu_us for run in runs),
        busy=statistics.median(run.busy for run in runs),
        whole_s=statistics.median(run.measured.whole_s for run in runs),
        of_bare=statistics.median(run.requests_per_s / floor.requests_per_s for run, floor in pairs) if bare else None,
        cpu_of_bare=statistics.median(run.cpu_us / floor.cpu_us for run, floor in pairs) if bare else None,
        target_us=statistics.median(run.target_s / run.measured.requests for run in runs) * 1e6,
    )


def pace(name: str, load: Workload, runs: Sequence[Run]) -> Pace:
    """Sum up `runs`, all under the same limit."""
    sent = [run.measured.sends for run in runs]
    arrived = [run.arrivals for run in runs]
    shares = [windows.used(instants, load.rate) for instants in sent]
    return Pace(
        name=name,
        limit=load.rate,
        used=statistics.median(shares),
        used_least=min(shares),
        second_sent=max(windows.worst(instants, windows.SECOND_NS) for instants in sent),
        second_arrived=max(windows.worst(instants, windows.SECOND_NS) for instants in arrived),
        tenth_sent=max(windows.worst(instants, TENTH_NS) for instants in sent),
        tenth_arrived=max(windows.worst(instants, TENTH_NS) for instants in arrived),
        over_sent=sum(windows.over(instants, int(load.rate)) for instants in sent),
        over_arrived=sum(windows.over(instants, int(load.rate)) for instants in arrived),
    )
