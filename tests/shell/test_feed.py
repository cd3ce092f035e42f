"""The feed: every step is handed out once, in turns, within the window and the limits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random
from unittest.mock import AsyncMock, patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.core.model import Step
from migrator.engine import feed as feed_module
from migrator.engine.feed import Feed
from migrator.engine.surveying import Lists
from tests.memory import MemoryLedger
from tests.plans import changes, steps
from tests.waiting import TIMEOUT_S, some_turns, soon


class SlowLedger(MemoryLedger):
    """Answers after a random number of turns, and watches how it is asked."""

    def __init__(self, planned: Sequence[Step], chance: Random) -> None:
        super().__init__(planned)
        self.reading: Counter[str] = Counter()
        self.pages: list[int] = []
        self.most_at_once = 0
        self._chance = chance

    async def pending(self, container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
        self.reading[container] += 1
        self.most_at_once = max(self.most_at_once, self.reading[container])
        self.pages.append(limit)
        for _ in range(self._chance.randrange(6)):
            await asyncio.sleep(0)
        self.reading[container] -= 1
        return await super().pending(container, stage, after, limit)


class Crew:
    """Workers that are handed steps from a feed, one after the other, keep each for a while, and watch the limits."""

    def __init__(self, ledger: SlowLedger, per_container: int, chance: Random) -> None:
        self.feed = Feed(ledger, list(dict.fromkeys(step.container for step in ledger._to_send(0))), 0, per_container)
        self.taken: list[Step] = []
        self.peak: Counter[str] = Counter()
        self.most_buffered = 0
        self._busy: Counter[str] = Counter()
        self._chance = chance
        self._hand = asyncio.Lock()

    async def _take(self) -> Step | None:
        async with self._hand:
            return await taken(self.feed)

    async def run(self, workers: int) -> None:
        async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as crew:
            for _ in range(workers):
                crew.create_task(self._work())

    async def _work(self) -> None:
        while (step := await self._take()) is not None:
            self.taken.append(step)
            self._busy[step.container] += 1
            self.peak |= self._busy
            self.peak["all"] = max(self.peak["all"], self._busy.total())
            self.most_buffered = max(self.most_buffered, buffered(self.feed))
            for _ in range(self._chance.randrange(6)):
                await asyncio.sleep(0)
            self._busy[step.container] -= 1
            self.feed.done(step)


async def taken(feed: Feed) -> Step | None:
    """Take the next step from a feed without lists."""
    step = await feed.take()
    assert not isinstance(step, Lists)
    return step


def buffered(feed: Feed) -> int:
    return sum(len(lane._buffer) for lane in feed._lanes.values())


def interleaved(sizes: Sequence[int], chance: Random) -> list[Step]:
    """Return the steps of containers of these sizes in a random order of lines."""
    containers = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]
    chance.shuffle(containers)
    return steps(changes(containers))


class TestFeed:
    @settings(max_examples=150, deadline=None)
    @given(
        sizes=st.lists(st.integers(0, 12), max_size=6),
        workers=st.integers(1, 6),
        per_container=st.integers(0, 3),
        window=st.integers(1, 8),
        seed=st.integers(0, 10_000),
    )
    def test_every_step_is_handed_out_once_within_all_limits(
        self, sizes: list[int], workers: int, per_container: int, window: int, seed: int
    ) -> None:
        async def hand_out() -> tuple[SlowLedger, Crew]:
            chance = Random(seed)
            ledger = SlowLedger(interleaved(sizes, chance), chance)
            crew = Crew(ledger, per_container, chance)
            await crew.run(workers)
            return ledger, crew

        with patch.object(feed_module, "WINDOW", window):
            ledger, crew = asyncio.run(hand_out())

        assert Counter(step.seq for step in crew.taken) == Counter(list(ledger._steps))
        for container in {step.container for step in crew.taken}:
            lines = [step.seq for step in crew.taken if step.container == container]
            assert lines == sorted(lines)
            assert crew.peak[container] <= (per_container or workers)
        assert crew.peak["all"] <= workers
        assert crew.most_buffered <= max(window, sum(size > 0 for size in sizes))
        assert ledger.most_at_once <= 1, "two readers of one page would hand it out twice"

    async def test_a_small_container_is_done_early_although_a_big_one_came_first(self) -> None:
        planned = steps(changes(["big"] * 50 + ["small"] * 3))
        crew = Crew(SlowLedger(planned, Random(1)), 0, Random(1))
        await crew.run(1)

        assert [step.container for step in crew.taken[:6]] == ["big", "small"] * 3

    async def test_a_container_at_its_limit_does_not_hold_up_the_others(self) -> None:
        feed = Feed(MemoryLedger(steps(changes(["a", "a", "b", "b"]))), ["a", "b"], 0, 1)
        one, two = await taken(feed), await taken(feed)
        assert one is not None
        assert two is not None
        assert [one.container, two.container] == ["a", "b"]

        third = asyncio.create_task(taken(feed))
        await some_turns()
        assert not third.done(), "both containers are at their limits"
        feed.done(two)
        step = await soon(third)
        assert step is not None
        assert (step.seq, step.container) == (5, "b")

    async def test_pages_grow_when_containers_come_to_their_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed_module, "WINDOW", 12)
        ledger = SlowLedger(steps(changes(["big"] * 40 + ["x", "y", "z"])), Random(2))
        crew = Crew(ledger, 0, Random(2))
        await crew.run(2)

        assert (ledger.pages[0], ledger.pages[-1]) == (3, 12)
        assert crew.most_buffered <= 12

    async def test_a_step_that_ends_while_its_container_refills_starts_no_second_refill(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed_module, "WINDOW", 2)
        refilled, reads = asyncio.Event(), 0
        ledger = MemoryLedger(steps(changes(["a"] * 4)))
        pending = ledger.pending

        async def slowly(container: str, stage: int, after: int, limit: int) -> Sequence[Step]:
            nonlocal reads
            reads += 1
            if after:
                await refilled.wait()
            return await pending(container, stage, after, limit)

        ledger.pending = slowly  # type: ignore[method-assign]
        feed = Feed(ledger, ["a"], 0, 0)
        first, second = await taken(feed), await taken(feed)
        assert first is not None
        assert second is not None
        third = asyncio.create_task(taken(feed))
        await some_turns()
        feed.done(first)
        feed.done(second)
        await some_turns()
        assert reads == 2
        refilled.set()

        rest = [await soon(third), await soon(taken(feed))]
        assert [step.seq for step in rest if step] == [4, 5]

    async def test_a_container_that_rests_holds_up_nobody_and_comes_back(self) -> None:
        resting = {"a": 0.01, "b": 0.0}
        ledger = MemoryLedger(steps(changes(["a", "b", "b"])))
        feed = Feed(ledger, ["a", "b"], 0, 0, resting.__getitem__)
        first, second = await taken(feed), await taken(feed)
        assert first is not None
        assert second is not None
        assert [first.container, second.container] == ["b", "b"]

        resting["a"] = 0.0
        third = await soon(taken(feed))
        assert third is not None
        assert third.container == "a"
        assert await soon(taken(feed)) is None

    async def test_a_stop_lets_nobody_wait_and_hands_out_nothing_more(self) -> None:
        feed = Feed(MemoryLedger(steps(changes(["a"] * 5))), ["a"], 0, 1)
        step = await taken(feed)
        assert step is not None
        waiting = asyncio.create_task(taken(feed))
        await some_turns()

        feed.stop()
        assert await soon(waiting) is None
        feed.done(step)
        assert await soon(taken(feed)) is None

    async def test_a_stop_while_a_container_refills_hands_out_nothing_more(self) -> None:
        feed = Feed(MemoryLedger(steps(changes(["a"] * 5))), ["a"], 0, 0)
        taking = asyncio.create_task(taken(feed))
        await asyncio.sleep(0)
        feed.stop()

        assert await soon(taking) is None

    async def test_a_container_with_lists_to_read_gives_a_page_a_turn_and_steps_after_the_last(self) -> None:
        ledger = MemoryLedger(steps(changes(["a", "b", "a", "b", "b"])))
        lists = {name: Lists(name, AsyncMock(return_value=[]), ledger) for name in "ab"}
        feed = Feed(ledger, ["a", "b"], 0, 0, lists=lists.__getitem__)
        assert await feed.take() is lists["a"]
        assert await feed.take() is lists["b"]
        waiting = asyncio.create_task(feed.take())
        await some_turns()
        assert not waiting.done(), "both are being read"

        feed.read(lists["a"], more=True)
        assert await soon(waiting) is lists["a"]
        feed.read(lists["b"], more=False)
        early = [await soon(taken(feed)) for _ in range(2)]
        feed.read(lists["a"], more=False)
        late = [await soon(taken(feed)) for _ in range(4)]

        assert [step.seq for step in early if step] == [3, 5], "b is sent while a is still being read"
        assert [step and step.seq for step in late] == [6, 2, 4, None]
