"""The ledger of a running run: what it says is on the disk is on the disk, and what may not happen does not."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed
from migrator.core.states import State
from migrator.ledger import recorder, runledger
from migrator.ledger.reading import summarize
from migrator.ledger.runledger import RunLedger
from migrator.ledger.statements import (
    CONTAINERS,
    INDEX_OBJECTS,
    PENDING,
    UNBASED,
    UNBASED_AMONG,
    UNSETTLED_DOUBTS,
    dismiss,
    intend,
    keep,
    record,
    remember,
)
from migrator.ports import Outcome
from tests.plans import changes, failing, make_plan, written
from tests.shell.ledgers import STEPS, ask, intent, outcome, read, slow_disk, some_turns, statements, states
from tests.waiting import TIMEOUT_S, child, soon


class TestDurability:
    async def test_an_intent_is_in_the_file_when_intend_returns(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            for seq in (2, 3):
                await written(ledger, intent(seq))
                assert states(path)[seq] == "INTENT"

        assert read(path, "SELECT attempt, request_id, sent_at FROM progress WHERE step = 2") == [
            (1, "request-2-1", 1_800_000_000.5)
        ]

    async def test_an_intent_is_not_confirmed_before_it_is_in_the_file(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            with slow_disk(ledger):
                intending = asyncio.create_task(written(ledger, intent(2)))
                await some_turns()
                assert not intending.done()
                assert states(path) == {}
            await soon(intending)

    async def test_a_commit_survives_a_power_cut(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            assert await ask(ledger, "PRAGMA journal_mode") == "wal"
            assert await ask(ledger, "PRAGMA synchronous") == 2, "2 is FULL"
            assert await ask(ledger, "PRAGMA fullfsync") == 1

    def test_an_intent_survives_the_death_of_the_process(self, path: Path) -> None:
        script = """
import asyncio, os, signal, sys
from pathlib import Path
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent

