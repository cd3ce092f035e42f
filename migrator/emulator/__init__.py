"""The Offer Library on localhost: a small server to rehearse against.

It answers as Adobe's Offer Library is documented to answer, in both endpoint styles, and keeps what it is told in
memory. It is written from the contract alone and shares no code with the client, so that the two can disagree.

What it imitates: personalized and fallback offers, the gateway in front of them (credentials, rate limit) and the token
endpoint. What it adds: ``/_emulator/…``, where a rehearsal reads what really happened.

How the modules build on each other, from the ground up::

    entities  ids  instants  errors            words, identifiers, dates, refusals
    media_types  documents  patching  paging   rules on values, no HTTP
    store  observation  limits                 what is remembered
    library                                    the writes: the only way to change the store and to leave an effect
    gateway  xcore  dps  ims  admin            HTTP: one module per door
    seeds  app                                 the first objects; the server
"""

from __future__ import annotations

from migrator.emulator.app import Emulator
from migrator.emulator.observation import Counters, Effect
from migrator.emulator.seeds import (
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_placement,
    seeded_reference,
)
from migrator.emulator.settings import EmulatorSettings
from migrator.emulator.store import Record, Store

__all__ = [
    "Counters",
    "Effect",
    "Emulator",
    "EmulatorSettings",
    "Record",
    "Store",
    "seeded_container",
    "seeded_instance_id",
    "seeded_offer_id",
    "seeded_placement",
    "seeded_reference",
]
