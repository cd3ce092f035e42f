"""Identifiers and the times in them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from migrator.emulator import (
    ids,
    instants,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_reference,
)
from migrator.emulator.entities import Style


@pytest.mark.parametrize(
    ("style", "identifier", "moment"),
    [
        ("dps", "dps:personalized-offer:1a4c514f745dbd7c", "2025-02-27T05:12:42.130Z"),
        ("xcore", "xcore:personalized-offer:124e181c8b0d7878", "2020-10-21T20:50:32.045Z"),
        ("xcore", "xcore:fallback-offer:124e2e764b1ac1b9", "2020-10-21T22:28:11.117Z"),
    ],
)
def test_the_ids_in_adobes_pages_decode_to_the_time_of_their_creation(
    style: Style, identifier: str, moment: str
) -> None:
    _, word, digits = identifier.split(":")
    assert instants.millis_z(ids.entity_id_ms(identifier) * 1000) == moment
    assert ids.entity_id(style, word, instants.parse(moment), int(digits, 16)) == identifier


def test_an_instance_id_is_a_version_1_uuid_of_its_creation_time() -> None:
    created_us = instants.parse("2020-10-21T20:50:32.019Z")
    identifier = ids.instance_id(created_us, 0x3C55, 0xC11BE7252432)
    assert identifier == "0f4bc230-13df-11eb-bc55-c11be7252432"
    assert UUID(identifier).version == 1
    assert ids.instance_id_us(identifier) == created_us


def test_ids_of_one_instant_differ() -> None:
    mint = ids.Mint()
    assert len({mint.entity_id("dps", "tag", 1_700_000_000_000_000) for _ in range(10_000)}) == 10_000
    assert len({mint.instance_id(1_700_000_000_000_000) for _ in range(10_000)}) == 10_000


def test_seeded_ids_are_those_of_adobes_pages_and_then_a_second_apart() -> None:
    assert seeded_container(0) == "e0bd8463-0913-4ca1-bd84-6309134ca1f6"
    assert seeded_instance_id(0) == "0f4bc230-13df-11eb-bc55-c11be7252432"
    assert seeded_reference(0) == "xcore:personalized-offer:124e181c8b0d7878"
    assert seeded_offer_id(0) == "dps:personalized-offer:1a4c514f745dbd7c"
    assert ids.instance_id_us(seeded_instance_id(7)) - ids.instance_id_us(seeded_instance_id(0)) == 7_000_000
    assert ids.entity_id_ms(seeded_offer_id(7)) - ids.entity_id_ms(seeded_offer_id(0)) == 7000


@pytest.mark.parametrize("name", [seeded_container, seeded_instance_id, seeded_reference, seeded_offer_id])
def test_seeded_ids_differ(name: Callable[[int], str]) -> None:
    assert len({name(index) for index in range(1000)}) == 1000


def test_an_instant_is_written_in_three_ways_and_read_in_all() -> None:
    instant_us = 1_603_313_432_018_624
    assert instants.micros_z(instant_us) == "2020-10-21T20:50:32.018624Z"
    assert instants.millis_z(instant_us) == "2020-10-21T20:50:32.018Z"
    assert instants.millis_offset(instant_us) == "2020-10-21T20:50:32.018+00:00"
    assert instants.parse(instants.micros_z(instant_us)) == instant_us
    assert instants.parse(instants.millis_z(instant_us)) == 1_603_313_432_018_000
    assert instants.parse(instants.millis_offset(instant_us)) == 1_603_313_432_018_000
