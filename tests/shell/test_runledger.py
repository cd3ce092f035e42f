"""The ledger of a running run: what it says is on the disk is on the disk, and what may not happen does not."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from migrator.core.errors import LedgerFailed, Stopped, UsageError
from migrator.core.model import Base, Touched
from migrator.core.states import FINAL, LEGAL, State
from migrator.ledger import runledger
from migrator.ledger.reading import outcome_rows, read_run, summarize
from migrator.ledger.runledger import RunLedger
from migrator.ledger.statements import (
    CONTAINERS,
    DOUBTS,
    INDEX_OBJECTS,
    PENDING,
    UNBASED,
    UNBASED_AMONG,
    dismiss,
    intend,
    keep,
    record,
    remember,
)
from migrator.ports import How, Intent, Outcome
from tests.fakes import TIMEOUT_S, changes, child, failing, make_plan, soon, written

STEPS = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A plan of sixty steps, on lines 2 to 61."""
    return make_plan(tmp_path / "ledger.sqlite", changes(["dev"] * STEPS))


def intent(seq: int, attempt: int = 1) -> Intent:
    return Intent(seq, attempt, f"request-{seq}-{attempt}", 1_800_000_000.5)


def outcome(seq: int, state: State = State.APPLIED, message: str = "") -> Outcome:
    return Outcome(seq, state, 1_800_000_001.5, 200, "", message, 7, f"object-{seq}", f"@{seq}")


def read(path: Path, query: str) -> list[Any]:
    """Ask the file, through a connection that is nobody else's."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def states(path: Path) -> dict[int, str]:
    return dict(read(path, "SELECT step, state FROM progress ORDER BY step"))


async def ask(ledger: RunLedger, query: str) -> Any:
    """Ask through the ledger's own connection."""
    return await ledger._in_thread(lambda: ledger._db.execute(query).fetchone()[0])


