"""What a limit keeps at the service: nothing for certain while a network is in between, unless the limit is strict."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.transport.throttle import Throttle
from tests.shell.simulated import Sends, shortest_s, simulate, timers_set


def network(seed: int, longest_s: float) -> Any:
    """Return a way that takes up to `longest_s`, and mostly nothing."""
    dice = random.Random(seed)
    return lambda: dice.choice((0.0, 0.0, dice.uniform(0, longest_s)))


def arrivals(seed: int, longest_s: float, workers: int, **limits: Any) -> list[float]:
    sends = Sends(Throttle(**limits))
    simulate(sends.crew(workers, 3 + 120 // workers, way_s=network(seed, longest_s), write=True))
    return sends.arrived


@settings(deadline=None)
@given(
    rate=st.one_of(st.floats(0.5, 5), st.integers(1, 100).map(float)),
    longest_s=st.sampled_from([0.0, 0.05, 1.0, 10.0]),
    workers=st.integers(1, 32),
    seed=st.integers(0, 2**32),
)
def test_a_strict_limit_holds_at_the_service_whatever_the_network_does(
    rate: float, longest_s: float, workers: int, seed: int
) -> None:
    arrived = arrivals(seed, longest_s, workers, rate=rate, strict=True)

    places = max(1, int(rate))
    assert len(arrived) == workers * (3 + 120 // workers)
    assert shortest_s(arrived, places) > places / rate - 1e-9


def test_without_it_the_network_can_bring_more_together_than_left_in_a_period() -> None:
    arrived = arrivals(1, 0.5, 32, rate=20)

    assert shortest_s(arrived, 20) < 1.0


@pytest.mark.parametrize("limits", [{"write_rate": 20}, {"container_rate": 20}, {"rate": 100, "write_rate": 20}])
def test_every_limit_can_be_strict(limits: dict[str, Any]) -> None:
    assert shortest_s(arrivals(1, 0.5, 32, **limits), 20) < 1.0
    assert shortest_s(arrivals(1, 0.5, 32, strict=True, **limits), 20) > 1.0


@pytest.mark.parametrize(("answer_s", "used"), [(0.01, 0.985), (0.1, 0.905), (0.5, 0.664)])
def test_a_strict_limit_costs_the_time_of_an_answer_in_each_period(answer_s: float, used: float) -> None:
    sends = Sends(Throttle(rate=50, strict=True))

    simulate(sends.crew(64, 6, way_s=lambda: answer_s / 2))

    # 1 / (1 s + 5 ms + the answer's time)
    assert (len(sends.at) - 1) / (sends.at[-1] - sends.at[0]) / 50 == pytest.approx(used, abs=0.03)


def test_what_is_given_up_without_an_answer_frees_its_place_after_a_period() -> None:
    async def play() -> float:
        throttle = Throttle(rate=1, strict=True)
        await throttle.permit("c")
        throttle.sent("c")
        waiting = asyncio.create_task(throttle.permit("c"))
        await asyncio.sleep(10)
        assert not waiting.done()
        throttle.answered("c")
        given_up_at = asyncio.get_running_loop().time()
        await waiting
        return asyncio.get_running_loop().time() - given_up_at

    assert simulate(play()) == pytest.approx(1.0, abs=0.02)


def test_a_strict_limit_costs_no_more_timers_than_another() -> None:
    async def play() -> float:
        sends = Sends(Throttle(rate=100, strict=True))
        await sends.crew(256, 4)
        return timers_set() / len(sends.at)

    assert simulate(play()) <= 1.2
