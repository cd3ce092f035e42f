"""OpenTelemetry spans of a run and of each of its requests (the extra `otel`).

Nothing of it is on the way of a request unless somebody has asked for it: a transport is wrapped, or it is not. Spans
carry no header, no body and no query, so no secret can be in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from migrator.core.model import Answer, Failure, Request
from migrator.logs import redact
from migrator.ports import Transport


class TracedTransport:
    """A transport of which each request is a span. It implements `ports.Transport`."""

    def __init__(self, inner: Transport, tracer: Tracer) -> None:
        """Send through `inner`."""
        self._inner = inner
        self._tracer = tracer

    @property
    def ready(self) -> bool:
        """As of the one that sends."""
        return self._inner.ready

    @property
    def renewable(self) -> bool:
        """As of the one that sends."""
        return self._inner.renewable

    async def make_ready(self) -> Failure | None:
        """Let the one that sends make itself ready, as a span."""
        with self._tracer.start_as_current_span("token", kind=SpanKind.CLIENT):
            return await self._inner.make_ready()

    async def send(self, request: Request) -> Answer:
        """Send `request`, as a span with the names of OpenTelemetry's HTTP conventions."""
        attributes = {
            "http.request.method": request.method,
            "url.path": request.target.partition("?")[0],
            "migrator.request_id": request.request_id,
        }
        with self._tracer.start_as_current_span(request.method, kind=SpanKind.CLIENT, attributes=attributes) as span:
            answer = await self._inner.send(request)
            if isinstance(answer, Failure):
                span.set_attribute("error.type", answer.kind.value)
                span.set_status(Status(StatusCode.ERROR, redact(answer.message)))
            else:
                span.set_attribute("http.response.status_code", answer.status)
                if answer.status >= 400:
                    span.set_status(Status(StatusCode.ERROR))
            return answer


@contextmanager
def run_span(tracer: Tracer, run: str, work: str) -> Iterator[None]:
    """Make what the body does a span; the requests that it sends are its children."""
    with tracer.start_as_current_span("run", attributes={"migrator.run": run, "migrator.work": work}):
        yield
