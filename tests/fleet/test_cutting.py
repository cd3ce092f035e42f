"""How a plan is cut into shards."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.fleet.shards import Counted, Pieces, cut

SIZE = 100


@pytest.mark.parametrize(
    ("counts", "shards"),
    [
        ([Counted(0, 1, 10)], [(0, 1)]),
        # Small containers share a shard, up to half as much again as its size, and none is cut.
        ([Counted(0, 1, 60), Counted(0, 2, 90), Counted(0, 3, 1)], [(0, 1), (0, 1), (1, 1)]),
        # Steps of another stage are never in the same one.
        ([Counted(0, 1, 10), Counted(1, 1, 10), Counted(1, 2, 10)], [(0, 1), (1, 1), (1, 1)]),
        # A huge container is cut, and shares its shards with none.
        ([Counted(0, 1, 10), Counted(0, 2, 250), Counted(0, 3, 10)], [(0, 1), (1, 3), (4, 1)]),
        ([Counted(0, 1, 150), Counted(0, 2, 151)], [(0, 1), (1, 2)]),
    ],
)
def test_containers_are_dealt_out_in_their_order(counts: list[Counted], shards: list[tuple[int, int]]) -> None:
    assert [(pieces.first, pieces.count) for pieces in cut(counts, SIZE).values()] == shards


def in_order(counts: list[Counted]) -> list[Counted]:
    return sorted(counts, key=lambda one: (one.stage, one.container))


counted = st.builds(Counted, st.integers(0, 3), st.integers(1, 30), st.integers(1, 1_000))


@given(st.lists(counted, unique_by=lambda one: (one.stage, one.container)).map(in_order))
def test_each_step_is_in_one_shard_of_one_stage_and_of_bounded_size(counts: list[Counted]) -> None:
    pieces = cut(counts, SIZE)

    stages, steps = defaultdict[int, set[int]](set), defaultdict[int, float](float)
    for one in counts:
        place = pieces[one.stage, one.container]
        for number in range(place.first, place.first + place.count):
            stages[number].add(one.stage)
            steps[number] += one.steps / place.count
    assert all(len(found) == 1 for found in stages.values())
    assert all(size <= SIZE * 1.5 for size in steps.values())
    assert set(stages) == set(range(len(stages)))


def test_all_steps_of_an_object_are_in_one_shard_and_a_container_is_cut_evenly() -> None:
    pieces = Pieces(7, 4)
    found = Counter(pieces.shard_of(f"dps:personalized-offer:{number}") for number in range(4_000))

    assert pieces.shard_of("dps:personalized-offer:12") == pieces.shard_of("dps:personalized-offer:12")
    assert set(found) == {7, 8, 9, 10}
    assert max(found.values()) < 1.2 * min(found.values())
