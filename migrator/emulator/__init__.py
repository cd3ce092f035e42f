"""The Offer Library on localhost: a small server to rehearse against.

It answers as Adobe's Offer Library is documented to answer, in both endpoint styles, and keeps what it is told in
memory. It is written from the contract alone and shares no code with the client, so that the two can disagree.

What it imitates: all seven entities with their references, the gateway in front of them (credentials, rate limit) and
the token endpoint. Where the documents are silent, `Choices` says what it does, and can say otherwise. What it adds:
faults by rule, and ``/_emulator/…``, where a rehearsal reads what really happened (`admin`).

From a test of your own, with a service that loses one answer and whose objects others edit too::

    import aiohttp

    from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id

    HEADERS = {
        "Authorization": "Bearer a-token",
        "x-api-key": "me",
        "x-gw-ims-org-id": "TEST@AdobeOrg",
        "x-sandbox-name": "dev",
        "x-request-id": "first-try",
        "Content-Type": "application/json",
    }
    RENAME = b'[{"op": "replace", "path": "/name", "value": "Spring loan"}]'


    async def test_a_lost_answer_hides_an_effect():
        settings = EmulatorSettings(
            seed_offers=2, access_token="a-token", faults=("drop-after:PATCH:n=1",), fault_seed=7
        )
        async with Emulator(settings) as server, aiohttp.ClientSession(server.url, headers=HEADERS) as session:
            offer = f"/data/core/dps/offers/{seeded_offer_id(0)}?offer-type=personalized"
            try:
                await session.patch(offer, data=RENAME)
            except aiohttp.ServerDisconnectedError:
                pass  # no answer, and yet:
            (effect,) = server.effects
            assert (effect.id, effect.request_id, effect.etag) == (seeded_offer_id(0), "first-try", 2)
            assert [(one.status, one.faults) for one in server.requests] == [(None, ("drop-after",))]

            intruder = server.add_fault("foreign-edit:PATCH:max=1")
            async with session.patch(offer, data=RENAME) as response:
                assert (await response.json())["etag"] == 4
            assert intruder.hits == 1
            assert [one.api_key for one in server.effects] == ["me", "somebody-else", "me"]

`faults.rules` says how rules are written, `choices` what can be chosen, `EmulatorSettings` what else can be set;
`migrator emulator` is the same server as a command.

How the modules build on each other, from the ground up::

    http                                      requests, answers, connections: a package of its own
    choices  codes  entities  ids  instants  errors   open questions, words, identifiers, dates, refusals
    shapes  scalars  compounds  schemas               what objects look like: one table for each entity
    media_types  bodies  patching  filters  paging    rules on values and requests, no writes
    store  hindsight  observation  limits             what is remembered
    documents  softrules  guardrails                  what a document has to keep to
    mirror  library                                   the writes: the only way to change the store and leave an effect
    editing  deletions                                the writes of the two doors: check, then write
    foreign  snapshot                                 writes by somebody else; all objects as lines
    gateway  ims  xcore…  dps…                        HTTP: one door each
    faults                                            misbehaviour by rule, a package of its own
    settings  config                                  what can be set; from a file
    seeds  containers  openapi                        the first objects; their places; all calls described
    app  admin                                        all of it together; what a rehearsal asks it
"""

from __future__ import annotations

from migrator.emulator.answers import json_answer
from migrator.emulator.app import Emulator
from migrator.emulator.choices import Choices, help_lines
from migrator.emulator.config import parse_config, read_config
from migrator.emulator.faults import ActiveFault, FaultRule, listing
from migrator.emulator.http import Middleware, Proceed, Request, Response
from migrator.emulator.observation import Counters, Effect, Exchange
from migrator.emulator.seeds import (
    seeded_companion,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_placement,
    seeded_reference,
    seeded_tag,
)
from migrator.emulator.settings import EmulatorSettings
from migrator.emulator.store import Record, Store

__all__ = [
    "ActiveFault",
    "Choices",
    "Counters",
    "Effect",
    "Emulator",
    "EmulatorSettings",
    "Exchange",
    "FaultRule",
    "Middleware",
    "Proceed",
    "Record",
    "Request",
    "Response",
    "Store",
    "help_lines",
    "json_answer",
    "listing",
    "parse_config",
    "read_config",
    "seeded_companion",
    "seeded_container",
    "seeded_instance_id",
    "seeded_offer_id",
    "seeded_placement",
    "seeded_reference",
    "seeded_tag",
]
