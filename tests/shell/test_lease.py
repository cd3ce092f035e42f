"""The lease of a ledger: whose it is, until when, and what becomes of who lost it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from migrator.core.errors import LedgerFailed, Stopped
from migrator.core.model import Base
from migrator.core.states import State
from migrator.ledger.runledger import RunLedger
from migrator.ports import Outcome
from tests.plans import failing, written
from tests.shell.ledgers import Hands, intent, outcome, read, slow_disk, some_turns, states
from tests.waiting import child, soon


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
