"""One measurement in a process of its own: an order comes in on standard input, figures go out on standard output.

`bare` is what any program built on this HTTP client pays: the run's session, its workers, its requests, ready made;
nothing is planned, limited, judged or recorded. `pipeline` is the whole program as a library, with the whole protocol
or a part of it. Both send the steps of the same plan with the same guards, and both are timed from the first request to
the end of the last, which for the pipeline is when the last outcome is on the disk.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import msgspec
from msgspec import Struct

from migrator import api, logs
from migrator.api import executing
from migrator.clock import SystemClock
from migrator.core.base import examine
from migrator.core.model import Answer, Base, Failure, Request, Response
from migrator.core.styles import STYLES
from migrator.engine import stock
from migrator.ledger import recorder
from migrator.ledger.folder import RunFolder
from migrator.ledger.runledger import RunLedger
from migrator.ports import Transport
from migrator.settings import Settings
from tests.bench import bare, naive
from tests.bench.ledgers import OutcomesAlone, WatchedLedger
from tests.bench.library import text_of
from tests.bench.watch import Watch
from tests.bench.workload import Workload, settings_for

PAGE = 500
"""Steps in memory at a time while a run is prepared: less than the program itself has in memory."""

STAGE = 0
"""Nothing is deleted here."""

SLOWER = 50.0
"""Times as long as by itself a process takes under callgrind, about."""


Kind = Literal["bare", "naive", "pipeline"]
Client = Literal["aiohttp", "lean"]
CLIENTS: Sequence[Client] = ("aiohttp", "lean")
Loop = Literal["asyncio", "uvloop"]


class Protocol(Struct, frozen=True):
    """Which parts of the protocol a run has.

    Attributes:
        guard: patches are guarded by the bases of their objects.
        intents: nothing is sent before its intent is on the disk.
        slower_s: seconds that each commit of the ledger takes more than on this disk.
        bases: they are in the ledger before the run; or read one by one; or read from lists.
    """

    guard: bool = True
    intents: bool = True
    slower_s: float = 0.0
    bases: Literal["known", "looked", "listed"] = "known"


class Order(Struct, frozen=True):
    """What to measure.

    Attributes:
        kind: with or without the program around the requests, or as people write it who have an afternoon.
        protocol: with which parts of it.
        load: what to send.
        input: its input file.
        base_url: the target.
        runs: where the ledger goes.
        cpu: the core to stay on, or `None` for any.
        client: by which requests are sent.
        loop: which event loop it runs on.
        planned: the folder of a run that is planned already; `None` to plan it.
        counted: after how many writes the instructions are counted, as valgrind runs this; `None` to let it be.
    """

    kind: Kind
    protocol: Protocol
    load: Workload
    input: str
    base_url: str
    runs: str
    cpu: int | None
    counted: int | None = None
    client: Client = "aiohttp"
    loop: Loop = "asyncio"
    planned: str | None = None


class Measured(Struct, frozen=True):
    """What was measured.

    Attributes:
        requests: writes sent.
        reads: reads sent, the probes included.
        sending_s: wall time of the sending part.
        cpu_s: user and system time of this process, all its threads, in the sending part.
        whole_s: wall time with planning; imports are not in it, nor is putting bases into the ledger.
        before_mib: peak memory of the process before planning.
        planned_mib: the same after planning, with all bases in the ledger.
        peak_mib: the same at the end.
        backlog_rows: records that were not on the disk yet, at the most.
        backlog_ms: milliseconds from the first record of a commit to its end, at the most.
        sends: when each write was handed to the transport, nanoseconds of the monotonic clock; only with a limit.
    """

    requests: int
    reads: int
    sending_s: float
    cpu_s: float
    whole_s: float
    before_mib: float
    planned_mib: float
    peak_mib: float
    backlog_rows: int
    backlog_ms: float
    sends: list[int]


class WatchedTransport:
    """A transport that tells a watch when a request begins."""

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
        self._watch.read() if request.method == "GET" else self._watch.write()
        return self._transport.send(request)


def measure(order: Order) -> Measured:
    """Carry out `order`."""
    if order.cpu is not None:
        os.sched_setaffinity(0, {order.cpu})
    protocol = order.protocol
    watch = Watch(every=order.load.rate > 0, counted=order.counted)
    before_mib = peak_mib()
    run, whole_s = prepared(order) if order.planned is None else (RunFolder(Path(order.planned)), 0.0)
    planned_mib = peak_mib()
    began_at = time.monotonic()
    kept = WatchedLedger if protocol.intents else OutcomesAlone
    WatchedLedger.slower_s = protocol.slower_s
    with mock.patch.object(executing, "RunLedger", kept), slow_motion(order), new_runner(order.loop) as runner:
        runner.run(send(order, run, watch))
    whole_s += time.monotonic() - began_at
    return Measured(
        requests=watch.requests,
        reads=watch.reads,
        sending_s=watch.sending_s,
        cpu_s=watch.cpu_s,
        whole_s=whole_s,
        before_mib=before_mib,
        planned_mib=planned_mib,
        peak_mib=peak_mib(),
        backlog_rows=WatchedLedger.worst_rows,
        backlog_ms=WatchedLedger.worst_s * 1000,
        sends=watch.sends.tolist(),
    )


async def send(order: Order, run: RunFolder, watch: Watch) -> None:
    """Send `run` as ordered."""
    settings = settings_of(order)
    match order.kind:
        case "pipeline":
            await send_all(run, settings, watch)
        case "bare":
            await (bare.send_lean if order.client == "lean" else bare.send)(run, settings, watch)
        case "naive":
            await naive.send(Path(order.input), settings, watch)


def new_runner(loop: Loop) -> asyncio.Runner:
    """Return what runs `loop`."""
    if loop == "asyncio":
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop)


@contextmanager
def slow_motion(order: Order) -> Iterator[None]:
    """Let what the program waits for take as much longer as valgrind makes all else take: commits are as large then."""
    slower = 1.0 if order.counted is None else SLOWER
    with (
        mock.patch.object(recorder, "LINGER_S", recorder.LINGER_S * slower),
        mock.patch.object(stock, "AHEAD_S", stock.AHEAD_S * slower),
    ):
        yield


def settings_of(order: Order) -> Settings:
    """Return the settings with which `order` is carried out."""
    guard = order.protocol.guard
    return settings_for(order.load, order.base_url, Path(order.runs), guard=guard, client=order.client)


def prepared(order: Order) -> tuple[RunFolder, float]:
    """Plan the run that `order` sends, with the bases that it is to know, and say how many seconds planning took."""
    settings = settings_of(order)
    began_at = time.monotonic()
    run = make_run(Path(order.input), settings)
    seconds = time.monotonic() - began_at
    if order.protocol.guard and order.protocol.bases == "known":
        asyncio.run(keep_bases(run, settings))
    return run, seconds


def make_run(path: Path, settings: Settings) -> RunFolder:
    """Plan the input `path` and accept the plan."""
    source = api.Input(path, path.name)
    with api.plan(source, settings) as (run, draft):
        draft.merge()
        assert not draft.count_problems(), next(draft.problems())
        draft.accept(run.id, source.name, settings.public(), SystemClock.now())
    return run


async def keep_bases(run: RunFolder, settings: Settings) -> None:
    """Put the bases of all steps of `run` into its ledger, as a run that was killed after reading them would have."""
    style = STYLES[settings.style]
    async with RunLedger(run.ledger) as ledger:
        for container in await ledger.containers(STAGE):
            after = 0
            while steps := await ledger.pending(container, STAGE, after, PAGE):
                for step in steps:
                    seen = style.seen(Response(200, {}, text_of(style.name, step.object)))
                    assert seen is not None
                    base = examine(step, seen, style)
                    assert isinstance(base, Base)
                    assert base.guarded
                    ledger.keep(step.seq, base)
                await ledger.flush()
                after = steps[-1].seq


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


def peak_mib() -> float:
    """Return the most memory this process has had resident, in MiB (`VmHWM`)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) / 1024


if __name__ == "__main__":
    logs.configure(json=True, verbosity=0, colors=False)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(measure(order)) + b"\n")