@contextmanager
def slow_disk(ledger: RunLedger) -> Iterator[None]:
    """Let nothing be written while the body runs."""
    go_on = threading.Event()
    ledger._thread.submit(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


def statements(ledger: RunLedger, beginning: str) -> list[str]:
    """Collect the statements that begin so from now on."""
    seen: list[str] = []
    ledger._db.set_trace_callback(lambda text: seen.append(text) if text.strip().startswith(beginning) else None)
    return seen


async def some_turns() -> None:
    """Let everybody do what can be done without the ledger's thread."""
    for _ in range(10):
        await asyncio.sleep(0)


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
                (step,) = await ledger.pending("dev", 0, 1)
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
            assert read(path, "SELECT * FROM base") == [(2, 7, '[{"path":"/name","before":"old"}]', b"[]", 1)]


class Hands:
    """The clocks of a test."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.steady = 100.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady


def lease(path: Path) -> Any:
    return read(path, "SELECT epoch, owner, expires_at FROM lease")[0]


class TestLease:
    async def test_a_commit_is_good_for_half_the_lease_from_before_it_was_written(self, path: Path) -> None:
        hands = Hands()
        ledger = RunLedger(path, lease_s=40.0, good_s=20.0, owner="here 1", now=hands.now, monotonic=hands.monotonic)
        async with ledger:
            with slow_disk(ledger):
                commit = ledger.intend(intent(2))
                commit.hurry()
                await some_turns()
                hands.wall += 5.0
                hands.steady += 5.0
            await soon(commit.durable())

            assert commit.good_until == 120.0
            assert lease(path) == (1, "here 1", 1_800_000_040.0)

    async def test_what_waits_for_an_earlier_batch_is_good_no_longer_for_it(self, path: Path) -> None:
        hands = Hands()
        ledger = RunLedger(path, good_s=20.0, now=hands.now, monotonic=hands.monotonic)
        async with ledger:
            with slow_disk(ledger):
                ledger.intend(intent(2)).hurry()
                await some_turns()
                commit = ledger.intend(intent(3))
                hands.steady += 30.0
            await soon(commit.durable())

            assert commit.good_until == 120.0, "its quiet period has begun with it"

    async def test_every_batch_renews_the_lease_and_leaving_ends_it(self, path: Path) -> None:
        hands = Hands()
        async with RunLedger(
            path, lease_s=40.0, good_s=20.0, owner="here 1", now=hands.now, monotonic=hands.monotonic
        ) as ledger:
            await written(ledger, intent(2))
            hands.wall += 30.0
            ledger.record(outcome(2))
            await ledger.flush()
            assert lease(path) == (1, "here 1", 1_800_000_070.0)

        assert lease(path) == (1, "here 1", 0.0)

    async def test_another_machine_waits_for_the_lease_to_end(self, path: Path) -> None:
        hands = Hands()
        async with RunLedger(path, lease_s=40.0, owner="far-away 7", now=hands.now) as ledger:
            await written(ledger, intent(2))
            with pytest.raises(Stopped, match="process 7 on far-away") as caught:
                async with RunLedger(path, owner="here 1", now=hands.now):
                    pass
            assert "2027-01-15 08:00:40 UTC" in str(caught.value)
            assert "wait until then" in caught.value.hint
            assert states(path) == {2: "INTENT"}, "nothing is in doubt while somebody waits for its answer"
            assert lease(path)[0] == 1

        async with RunLedger(path, owner="here 1", now=hands.now):
            assert states(path) == {2: "DOUBT"}

    async def test_a_lease_that_is_over_keeps_nobody_away(self, path: Path) -> None:
        hands = Hands()
        async with failing(RunLedger(path, lease_s=40.0, owner="far-away 7", now=hands.now)):
            hands.wall += 40.0
            async with RunLedger(path, owner="here 1", now=hands.now):
                assert lease(path)[:2] == (2, "here 1")

    async def test_on_the_same_machine_the_file_lock_has_proved_the_owner_dead(self, path: Path) -> None:
        async with failing(RunLedger(path, owner="here 1")), RunLedger(path, owner="here 2"):
            assert lease(path)[:2] == (2, "here 2")

    async def test_nothing_of_a_batch_is_written_after_somebody_took_over(self, path: Path) -> None:
        async with failing(RunLedger(path)) as paused:
            await asyncio.gather(written(paused, intent(2)), written(paused, intent(3)))
            async with RunLedger(path):
                paused.record(outcome(2))
                paused.keep(4, Base(1, None, b"[]", False))
                paused.dismiss(Outcome(5, State.REJECTED, 9.0))
                commit = paused.intend(intent(4))
                with pytest.raises(LedgerFailed, match="taken over") as caught:
                    await soon(commit.durable())

                assert "migrator status" in caught.value.hint
                assert states(path) == {2: "DOUBT", 3: "DOUBT"}
                assert read(path, "SELECT * FROM base") == []
                assert lease(path)[0] == 2

    async def test_leaving_does_not_end_the_lease_of_a_successor(self, path: Path) -> None:
        async with AsyncExitStack() as stack:
            async with failing(RunLedger(path, owner="here 1")):
                successor = await stack.enter_async_context(RunLedger(path, owner="here 2"))

            assert lease(path)[2] > 0
            await written(successor, intent(2))

    def test_a_paused_process_writes_nothing_when_it_wakes_up(self, path: Path) -> None:
        script = """
import asyncio, sys
from pathlib import Path
from migrator.core.errors import LedgerFailed
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent

async def main():
    async with RunLedger(Path(sys.argv[1])) as ledger:
        await ledger.intend(Intent(2, 1, "r", 1.0)).durable()
        print("written", flush=True)
        sys.stdin.readline()
        await ledger.intend(Intent(3, 1, "r", 1.0)).durable()
        print("written again", flush=True)

try:
    asyncio.run(main())
except LedgerFailed as error:
    print(error)
"""

        async def take_over() -> None:
            async with RunLedger(path) as ledger:
                await written(ledger, intent(4))

        with child(script, path) as paused:
            assert paused.stdout is not None
            assert paused.stdout.readline() == "written\n"
            paused.send_signal(signal.SIGSTOP)
            asyncio.run(take_over())
            paused.send_signal(signal.SIGCONT)
            said, _ = paused.communicate("\n", timeout=60)

        assert said == "another process has taken over this run\n"
        assert states(path) == {2: "DOUBT", 4: "INTENT"}

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE lease SET epoch = epoch - 1",
            "UPDATE lease SET owner = 'x'",
            "INSERT INTO lease VALUES (9, 'x', 0)",
            "INSERT OR REPLACE INTO lease VALUES (9, 'x', 0)",
            "DELETE FROM lease",
        ],
    )
    async def test_the_file_has_one_lease_whose_epoch_only_grows(self, path: Path, change: str) -> None:
        async with RunLedger(path):
            pass
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as db,
            pytest.raises(sqlite3.IntegrityError, match="illegal change"),
        ):
            db.execute(change)


WAYS: dict[State, list[State]] = {
    State.PENDING: [State.INTENT, State.PENDING],
    State.INTENT: [State.INTENT],
    State.DOUBT: [State.INTENT, State.DOUBT],
    State.APPLIED: [State.INTENT, State.APPLIED],
    State.REJECTED: [State.INTENT, State.REJECTED],
    State.UNRESOLVED: [State.INTENT, State.DOUBT, State.UNRESOLVED],
}
"""How a step comes to each state by legal moves."""

BEGIN = "INSERT INTO progress (step, state, attempt, request_id, sent_at) VALUES (2, ?, 1, 'r', 1.0)"

ILLEGAL = sorted(set(product(State, State)) - LEGAL)


def bring_to(state: State, path: Path) -> sqlite3.Connection:
    """Bring step 2 to `state` with statements of anybody's."""
    db = sqlite3.connect(path, isolation_level=None)
    first, *others = WAYS[state]
    db.execute(BEGIN, (first,))
    for other in others:
        db.execute("UPDATE progress SET state = ? WHERE step = 2", (other,))
    return db


class TestMoves:
    @pytest.mark.parametrize(("before", "after"), sorted(LEGAL))
    def test_the_file_takes_a_legal_move(self, path: Path, before: State, after: State) -> None:
        with closing(bring_to(before, path)) as db:
            db.execute("UPDATE progress SET state = ? WHERE step = 2", (after,))

        assert states(path) == {2: after}

    @pytest.mark.parametrize(
        "way", ["UPDATE progress SET state = ? WHERE step = 2", BEGIN.replace("T", "T OR REPLACE", 1)]
    )
    @pytest.mark.parametrize(("before", "after"), ILLEGAL)
    def test_the_file_refuses_every_other_move(self, path: Path, before: State, after: State, way: str) -> None:
        with closing(bring_to(before, path)) as db, pytest.raises(sqlite3.IntegrityError, match="illegal move"):
            db.execute(way, (after,))

        assert states(path) == {2: before}

    @pytest.mark.parametrize("state", sorted(set(State) - {State.INTENT, State.REJECTED}))
    def test_a_step_begins_with_an_intent_or_is_dismissed(self, path: Path, state: State) -> None:
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as db,
            pytest.raises(sqlite3.IntegrityError, match="illegal move"),
        ):
            db.execute(BEGIN, (state,))

    @pytest.mark.parametrize("state", sorted(State))
    def test_what_is_known_of_a_step_is_never_forgotten(self, path: Path, state: State) -> None:
        with closing(bring_to(state, path)) as db, pytest.raises(sqlite3.IntegrityError, match="illegal move"):
            db.execute("DELETE FROM progress")

    def test_a_legal_move_cannot_make_the_row_another_steps(self, path: Path) -> None:
        with (
            closing(bring_to(State.INTENT, path)) as db,
            pytest.raises(sqlite3.IntegrityError, match="illegal move"),
        ):
            db.execute("UPDATE progress SET step = 3, state = 'APPLIED'")

    @pytest.mark.parametrize("change", ["etag = 1", "message = 'x'", "step = 3", "state = state"])
    @pytest.mark.parametrize("state", sorted(FINAL))
    def test_a_final_row_is_never_changed(self, path: Path, state: State, change: str) -> None:
        with closing(bring_to(state, path)) as db, pytest.raises(sqlite3.IntegrityError, match="illegal move"):
            db.execute(f"UPDATE progress SET {change}")


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
        monkeypatch.setattr(runledger, "LINGER_S", 3600.0)
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
            values = ["[]", "dev", "tag"][: statement.count("?")]
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]

        assert not [line for line in plan if line.startswith(("SCAN s", "SCAN p", "SCAN b"))], plan
        assert not [line for line in plan if "AUTOMATIC" in line], plan

    def test_finding_doubts_reads_the_progress_once_and_looks_up_the_rest(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {DOUBTS}", ["[]", 0, 1])]

        assert not [line for line in plan if line.startswith(("SCAN s", "SCAN p", "SCAN b", "USE TEMP"))], plan

    def test_finding_the_containers_looks_steps_up_by_container(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            plan = [line for *_, line in db.execute(f"EXPLAIN QUERY PLAN {CONTAINERS}")]

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


def make_other_format(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def make_other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


STRANGE: list[tuple[Callable[[Path], object], type[Exception], str]] = [
    (lambda path: path.unlink(), LedgerFailed, "cannot be used: unable to open"),
    (lambda path: path.write_bytes(b""), UsageError, "is not a ledger"),
    (lambda path: path.write_text("line,step\n" * 500), UsageError, "is not a ledger"),
    (make_other_database, UsageError, "is not a ledger"),
    (make_other_format, UsageError, "has ledger format 99; this version reads formats 1 to 2"),
    (truncate, LedgerFailed, "malformed|damaged"),
    (overwrite, LedgerFailed, "malformed|damaged"),
]


class TestStrangeFiles:
    @pytest.mark.parametrize(("spoil", "error", "message"), STRANGE)
    async def test_what_is_no_ledger_of_ours_is_refused_in_a_sentence(
        self, path: Path, spoil: Callable[[Path], object], error: type[Exception], message: str
    ) -> None:
        spoil(path)

        def look() -> None:
            read_run(path)
            summarize(path)
            list(outcome_rows(path))

        async def run() -> None:
            async with RunLedger(path) as ledger:
                await ledger.containers()

        with pytest.raises(error, match=message):
            look()
        with pytest.raises(error, match=message):
            await run()

    async def test_damage_where_nothing_has_to_be_read_yet_is_found_before_anything_is_sent(self, path: Path) -> None:
        (root,) = read(path, "SELECT rootpage FROM sqlite_master WHERE name = 'input_row'")[0]
        with path.open("r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(b"\xa5" * 4096)

        with pytest.raises(LedgerFailed, match=r"malformed|damaged") as caught:
            async with RunLedger(path):
                pass

        assert "put back a copy" in caught.value.hint
        assert states(path) == {}

    async def test_a_ledger_that_another_program_holds_is_named_so(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("migrator.ledger.database.BUSY_S", 0.0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerFailed, match="locked") as caught:
                async with RunLedger(path):
                    pass

        assert "another program" in caught.value.hint
