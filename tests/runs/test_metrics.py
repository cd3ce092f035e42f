"""The numbers of a run for Prometheus, and its spans for OpenTelemetry, as they leave the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id

HEADER = ("id", "op", "path", "value")


def rows(count: int) -> list[tuple[str, ...]]:
    return [*((seeded_offer_id(i), "replace", "/name", f"n{i}") for i in range(count)), ("nobody", "remove", "/a", "")]


def labels(path: Path) -> set[str]:
    families = text_string_to_metric_families(path.read_text())
    return {sample.labels["run"] for family in families for sample in family.samples}


def numbers(path: Path) -> dict[str, float]:
    """Return the samples of a metrics file by their name and the label that is not the run."""
    return {
        " ".join([sample.name, *(value for label, value in sample.labels.items() if label != "run")]): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


async def test_the_numbers_of_a_run_are_written_while_it_runs_and_when_it_has_ended(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20, latency_s=0.05)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, rows(20))
        file: Path = migrator.folder / "run.prom"
        flags = ("--metrics-file", str(file), "--stats", "50ms", "--no-guard", "--run-id", "spring")
        running = await migrator.start("apply", "c.csv", "--yes", "-j", "1", *flags)
        await until(lambda: file.exists() and 0 < numbers(file)["migrator_requests_total write"] < 20)
        meanwhile = numbers(file)
        ended = await migrator.end(running)
        last = numbers(file)
        reads = sum(request.method == "GET" for request in server.requests)

    assert ended.code == 3
    assert meanwhile["migrator_running"] == 1
    assert labels(file) == {"spring"}
    assert {name: last[name] for name in last if "timestamp" not in name and "created" not in name} == {
        "migrator_steps applied": 20,
        "migrator_steps unchanged": 0,
        "migrator_steps failed": 1,
        "migrator_steps in_doubt": 0,
        "migrator_steps unresolved": 0,
        "migrator_steps not_sent": 0,
        "migrator_requests_total write": 21,
        "migrator_requests_total read": reads,
        "migrator_repeats_total": 0,
        "migrator_pauses_total": 0,
        "migrator_in_flight": 0,
        "migrator_rate_limit": 0,
        "migrator_paused_seconds": 0,
        "migrator_running": 0,
    }


async def test_a_metrics_file_that_cannot_be_written_ends_the_run_before_anything_is_sent(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, rows(1))

        ended = await migrator("apply", "c.csv", "--yes", "--metrics-file", "no/such/folder/run.prom")

        assert ended.code == 2
        assert "no/such/folder/run.prom cannot be written" in ended.err
        assert server.effects == []


async def traces_of(migrator: Any, **environment: str) -> list[ExportTraceServiceRequest]:
    """Apply three rows and return what was sent to the collector."""
    received: list[ExportTraceServiceRequest] = []

    async def collect(request: web.Request) -> web.Response:
        received.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    async with Emulator(EmulatorSettings(seed_offers=2)) as server, TestServer(app) as collector:
        migrator.point_at(server.url).write("c.csv", HEADER, rows(2))
        named = {name: value.replace("COLLECTOR", str(collector.make_url("/"))) for name, value in environment.items()}
        migrator.environment |= {**named, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
        ended = await migrator("apply", "c.csv", "--yes", "--no-guard", "--run-id", "spring")
        assert ended.code == 3, ended.err
    return received


async def test_a_run_and_its_requests_are_sent_to_the_collector_that_the_environment_names(migrator: Any) -> None:
    received = await traces_of(migrator, OTEL_EXPORTER_OTLP_ENDPOINT="COLLECTOR")

    resources = [resource for request in received for resource in request.resource_spans]
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    (run,) = [span for span in spans if span.name == "run"]
    patches = [span for span in spans if span.name == "PATCH"]
    assert len(patches) == 3
    assert {span.parent_span_id for span in patches} == {run.span_id}
    assert {attribute.key: attribute.value.string_value for attribute in run.attributes}["migrator.run"] == "spring"


async def test_nothing_is_traced_unless_the_environment_asks_for_it(migrator: Any) -> None:
    assert await traces_of(migrator) == []
    migrator.folder = migrator.folder / "again"
    migrator.folder.mkdir()
    assert await traces_of(migrator, OTEL_EXPORTER_OTLP_ENDPOINT="COLLECTOR", OTEL_SDK_DISABLED="true") == []
