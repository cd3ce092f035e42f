"""The Offer Library on localhost: a small server to rehearse against.

It answers as Adobe's Offer Library is documented to answer, in both endpoint styles, and keeps what it is told in
memory. It is written from the contract alone and shares no code with the client, so that the two can disagree.

What it imitates: all seven entities with their references, the gateway in front of them (credentials, rate limit) and
the token endpoint. Where the documents are silent, `Choices` says what it does, and can say otherwise. What it adds:
``/_emulator/…``, where a rehearsal reads what really happened.

How the modules build on each other, from the ground up::

    choices  entities  ids  instants  errors     open questions, words, identifiers, dates, refusals
    shapes  schemas                              what objects look like: one table for each entity
    media_types  patching  filters  paging       rules on values, no HTTP
    store  observation  limits                   what is remembered
    documents  softrules  guardrails             what a document has to keep to
    mirror  library  editing  deletions          the writes: the only way to change the store and to leave an effect
    gateway  xcore…  dps…  ims  admin            HTTP: one door each
    seeds  containers  app                       the first objects; the server
"""

from __future__ import annotations

from migrator.emulator.app import Emulator
from migrator.emulator.choices import Choices
from migrator.emulator.observation import Counters, Effect
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
    "Choices",
    "Counters",
    "Effect",
    "Emulator",
    "EmulatorSettings",
    "Record",
    "Store",
    "seeded_companion",
    "seeded_container",
    "seeded_instance_id",
    "seeded_offer_id",
    "seeded_placement",
    "seeded_reference",
    "seeded_tag",
]
