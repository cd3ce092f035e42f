"""Looking back: lists that lag behind, by different lags, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.emulator import Choices, Record, Store, seeded_container, seeded_offer_id
from migrator.emulator.hindsight import Hindsight

if TYPE_CHECKING:
    from tests.shell.emulator.conftest import Clock, Start

RENAME = [{"op": "replace", "path": "/name", "value": "B"}]


def record(key: str, name: str) -> Record:
    return Record(
        style="dps",
        scope="dev",
        word="tag",
        key=key,
        reference=key,
        name=name,
        document=b"{}",
        created_us=0,
        modified_us=0,
        created_by="",
        modified_by="",
    )


def names(store: Store) -> dict[str, str]:
    return {one.key: one.name for one in store}


WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3), st.integers(0, 6)), max_size=30)


@given(WRITES)
def test_every_moment_within_the_horizon_is_found_again(writes: list[tuple[str, bool, int, int]]) -> None:
    now_us = 10
    now = Store()
    seeded = record("a", "seeded")
    now.put(seeded)
    hindsight = Hindsight(now)
    hindsight.horizon_us = 5
    story = {0: names(now)}
    for number, (key, gone, pause_us, back_us) in enumerate(writes):
        now_us += pause_us
        old = now.shelf("dps", "dev", "tag").get(key)
        if gone and old is not None:
            now.remove(old)
            hindsight.note(now_us, old, None)
        elif not gone:
            new = record(key, str(number))
            hindsight.note(now_us, now.put(new), new)
        story[now_us] = names(now)
        moment_us = now_us - min(back_us, hindsight.horizon_us)
        then = max(at for at in story if at <= moment_us)
        assert names(hindsight.at(moment_us)) == story[then]


async def test_a_choice_and_a_fault_share_one_past_and_the_longer_lag_counts(start: Start, clock: Clock) -> None:
    client = await start(
        clock=clock,
        seed_offers=1,
        choices=Choices.from_texts({"C-28": "lag:2"}),
        faults=("search-lag:GET:n=2:seconds=9",),
    )

    async def listed() -> list[str]:
        return [entry["name"] for entry in (await client.dps("GET", "/offers")).body["results"]]

    await client.dps("PATCH", f"/offers/{seeded_offer_id(0)}", RENAME)
    clock.now_us += 3_000_000
    assert [await listed() for _ in range(3)] == [["B"], ["Seeded offer 0"], ["B"]]


async def test_a_lag_can_begin_while_it_runs_and_end_again(start: Start, clock: Clock) -> None:
    client = await start(clock=clock, seed_offers=1)
    await client.dps("PATCH", f"/offers/{seeded_offer_id(0)}", RENAME)
    fault = client.server.add_fault("search-lag:GET:seconds=5")
    await client.dps("DELETE", f"/offers/{seeded_offer_id(0)}")
    assert (await client.dps("GET", "/offers")).body["results"][0]["name"] == "B"  # what was before is not known
    client.server.remove_fault(fault.number)
    assert (await client.dps("GET", "/offers")).body["total"] == 0


@pytest.mark.parametrize("lag", [0, 5])
async def test_with_a_mirror_both_sides_lag(start: Start, clock: Clock, lag: int) -> None:
    choices = Choices.from_texts({"C-14": "mirrored", "C-28": f"lag:{lag}"})
    client = await start(clock=clock, choices=choices)
    assert (await client.xcore("POST", "/instances", {"xdm:name": "T"}, word="tag")).status == 201
    schema = "https://ns.adobe.com/experience/offer-management/tag"
    dps = await client.send("GET", "/data/core/dps/tags")
    xcore = await client.send("GET", f"/data/core/xcore/{seeded_container(0)}/instances?schema={schema}")
    assert dps.body["total"] == xcore.body["_embedded"]["total"] == (0 if lag else 1)