async def main():
    async with RunLedger(Path(sys.argv[1])) as ledger:
        await asyncio.gather(*(ledger.intend(Intent(seq, 1, "r", 1.0)).durable() for seq in (2, 3, 4)))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
        with child(script, path) as running:
            assert running.wait(60) == -signal.SIGKILL

        assert states(path) == {2: "INTENT", 3: "INTENT", 4: "INTENT"}

    async def test_an_outcome_is_in_the_file_after_a_flush(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
            ledger.record(outcome(2))
            await ledger.flush()

            assert read(path, "SELECT state, ended_at, http_status, etag, object, reference FROM progress") == [
                ("APPLIED", 1_800_000_001.5, 200, 7, "object-2", "@2")
            ]

    async def test_what_has_ended_is_told_in_order_once_it_is_in_the_file(self, path: Path) -> None:
        told: list[tuple[int, str]] = []
        async with RunLedger(path) as ledger:
            ledger.told = lambda steps: told.extend((seq, states(path)[seq]) for seq in steps)
            for seq in (2, 3, 4, 5):
                await written(ledger, intent(seq))
            for seq, state in ((4, State.REJECTED), (3, State.DOUBT), (2, State.APPLIED), (3, State.APPLIED)):
                ledger.record(outcome(seq, state))
            assert told == []
            await ledger.flush()
            assert sorted(told) == [(2, "APPLIED"), (3, "APPLIED"), (4, "REJECTED")]
            ledger.record(outcome(5))  # it is written when the ledger is closed

        assert told[3:] == [(5, "APPLIED")]

    async def test_a_flush_waits_for_the_batch_that_is_on_its_way_and_for_the_one_that_waits(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await asyncio.gather(written(ledger, intent(2)), written(ledger, intent(3)))
            with slow_disk(ledger):
                ledger.record(outcome(2))
                await some_turns()
                ledger.record(outcome(3))
                flushing = asyncio.create_task(ledger.flush())
                await some_turns()
                assert not flushing.done()
            await soon(flushing)

            assert states(path) == {2: "APPLIED", 3: "APPLIED"}

    async def test_an_outcome_is_in_the_file_after_leaving(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
            ledger.record(outcome(2))

        assert [file.name for file in path.parent.iterdir()] == ["ledger.sqlite"]
        assert states(path) == {2: "APPLIED"}

    async def test_text_that_cannot_be_written_as_utf8_is_spelled_out(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
            ledger.record(outcome(2, message="HTTP 302 sends us to /b\udcfccher"))

        assert read(path, "SELECT message FROM progress") == [("HTTP 302 sends us to /b\\udcfccher",)]


class TestAttempts:
    async def test_the_outcome_of_one_attempt_and_the_intent_of_the_next_may_share_a_commit(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
            commits = statements(ledger, "COMMIT")
            ledger.record(outcome(2, State.PENDING, "HTTP 429"))
            await written(ledger, intent(2, 2))

            assert len(commits) == 1
            assert read(path, "SELECT state, attempt, message, http_status, ended_at FROM progress") == [
                ("INTENT", 2, "", None, None)
            ]
            assert read(path, "SELECT step, number, request_id, message FROM attempt") == [
                (2, 1, "request-2-1", "HTTP 429")
            ]

    async def test_every_attempt_is_kept_and_numbers_go_on_after_a_resume(self, path: Path) -> None:
        for number in (1, 2, 3):
            async with RunLedger(path) as ledger:
                (step,) = await ledger.pending("dev", 0, 0, 1)
                assert step.attempts == number - 1
                await written(ledger, intent(2, step.attempts + 1))
                state, error = (State.PENDING, "locked") if number < 3 else (State.APPLIED, "")
                ledger.record(Outcome(2, state, 1_800_000_001.5, 200, error, f"try {number}"))

        assert read(path, "SELECT number, request_id, sent_at, ended_at, http_status, message FROM attempt") == [
            (1, "request-2-1", 1_800_000_000.5, 1_800_000_001.5, 200, "try 1"),
            (2, "request-2-2", 1_800_000_000.5, 1_800_000_001.5, 200, "try 2"),
        ]
        assert read(path, "SELECT attempt, request_id, message FROM progress") == [(3, "request-2-3", "try 3")]
        assert summarize(path).attempts == 3

    async def test_the_last_error_is_not_what_was_only_taken_back(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await asyncio.gather(written(ledger, intent(2)), written(ledger, intent(3)))
            ledger.record(Outcome(2, State.PENDING, 1.0, 429, "rate_limited", "HTTP 429"))
            ledger.record(Outcome(3, State.PENDING, 2.0, message="not sent: the run was stopped"))

        assert summarize(path).last_error == "HTTP 429"

    async def test_what_was_taken_back_before_it_was_sent_is_no_request(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            for seq, number in ((2, 1), (3, 1), (3, 2)):
                await written(ledger, intent(seq, number))
                ledger.record(Outcome(seq, State.PENDING, 1.0, message="not sent: the run was stopped"))
            await written(ledger, intent(3, 3))
            ledger.record(outcome(3))

        summary = summarize(path)
        assert (summary.attempts, summary.tried) == (1, 1)

    async def test_intents_that_a_dead_process_left_are_in_doubt(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await asyncio.gather(*(written(ledger, intent(seq)) for seq in (2, 3)))
            ledger.record(outcome(3))

        async with RunLedger(path):
            assert states(path) == {2: "DOUBT", 3: "APPLIED"}

        summary = summarize(path)
        assert (summary.count(State.DOUBT), summary.count(State.PENDING)) == (1, STEPS - 2)
        assert summary.last_error == "the run ended between sending and the answer"


class TestGroups:
    async def test_intents_that_come_together_share_a_commit_and_are_confirmed_first_come_first(
        self, path: Path
    ) -> None:
        confirmed: list[int] = []

        async def intend(ledger: RunLedger, seq: int) -> None:
            await written(ledger, intent(seq))
            confirmed.append(seq)

        async with RunLedger(path) as ledger:
            commits = statements(ledger, "COMMIT")
            with slow_disk(ledger):
                intending = [asyncio.create_task(intend(ledger, seq)) for seq in range(2, 20)]
                await some_turns()
                intending += [asyncio.create_task(intend(ledger, seq)) for seq in range(20, 62)]
                await some_turns()
            await soon(asyncio.gather(*intending))

            assert confirmed == list(range(2, 62))
            assert len(commits) == 2, "what came while the disk was slow is the second"

    async def test_the_commit_of_an_intent_takes_the_outcomes_so_far_along(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await asyncio.gather(*(written(ledger, intent(seq)) for seq in range(2, 9)))
            commits = statements(ledger, "COMMIT")
            for seq in range(2, 9):
                ledger.record(outcome(seq))
            await written(ledger, intent(9))

            assert states(path) == {**dict.fromkeys(range(2, 9), "APPLIED"), 9: "INTENT"}
            assert len(commits) == 1

    async def test_nobody_has_to_wait_for_an_outcome_to_be_written(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            await written(ledger, intent(2))
            ledger.record(outcome(2))
            async with asyncio.timeout(TIMEOUT_S):
                while states(path) != {2: "APPLIED"}:  # noqa: ASYNC110 (the file has no event)
                    await asyncio.sleep(0.001)

    async def test_whoever_is_in_a_hurry_need_not_wait(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recorder, "LINGER_S", 3600.0)
        async with RunLedger(path) as ledger:
            ledger.intend(intent(2)).hurry()
            async with asyncio.timeout(TIMEOUT_S):
                while states(path) != {2: "INTENT"}:  # noqa: ASYNC110 (the file has no event)
                    await asyncio.sleep(0.001)

    async def test_a_batch_of_any_size_is_written(self, tmp_path: Path) -> None:
        rows = 2 * runledger.MOST_ROWS + 1
        path = make_plan(tmp_path / "large.sqlite", changes(["dev"] * rows))
        async with RunLedger(path) as ledger:
            for seq in range(2, rows + 2):
                last = ledger.intend(intent(seq))
            await last.durable()
            for seq in range(2, rows + 2):
                ledger.record(outcome(seq, State.PENDING if seq % 2 else State.APPLIED))

        assert summarize(path).steps == {State.APPLIED: rows // 2 + 1, State.PENDING: rows // 2}
        assert read(path, "SELECT count(*) FROM attempt") == [(rows // 2,)]

    async def test_a_reader_sees_whole_commits_while_the_writer_writes(self, path: Path) -> None:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader:
            async with RunLedger(path) as ledger:
                await written(ledger, intent(2))
                reader.execute("BEGIN")
                seen = reader.execute("SELECT step, state FROM progress").fetchall()
                ledger.record(outcome(2))
                await written(ledger, intent(3))

                assert summarize(path).steps == {State.APPLIED: 1, State.INTENT: 1, State.PENDING: STEPS - 2}
                assert reader.execute("SELECT step, state FROM progress").fetchall() == seen == [(2, "INTENT")]

    @pytest.mark.parametrize("statement", [record(3), remember(3), intend(3), keep(3), dismiss(3), PENDING])
    def test_no_statement_of_the_hot_path_reads_all_of_the_progress(self, path: Path, statement: str) -> None:
        values = [None] * statement.count("?")
        with closing(sqlite3.connect(path)) as db:
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]

        assert not [line for line in plan if line.startswith(("SCAN p", "SCAN s", "SCAN b", "USE TEMP"))], plan
        assert not [line for line in plan if "AUTOMATIC" in line], plan

    @pytest.mark.parametrize("statement", [UNBASED_AMONG, UNBASED])
    def test_steps_without_a_base_are_looked_up_and_not_searched_for(self, path: Path, statement: str) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute(INDEX_OBJECTS)
            values = [None] * statement.count("?")
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]

        assert not [line for line in plan if line.startswith(("SCAN s", "SCAN p", "SCAN b"))], plan
        assert not [line for line in plan if "AUTOMATIC" in line], plan

    def test_finding_doubts_reads_the_progress_once_and_looks_up_the_rest(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {UNSETTLED_DOUBTS}", ["[]", 0, 1])]

        assert not [line for line in plan if line.startswith(("SCAN s", "SCAN p", "SCAN b", "USE TEMP"))], plan

    def test_finding_the_containers_looks_steps_up_by_container(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {CONTAINERS}", [0])]

        assert not [line for line in plan if line.startswith(("SCAN p", "SCAN s"))], plan


def fill(ledger: RunLedger) -> None:
    """Leave the file no room to grow."""
    (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")


class TestFailure:
    async def test_a_full_disk_ends_everything_that_waits_and_everything_that_comes(self, path: Path) -> None:
        long = "x" * 5000
        async with failing(RunLedger(path)) as ledger:
            await asyncio.gather(*(written(ledger, intent(seq)) for seq in (2, 3)))
            await ledger._in_thread(lambda: fill(ledger))
            with slow_disk(ledger):
                ledger.record(outcome(2, message=long))
                waiting = [asyncio.create_task(written(ledger, intent(seq))) for seq in range(4, 8)]
                await some_turns()
                waiting += [asyncio.create_task(written(ledger, intent(seq))) for seq in range(8, 12)]
                waiting += [asyncio.create_task(ledger.flush())]
                await some_turns()
            ended = await soon(asyncio.gather(*waiting, return_exceptions=True))

            assert {type(error) for error in ended} == {LedgerFailed}
            for call in (written(ledger, intent(12)), ledger.flush()):
                with pytest.raises(LedgerFailed, match="full") as caught:
                    await soon(call)
                assert "make room" in caught.value.hint
            with pytest.raises(LedgerFailed, match="full"):
                ledger.record(outcome(3))

        assert states(path) == {2: "INTENT", 3: "INTENT"}, "nothing of the batch that failed, and nothing after it"

    async def test_after_a_batch_that_failed_nothing_more_is_written(self, path: Path) -> None:
        async with failing(RunLedger(path)) as ledger:
            await asyncio.gather(*(written(ledger, intent(seq)) for seq in (2, 3)))
            await ledger._in_thread(lambda: fill(ledger))
            with slow_disk(ledger):
                ledger.record(outcome(2, message="x" * 5000))
                await some_turns()
                ledger.record(outcome(3))
            with pytest.raises(LedgerFailed):
                await soon(ledger.flush())
            await ledger._in_thread(lambda: ledger._db.execute("PRAGMA max_page_count = 1000000"))

        assert states(path) == {2: "INTENT", 3: "INTENT"}

    async def test_a_ledger_that_failed_can_be_opened_again(self, path: Path) -> None:
        async with failing(RunLedger(path)) as ledger:
            await written(ledger, intent(2))
            await ledger._in_thread(lambda: fill(ledger))
            ledger.record(outcome(2, message="x" * 5000))

        async with RunLedger(path) as ledger:
            assert states(path) == {2: "DOUBT"}
            await written(ledger, intent(3))

    async def test_a_failure_of_the_last_batch_is_told_when_leaving(self, path: Path) -> None:
        ledger = RunLedger(path)
        with pytest.raises(LedgerFailed, match="took 0 of 1 records"):
            async with ledger:
                ledger.record(outcome(2))

    async def test_an_error_that_is_not_the_disks_ends_everything_too(self, path: Path) -> None:
        async with failing(RunLedger(path)) as ledger:
            await written(ledger, intent(2))
            ledger.record(Outcome(2, State.APPLIED, 1.0, etag=2**64))
            with pytest.raises(LedgerFailed, match="cannot take its records"):
                await soon(written(ledger, intent(3)))

    async def test_a_disk_that_refuses_to_write_stops_before_the_next_intent(self, path: Path) -> None:
        script = """
import asyncio, resource, sys
from pathlib import Path
from migrator.core.errors import LedgerFailed
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent

async def main():
    confirmed = []
    try:
        async with RunLedger(Path(sys.argv[1])) as ledger:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
            for seq in range(2, 62):
                await ledger.intend(Intent(seq, 1, "r" * 500, 1.0)).durable()
                confirmed.append(seq)
    except LedgerFailed as error:
        print(len(confirmed), error, "/", error.hint)

asyncio.run(main())
"""
        with child(script, path) as running:
            said, _ = running.communicate(timeout=60)

        confirmed = int(said.split()[0])
        assert "is it full" in said
        assert set(range(2, 2 + confirmed)) <= set(states(path)), "whatever was confirmed is there"
        assert 0 < confirmed < STEPS


class TestLeaving:
    async def test_an_intent_that_was_not_written_when_everybody_left_comes_to_nothing(self, path: Path) -> None:
        async with RunLedger(path) as ledger:
            with slow_disk(ledger):
                on_its_way = asyncio.create_task(written(ledger, intent(2)))
                await some_turns()
                waiting = asyncio.create_task(written(ledger, intent(3)))
                await some_turns()
                on_its_way.cancel()
                waiting.cancel()

        assert states(path) == {2: "INTENT"}

    def test_an_interrupt_that_cancels_everything_loses_no_outcome_and_does_not_hang(self, path: Path) -> None:
        """A second Ctrl-C ends `asyncio.run` by cancelling every task, the ledger's own included."""

        async def main() -> None:
            async with RunLedger(path) as ledger:
                await asyncio.gather(written(ledger, intent(2)), written(ledger, intent(3)))
                ledger.record(outcome(2))
                asyncio.get_running_loop().call_soon(interrupt)
                await asyncio.Event().wait()

        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())

        assert states(path) == {2: "APPLIED", 3: "INTENT"}

    async def test_leaving_ends_the_thread_also_when_opening_failed(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerFailed):
            async with RunLedger(tmp_path / "none.sqlite"):
                pass

        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ledger")] == []
