"""Spans of a run and its requests, seen by an exporter in memory."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from migrator.cli.telemetry import UNTRACED, tracing
from migrator.ports import Transport
from migrator.tracing import TracedTransport, run_span
from tests.wire import TOKEN, Server, answers, hangs_up, request, transport_to


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("tests")


@asynccontextmanager
async def traced(url: str, tracer: Tracer) -> AsyncIterator[Transport]:
    async with transport_to(url) as transport:
        yield TracedTransport(transport, tracer)


def shown(span: ReadableSpan) -> tuple[object, ...]:
    attributes = span.attributes or {}
    names = ("http.request.method", "url.path", "migrator.request_id", "http.response.status_code", "error.type")
    return tuple(attributes.get(name) for name in names)


async def test_each_request_of_a_run_is_a_span_below_it(spans: InMemorySpanExporter, tracer: Tracer) -> None:
    async with Server(answers(), answers("422 No"), hangs_up) as server, traced(server.url, tracer) as transport:
        with run_span(tracer, "spring", "send"):
            for number in range(3):
                await transport.send(request(target="/offers/x?secret=y", request_id=f"r{number}"))

    *sent, run = spans.get_finished_spans()
    assert [shown(span) for span in sent] == [
        ("PATCH", "/offers/x", "r0", 200, None),
        ("PATCH", "/offers/x", "r1", 422, None),
        ("PATCH", "/offers/x", "r2", None, "lost"),
    ]
    assert [span.status.status_code for span in sent] == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.ERROR]
    assert {span.parent.span_id if span.parent else None for span in sent} == {run.context.span_id}
    assert dict(run.attributes or {}) == {"migrator.run": "spring", "migrator.work": "send"}


async def test_no_span_carries_a_token_a_body_or_a_query(spans: InMemorySpanExporter, tracer: Tracer) -> None:
    async with Server(answers("500 No", TOKEN.encode())) as server, traced(server.url, tracer) as transport:
        assert await transport.make_ready() is None
        await transport.send(request(target="/offers/x?needle=1", body=b"needle"))

    assert len(spans.get_finished_spans()) == 2
    said = "".join(span.to_json() for span in spans.get_finished_spans())
    assert TOKEN not in said
    assert "needle" not in said


async def test_what_is_wrapped_is_as_ready_as_what_wraps_it(tracer: Tracer) -> None:
    async with transport_to("http://127.0.0.1:9") as transport:
        wrapped = TracedTransport(transport, tracer)

        assert (wrapped.ready, wrapped.renewable) == (transport.ready, transport.renewable)


def test_without_the_extra_whoever_asks_for_traces_is_told_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with tracing() as traces:
        assert traces is UNTRACED

    assert "pip install 'offer-migrator[otel]'" in capsys.readouterr().err
