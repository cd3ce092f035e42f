"""What the ledger keeps for looks before and after a request: bases, doubts, and what is still to be read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from migrator.core.model import Base, Touched
from migrator.core.states import State
from migrator.ledger.reading import summarize
from migrator.ledger.runledger import RunLedger
from migrator.ports import How, Intent, Outcome
from tests.plans import written
from tests.shell.ledgers import intent, outcome, read, statements

LOST = Outcome(2, State.DOUBT, 3.0, 504, "server", "HTTP 504: gone")
NOT_THERE = Outcome(2, State.PENDING, 9.0, 200, "missed", "the name is the old one", how=How.LOOK)
CANNOT_TELL = Outcome(2, State.UNRESOLVED, 6.0, 200, "unresolved", "somebody else edits it", how=How.LOOK)


class TestLooks:
    @pytest.mark.parametrize("way", [[LOST, NOT_THERE], [LOST, CANNOT_TELL, NOT_THERE]])
    @pytest.mark.parametrize("together", [True, False])
    async def test_history_keeps_how_a_lost_attempt_ended_and_not_what_the_look_said(
        self, path: Path, way: list[Outcome], together: bool
    ) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
            for one in way:
                ledger.record(one)
                if not together:
                    await ledger.flush()

        assert read(
            path, "SELECT step, number, request_id, ended_at, http_status, error_class, message FROM attempt"
        ) == [(2, 1, "request-2-1", 3.0, 504, "server", "HTTP 504: gone")]
        assert read(path, "SELECT state, misses, http_status, message, how FROM progress") == [
            ("PENDING", 1, 200, "the name is the old one", "look")
        ]

    async def test_a_miss_of_what_a_dead_process_left_says_that_it_died(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
        async with RunLedger(path) as ledger:
            ledger.record(NOT_THERE)

        assert read(path, "SELECT ended_at, http_status, error_class, message FROM attempt") == [
            (9.0, None, "no_answer", "the run ended between sending and the answer")
        ]

    async def test_the_first_intent_says_when_a_step_was_first_sent_and_no_later_one(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            for attempt, at in ((1, 10.0), (2, 20.0), (3, 30.0)):
                await written(ledger, Intent(2, attempt, "r", at))
                ledger.record(LOST)
                ledger.record(NOT_THERE)
            await written(ledger, Intent(2, 4, "r", 40.0))

        assert read(path, "SELECT first_sent_at, sent_at, misses, how FROM progress") == [(10.0, 40.0, 3, "")]

    async def test_by_what_a_state_was_reached_is_told_by_the_view(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await asyncio.gather(written(ledger, intent(2)), written(ledger, intent(3)))
            ledger.record(outcome(3))
            ledger.record(LOST)
            ledger.record(Outcome(2, State.APPLIED, 9.0, how=How.LOOK))

        assert read(path, "SELECT line, how FROM outcomes WHERE line < 5") == [(2, "look"), (3, "answer"), (4, "")]

    async def test_what_was_dismissed_is_no_request(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            ledger.dismiss(Outcome(2, State.REJECTED, 9.0, 404, "not_found", "it is not there", how=How.LOOK))
            await written(ledger, intent(3))
            ledger.record(outcome(3))

        assert read(
            path, "SELECT state, attempt, request_id, sent_at, first_sent_at, message FROM progress LIMIT 1"
        ) == [("REJECTED", 0, "", 9.0, None, "it is not there")]
        summary = summarize(path)
        assert (summary.attempts, summary.tried, summary.started_at) == (1, 1, 1_800_000_000.5)
        assert summary.last_error == "it is not there"

    async def test_a_base_is_in_the_file_before_the_intent_that_relies_on_it(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            written_so = statements(ledger, "INSERT")
            ledger.intend(intent(3))
            ledger.keep(2, Base(7, (Touched("/name", "old"),), b"[]", True))
            await written(ledger, intent(2))

            assert [text.split()[2] for text in written_so][:2] == ["base", "progress"], (
                "then come those of the triggers"
            )
            assert read(path, "SELECT * FROM base") == [(2, 7, '[{"path":"/name","before":"old"}]', b"[]", 1, "")]
