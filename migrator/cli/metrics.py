"""The numbers of a run in a text file for Prometheus, as node_exporter's textfile collector picks them up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from migrator.api import Running
from migrator.cli.progress import beside
from migrator.cli.standing import standing_of
from migrator.core.errors import UsageError
from migrator.ledger.reading import count_steps
from migrator.logs import log

if TYPE_CHECKING:
    from migrator.api.working import Working

Filled: TypeAlias = CounterMetricFamily | GaugeMetricFamily


class RunMetrics(Collector):
    """What there is to count of a run; each number is of this run alone and carries its id."""

    def __init__(self, running: Running) -> None:
        """Count `running`."""
        self._running = running
        self._total = count_steps(running.run.ledger)
        self.ended = False

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers as they are now."""
        tally, throttle = self._running.engine.tally, self._running.throttle
        standing = standing_of(self._running)
        states = {
            "applied": standing.applied,
            "unchanged": standing.unchanged,
            "failed": standing.failed,
            "in_doubt": standing.in_doubt,
            "unresolved": standing.unresolved,
            "not_sent": self._total - standing.done - standing.in_doubt,
        }
        yield self._gauge("steps", "Requests that the plan has, by what has become of them", states, "state")
        yield self._counter("requests", "Requests sent", {"write": tally.requests, "read": tally.reads}, "kind")
        yield self._counter("repeats", "Writes that were sent again", {"": tally.retries})
        yield self._counter("pauses", "Times that everybody had to wait", {"": throttle.pauses})
        yield self._gauge("in_flight", "Requests without an answer yet", {"": tally.in_flight})
        yield self._gauge("rate_limit", "Requests a second at the most, 0 for no limit", {"": throttle.rate})
        yield self._gauge("paused_seconds", "How long everybody still waits", {"": max(throttle.gate.shut_s, 0.0)})
        yield self._gauge("running", "1 while the run runs, 0 when it has ended or stopped", {"": int(not self.ended)})
        yield self._gauge("updated_timestamp_seconds", "When this was written", {"": time.time()})

    def _gauge(self, name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
        return self._filled(GaugeMetricFamily(f"migrator_{name}", text, labels=self._labels(label)), values, label)

    def _counter(self, name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
        return self._filled(CounterMetricFamily(f"migrator_{name}", text, labels=self._labels(label)), values, label)

    @staticmethod
    def _labels(label: str) -> list[str]:
        return ["run", label] if label else ["run"]

    def _filled(
        self, family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float], label: str
    ) -> GaugeMetricFamily | CounterMetricFamily:
        for value, number in values.items():
            family.add_metric([self._running.run.id, value] if label else [self._running.run.id], number)
        return family


class WorkerMetrics(Collector):
    """What there is to count of a worker of a fleet: since it began, of all runs together."""

    def __init__(self, working: Working) -> None:
        """Count `working`."""
        self._working = working
        self.ended = False

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers as they are now."""
        crew = self._working.crew
        tally = crew.tally
        states = {"applied": tally.applied, "unchanged": tally.unchanged, "failed": tally.rejected}
        yield self._of(CounterMetricFamily, "requests", "Requests sent", {"write": tally.requests, "read": tally.reads})
        yield self._of(CounterMetricFamily, "steps", "Requests of plans, by what has become of them", states)
        yield self._of(CounterMetricFamily, "repeats", "Writes that were sent again", {"write": tally.retries})
        yield self._of(GaugeMetricFamily, "doubts", "Requests whose fate is not known", {"in_doubt": tally.in_doubt})
        yield self._of(GaugeMetricFamily, "in_flight", "Requests without an answer yet", {"all": tally.in_flight})
        yield self._of(GaugeMetricFamily, "shards", "Shards at work", {"at_work": crew.shards})
        yield self._of(GaugeMetricFamily, "rate_limit", "Requests a second of all workers at the most", crew.rates)
        yield self._of(GaugeMetricFamily, "paused_seconds", "How long everybody still waits", {"all": crew.paused_s})
        yield self._of(GaugeMetricFamily, "running", "1 while the worker works", {"worker": int(not self.ended)})

    def _of(self, family: type[Filled], name: str, text: str, values: Mapping[str, float]) -> Metric:
        filled = family(f"migrator_worker_{name}", text, labels=["worker", "kind"])
        for kind, number in values.items():
            filled.add_metric([self._working.name, kind], number)
        return filled


@asynccontextmanager
async def metered(metrics: RunMetrics | WorkerMetrics, file: Path | None, every_s: float) -> AsyncIterator[None]:
    """Keep `file` up to date while the body runs. It is replaced as a whole, so that nobody reads half of one.

    Raises:
        UsageError: it cannot be written; nothing was sent then.
    """
    if file is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:
        raise UsageError(f"the metrics file {file} cannot be written: {error.strerror}") from error
    try:
        async with beside(_writing(file, registry, every_s)):
            yield
    finally:
        metrics.ended = True
        _write(file, registry)


async def _writing(file: Path, registry: CollectorRegistry, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        _write(file, registry)


def _write(file: Path, registry: CollectorRegistry) -> None:
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:  # numbers must not decide a run
        log.warning("metrics.not_written", file=str(file), because=error.strerror)
