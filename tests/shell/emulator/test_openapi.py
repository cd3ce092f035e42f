"""The OpenAPI document says what the server does: against its routes, and against what it answers."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from migrator.emulator import Emulator, EmulatorSettings, admin, openapi, seeded_container
from migrator.emulator.documents import SPELLINGS
from migrator.emulator.entities import ENTITIES, OFFER_TYPES

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Client

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BOUNDED = settings(
    max_examples=10,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ROUNDS = 12
"""How often calls are generated anew, as long as none of them has succeeded that can."""

NEVER_DONE = {
    ("GET", "/data/core/xcore/{container}/deletions/{token}"),  # no delete waits
    ("POST", "/data/core/dps/offer-decisions"),  # nobody guesses the id of a fallback offer
    ("DELETE", "/data/core/dps/offer-rules/{key}"),  # the only one is referred to
    ("DELETE", "/data/core/dps/offer-collections/{key}"),
}
"""Calls that cannot succeed with what is generated."""
HEADERS = {"Authorization": "Bearer t", "x-api-key": "k", "x-gw-ims-org-id": "o", "x-sandbox-name": "dev"}
DESCRIPTION = Emulator().openapi()
CALLS = [
    (method.upper(), path)
    for path, operations in DESCRIPTION["paths"].items()
    for method in operations
    if not path.startswith("/_emulator/")
]


async def test_every_route_is_described_and_nothing_else_is(client: Client) -> None:
    described = (await client.send("GET", "/_emulator/openapi.json")).body
    routes = {(route.method.lower(), route.path) for route in client.server._router.routes}
    assert {(method, path) for path, operations in described["paths"].items() for method in operations} == routes
    pages = re.findall(r"^([A-Z]+) +(/_emulator/\S+)", admin.__doc__ or "", re.MULTILINE)
    assert {(method.lower(), page) for method, page in pages} | {("delete", "/_emulator/faults/{id}")} == {
        (method, path) for method, path in routes if path.startswith("/_emulator/")
    }
    assert described == DESCRIPTION


@pytest.mark.parametrize("style", list(SPELLINGS))
@pytest.mark.parametrize("word", list(ENTITIES))
async def test_what_the_server_begins_with_is_as_described(client: Client, style: Any, word: str) -> None:
    schema = openapi.document(ENTITIES[word], style)
    records = [record for record in client.server.store if (record.style, record.word) == (style, word)]
    assert records
    for record in records:
        jsonschema_rs.validate(schema, json.loads(record.document))
    needed = schema["required"][0]
    broken = {name: value for name, value in json.loads(records[0].document).items() if name != needed}
    assert not jsonschema_rs.is_valid(schema, broken)


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    """An emulator in a thread of its own, as schemathesis does not share a loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    one = Emulator(EmulatorSettings(seed_offers=120, access_token="t"))
    asyncio.run_coroutine_threadsafe(one.start(), loop).result(10)
    yield one
    asyncio.run_coroutine_threadsafe(one.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)


def word_of(case: Any) -> str:
    """The entity that a generated request is about, where it says so."""
    said = f"{case.media_type or ''} {case.path} {(case.query or {}).get('offer-type', '')}"
    of_resource = {f"/dps/{entity.resource}": entity.word for entity in ENTITIES.values()}
    found = [word for path, word in of_resource.items() if path in case.path and "/offers" not in path]
    found += [entity.word for kind, entity in OFFER_TYPES.items() if f" {kind}" in said]
    found += [word for word in ENTITIES if f"/{word};" in said]
    return found[0] if found else "personalized-offer"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_what_it_answers_is_as_described(server: Emulator, method: str, path: str, mode: GenerationMode) -> None:
    """Send what the description allows, and what it does not; objects and containers are mostly ones that exist."""
    statuses: set[int] = set()
    operation: Any = SCHEMA[path][method]

    @settings(BOUNDED)
    @given(case=operation.as_strategy(generation_mode=mode), pick=st.integers(0, 5))
    def answers(case: Any, pick: int) -> None:
        style = "xcore" if "/xcore/" in path else "dps"
        known = [one.key for one in server.store if (one.style, one.word) == (style, word_of(case))]
        if pick and known and "key" in (case.path_parameters or {}):
            case.path_parameters["key"] = known[pick % len(known)]
        if pick and "container" in (case.path_parameters or {}):
            case.path_parameters["container"] = seeded_container(0)
        response = case.call_and_validate(base_url=server.url, headers=HEADERS, checks=CHECKS)
        statuses.add(response.status_code)

    succeeds = mode is GenerationMode.POSITIVE and (method, path) not in NEVER_DONE
    # What is generated also depends on the constants in our own modules: a round in which nothing fits is bad luck.
    for number in range(1, ROUNDS + 1):
        server.reset()
        seed(number)(answers)()
        if not succeeds or min(statuses) < 300:
            break
    if mode is GenerationMode.POSITIVE:
        assert (min(statuses) < 300) == succeeds
