"""Traces of runs, sent by OTLP where the environment says, in the standard variables of OpenTelemetry."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from migrator import __version__, api
from migrator.cli.output import tell
from migrator.ports import Transport

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""One of these asks for traces."""


class Traces(Struct, frozen=True):
    """How a run is traced.

    Attributes:
        through: wraps what sends.
        around: makes a run a span.
    """

    through: Callable[[Transport], Transport]
    around: api.Around


@asynccontextmanager
async def untraced(running: api.Running) -> AsyncIterator[None]:
    """Let a run be no span."""
    del running
    yield


UNTRACED = Traces(lambda transport: transport, untraced)


@contextmanager
def tracing() -> Iterator[Traces]:
    """Yield how runs are traced: not at all, unless the environment names who is to be told."""
    asked = [name for name in ENDPOINTS if os.environ.get(name)]
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield UNTRACED
        return
    try:
        # Optional, and a quarter of a second to import: only for whoever has asked for it.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        tell(f"warning: {asked[0]} is set, and nothing is traced: pip install 'offer-migrator[otel]'")
        yield UNTRACED
        return
    from migrator.tracing import TracedTransport, run_span  # noqa: PLC0415 (needs what is optional)

    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # what it will try again is no news
    provider = TracerProvider(resource=Resource.create({"service.name": "migrator", "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("migrator", __version__)

    @asynccontextmanager
    async def around(running: api.Running) -> AsyncIterator[None]:
        with run_span(tracer, running.run.id, running.work.value):
            yield

    try:
        yield Traces(lambda transport: TracedTransport(transport, tracer), around)
    finally:
        provider.shutdown()  # sends what has not been sent
