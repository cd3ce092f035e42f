"""One measurement in a process of its own: an order comes in on standard input, figures go out on standard output.

`bare` is what any program built on this HTTP client pays: the run's session, its workers, its requests, ready made;
nothing is planned, limited, judged or recorded. `pipeline` is the whole program as a library. Both send the steps of
the same plan, and both are timed from the first write to the end of the last, which for the pipeline is when the last
outcome is on the disk.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from array import array
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from yarl import URL

from migrator import __version__, api, logs
from migrator.clock import SystemClock
from migrator.core.model import Answer, Failure, Request, Step
from migrator.core.styles import STYLES
from migrator.ledger.folder import RunFolder
from migrator.ledger.runledger import RunLedger
from migrator.ports import Transport
from migrator.settings import Settings
from migrator.transport.http import open_session
from tests.bench.workload import Workload, settings_for


class Order(Struct, frozen=True):
    """What to measure.

    Attributes:
        kind: with or without the program around the requests.
        load: what to send.
        input: its input file.
        base_url: the target.
        runs: where the ledger goes.
        cpu: the core to stay on, or `None` for any.
    """

    kind: Literal["bare", "pipeline"]
    load: Workload
    input: str
    base_url: str
    runs: str
    cpu: int | None


class Measured(Struct, frozen=True):
    """What was measured.

    Attributes:
        requests: writes sent.
        sending_s: wall time of the sending part.
        cpu_s: user and system time of this process, all its threads, in the sending part.
        whole_s: wall time with planning; imports are not in it.
        before_mib: peak memory of the process before planning.
        planned_mib: the same after planning.
        peak_mib: the same at the end.
        sends: when each write was handed to the transport, nanoseconds of the monotonic clock; only with a limit.
    """

    requests: int
    sending_s: float
    cpu_s: float
    whole_s: float
    before_mib: float
    planned_mib: float
    peak_mib: float
    sends: list[int]


class Watch:
    """Times the sending part."""

    def __init__(self, *, every: bool) -> None:
        """Wait for the first write.

        Args:
            every: keep the time of every write, not of the first alone.
        """
        self.requests = 0
        self.sends = array("q")
        self.sending_s = 0.0
        self.cpu_s = 0.0
        self._every = every

    def write(self) -> None:
        """Note that a write begins."""
        if self._every or not self.requests:
            self.sends.append(time.monotonic_ns())
        if not self.requests:
            self._cpu_before_s = time.process_time()
        self.requests += 1

    def stop(self) -> None:
        """Note that the last write has ended."""
        self.sending_s = time.monotonic() - self.sends[0] / 1e9
        self.cpu_s = time.process_time() - self._cpu_before_s


class WatchedTransport:
    """A transport that tells a watch when a write begins."""

    def __init__(self, transport: Transport, watch: Watch) -> None:
        """Send through `transport`."""
        self._transport = transport
        self._watch = watch

    @property
    def renewable(self) -> bool:
        """As the transport has it."""
        return self._transport.renewable

    @property
    def ready(self) -> bool:
        """As the transport has it."""
        return self._transport.ready

    def make_ready(self) -> Coroutine[Any, Any, Failure | None]:
        """As the transport has it."""
        return self._transport.make_ready()

    def send(self, request: Request) -> Coroutine[Any, Any, Answer]:
        """Send `request`."""
        if request.method != "GET":
            self._watch.write()
        return self._transport.send(request)


def measure(order: Order) -> Measured:
    """Carry out `order`."""
    if order.cpu is not None:
        os.sched_setaffinity(0, {order.cpu})
    settings = settings_for(order.load, order.base_url, Path(order.runs))
    watch = Watch(every=order.load.rate > 0)
    before_mib = peak_mib()
    began_at = time.monotonic()
    run = make_run(Path(order.input), settings)
    planned_mib = peak_mib()
    asyncio.run((send_all if order.kind == "pipeline" else send_bare)(run, settings, watch))
    whole_s = time.monotonic() - began_at
    sends = watch.sends.tolist() if order.load.rate else []
    return Measured(watch.requests, watch.sending_s, watch.cpu_s, whole_s, before_mib, planned_mib, peak_mib(), sends)


def make_run(path: Path, settings: Settings) -> RunFolder:
    """Plan the input `path` and accept the plan."""
    source = api.Input(path, path.name)
    with api.plan(source, settings) as (run, draft):
        assert not draft.count_problems(), next(draft.problems())
        draft.accept(run.id, source.name, settings.public(), SystemClock.now())
    return run


async def send_all(run: RunFolder, settings: Settings, watch: Watch) -> None:
    """Send `run` with the whole program."""

    @asynccontextmanager
    async def watched(running: api.Running) -> AsyncIterator[None]:
        wire = running.engine._wire
        wire.transport = WatchedTransport(wire.transport, watch)
        yield
        watch.stop()

    summary = await api.execute(run, settings, around=watched)
    assert summary.complete, summary


async def send_bare(run: RunFolder, settings: Settings, watch: Watch) -> None:
    """Send the requests of `run` with nothing around them."""
    requests = list(rendered(await steps_of(run), settings))
    waiting = iter(requests)
    user_agent = f"offer-migrator/{__version__}"
    async with open_session(
        timeout_s=settings.timeout,
        connect_timeout_s=settings.connect_timeout,
        user_agent=user_agent,
    ) as session:

        async def work() -> None:
            for request in waiting:
                watch.write()
                url = URL(request.target, encoded=True)
                async with session.request(
                    request.method, url, data=request.body, headers=request.headers, allow_redirects=False
                ) as response:
                    await response.read()
                    assert response.status == 200

        async with asyncio.TaskGroup() as crew:
            for _ in range(settings.concurrency):
                crew.create_task(work())
        watch.stop()


async def steps_of(run: RunFolder) -> Sequence[Step]:
    """Read all the steps of `run` in the order of the input, which is that in which the program sends them."""
    async with RunLedger(run.ledger) as ledger:
        lanes = [await ledger.pending(container, 0, 1 << 30) for container in await ledger.containers()]
    return sorted((step for lane in lanes for step in lane), key=lambda step: step.seq)


def rendered(steps: Iterable[Step], settings: Settings) -> Iterator[Request]:
    """Make the requests of `steps` complete: whole URL, every header that the program sends."""
    style = STYLES[settings.style]
    identity = {
        "x-api-key": settings.client_id,
        "x-gw-ims-org-id": settings.org_id,
        "Authorization": "Bearer " + settings.secret("access_token"),
    }
    for step in steps:
        request = style.render(step, sandbox=settings.sandbox, request_id=str(uuid.uuid4()))
        yield msgspec.structs.replace(
            request, target=settings.base_url + request.target, headers={**request.headers, **identity}
        )


def peak_mib() -> float:
    """Return the most memory this process has had resident, in MiB (`VmHWM`)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) / 1024


if __name__ == "__main__":
    logs.configure(json=True, verbosity=0, colors=False)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(measure(order)))
