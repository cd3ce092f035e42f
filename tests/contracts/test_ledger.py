"""What every ledger promises the engine: the real one and the one the engine's tests use pass the same suite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed
from migrator.core.model import Change, EntityType, Kind
from migrator.core.states import State
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent, Ledger, Outcome
from tests.fakes import MemoryLedger, changes, failing, make_plan, soon, steps, written

Open = Callable[[], AbstractAsyncContextManager[Ledger]]
"""Opens the ledger; a second time, as a later process would."""

Plan = Callable[[Sequence[Change]], Open]


@pytest.fixture(params=["RunLedger", "MemoryLedger"])
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    """Make a ledger of changes."""

    def real(of: Sequence[Change]) -> Open:
        path = make_plan(tmp_path / "ledger.sqlite", of)
        return lambda: RunLedger(path)

    def fake(of: Sequence[Change]) -> Open:
        ledger = MemoryLedger(steps(of))
        return lambda: ledger

    return real if request.param == "RunLedger" else fake


def intent(seq: int, attempt: int = 1) -> Intent:
    return Intent(seq, attempt, f"request-{seq}-{attempt}", 1_800_000_000.5)


def outcome(seq: int, state: State) -> Outcome:
    return Outcome(seq, state, 1_800_000_001.5, http_status=200)


async def pending(ledger: Ledger, container: str = "dev") -> list[int]:
    return [step.seq for step in await ledger.pending(container, 0, 100)]


async def test_containers_come_in_the_order_of_their_first_row(plan: Plan) -> None:
    async with plan(changes(["b", "a", "b", "c", "a"]))() as ledger:
        assert list(await ledger.containers()) == ["b", "a", "c"]


async def test_pending_steps_come_by_container_in_pages_in_order(plan: Plan) -> None:
    async with plan(changes(["a", "b", "a", "a", "b", "a"]))() as ledger:
        first = await ledger.pending("a", 0, 3)
        second = await ledger.pending("a", first[-1].seq, 3)

        assert [step.seq for step in first] == [2, 4, 5]
        assert [step.seq for step in second] == [7]
        assert await pending(ledger, "b") == [3, 6]
        assert await pending(ledger, "c") == []


async def test_a_step_comes_back_as_it_was_planned(plan: Plan) -> None:
    planned = [
        *changes(["dev"]),
        Change(3, "dev", EntityType.TAG, "", Kind.CREATE, document={"name": "Ä\u2028\x00"}, key="k"),
        Change(4, "dev", EntityType.TAG, "t1", Kind.DELETE),
    ]

    async with plan(planned)() as ledger:
        assert list(await ledger.pending("dev", 0, 9)) == steps(planned)


@pytest.mark.parametrize("state", [State.APPLIED, State.REJECTED, State.DOUBT])
async def test_what_has_ended_is_not_to_be_sent_by_anybody_any_more(plan: Plan, state: State) -> None:
    reopen = plan(changes(["dev", "prod"]))
    async with reopen() as ledger:
        await soon(written(ledger, intent(2)))
        ledger.record(outcome(2, state))
        await soon(ledger.flush())

        assert await pending(ledger) == []
        assert list(await ledger.containers()) == ["prod"]

    async with reopen() as ledger:
        assert await pending(ledger) == []
        assert list(await ledger.containers()) == ["prod"]


async def test_an_intent_without_an_outcome_is_not_to_be_sent_by_a_later_process(plan: Plan) -> None:
    reopen = plan(changes(["dev"]))
    async with reopen() as ledger:
        await soon(written(ledger, intent(2)))

    async with reopen() as ledger:
        assert list(await ledger.containers()) == []


async def test_what_was_not_executed_is_to_be_sent_again_and_its_attempts_are_counted_on(plan: Plan) -> None:
    reopen = plan(changes(["dev"]))
    async with reopen() as ledger:
        for attempt in (1, 2):
            await soon(written(ledger, intent(2, attempt)))
            ledger.record(outcome(2, State.PENDING))

    async with reopen() as ledger:
        (step,) = await ledger.pending("dev", 0, 9)
        assert step.attempts == 2
        await soon(written(ledger, intent(2, 3)))
        ledger.record(outcome(2, State.PENDING))

    async with reopen() as ledger:
        (step,) = await ledger.pending("dev", 0, 9)
        assert step.attempts == 3


async def test_leaving_is_flushing(plan: Plan) -> None:
    reopen = plan(changes(["dev"] * 20))
    async with reopen() as ledger:
        await soon(asyncio.gather(*(written(ledger, intent(seq)) for seq in range(2, 22))))
        for seq in range(2, 22):
            ledger.record(outcome(seq, State.APPLIED if seq % 2 else State.PENDING))

    async with reopen() as ledger:
        assert await pending(ledger) == list(range(2, 22, 2))


@pytest.mark.parametrize("ended", [State.APPLIED, State.REJECTED, State.DOUBT, None])
async def test_only_a_pending_step_can_be_intended(plan: Plan, ended: State | None) -> None:
    reopen = plan(changes(["dev"]))
    async with reopen() as ledger:
        await soon(written(ledger, intent(2)))
        if ended:
            ledger.record(outcome(2, ended))

    async with failing(reopen()) as ledger:
        with pytest.raises(LedgerFailed):
            await soon(written(ledger, intent(2, 2)))


@pytest.mark.parametrize("state", [State.APPLIED, State.PENDING])
async def test_an_outcome_without_an_intent_is_a_failure(plan: Plan, state: State) -> None:
    async with failing(plan(changes(["dev"]))()) as ledger:
        ledger.record(outcome(2, state))
        with pytest.raises(LedgerFailed):
            await soon(ledger.flush())


async def test_what_failed_stays_failed_until_it_is_opened_anew(plan: Plan) -> None:
    reopen = plan(changes(["dev", "dev"]))
    async with failing(reopen()) as ledger:
        ledger.record(outcome(2, State.APPLIED))
        with pytest.raises(LedgerFailed):
            await soon(ledger.flush())
        with pytest.raises(LedgerFailed):
            await soon(written(ledger, intent(3)))
        with pytest.raises(LedgerFailed):
            ledger.record(outcome(3, State.APPLIED))

    async with reopen() as ledger:
        assert await pending(ledger) == [2, 3]
