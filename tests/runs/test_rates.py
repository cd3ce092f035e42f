"""Rate limits of a whole run: found out, stated, and of writes alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from tests.conftest import CommandLine, seen_by


def renames(migrator: CommandLine, count: int) -> str:
    rows = [("personalized-offer", seeded_offer_id(number), f"Renamed {number}") for number in range(count)]
    return migrator.write("c.csv", ["type", "id", "/name"], rows).name


def named(events: str, name: str) -> list[dict[str, Any]]:
    return [event for event in map(json.loads, events.splitlines()) if event["event"] == name]


async def test_a_run_that_is_told_nothing_finds_out_what_the_service_takes(migrator: CommandLine) -> None:
    async with Emulator(EmulatorSettings(seed_offers=30, rate=8, burst=3)) as server:
        migrator.point_at(server.url).environment.pop("MIGRATOR_RATE")
        ended = await migrator(
            "apply", renames(migrator, 30), "--yes", "--no-guard", "--log-format", "json", "--stats", "1s"
        )

        assert (ended.code, ended.err.count("Traceback")) == (0, 0)
        assert set(seen_by(server).values()) == {1}
        refused = [one for one in server.requests if one.status == 429]
        lowered = named(ended.err, "rate.lowered")
        assert 1 <= len(lowered) <= len(refused) < 10
        assert all(event["now"] < event["before"] < 30 for event in lowered)
        assert all("pace" in event for event in named(ended.err, "run.progress"))
        (traffic,) = named(ended.err, "run.traffic")
        assert 1 <= traffic["pace"] < 30


async def test_a_rate_that_is_stated_is_kept_and_not_lowered(migrator: CommandLine) -> None:
    async with Emulator(EmulatorSettings(seed_offers=12, faults=("429:PATCH:n=3:retry-after=1",))) as server:
        migrator.point_at(server.url)
        ended = await migrator(
            "apply", renames(migrator, 12), "--yes", "--no-guard", "--rate", "20", "--log-format", "json"
        )

        assert ended.code == 0
        assert named(ended.err, "run.paused")
        assert not named(ended.err, "rate.lowered")
        assert "pace" not in named(ended.err, "run.traffic")[0]


async def test_writes_are_limited_by_themselves(migrator: CommandLine) -> None:
    async with Emulator(EmulatorSettings(seed_offers=8)) as server:
        migrator.point_at(server.url)
        ended = await migrator("apply", renames(migrator, 8), "--yes", "--write-rate", "4", "--strict-rate")

        assert ended.code == 0
        reads, writes = (
            sorted(one.arrived_us for one in server.requests if one.style == "dps" and (one.method == "GET") is read)
            for read in (True, False)
        )
        assert len(writes) == 8
        assert spans(writes, 4) > 1_000_000
        assert len(reads) >= 8


def spans(arrived_us: Sequence[int], places: int) -> int:
    """Return the shortest time in which one more arrived than there are places, in microseconds."""
    return min(later - first for first, later in zip(arrived_us, arrived_us[places:], strict=False))
