"""What a ledger tells of how its run went."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from migrator.core.model import Base, Touched
from migrator.core.states import State
from migrator.ledger.history import Fate, at_one_moment, latencies, sent_by_second, states_by_container, told_rows
from migrator.ledger.reading import summarize
from migrator.ledger.runledger import RunLedger
from migrator.ports import How, Intent, Outcome
from tests.plans import changes, make_plan, written
from tests.shell.ledgers import STEPS

T = 1_800_000_000.0


async def tried(ledger: RunLedger, seq: int, outcome: Outcome, attempt: int = 1, at: float = T) -> None:
    await written(ledger, Intent(seq, attempt, f"request-{seq}-{attempt}", at))
    ledger.record(outcome)


async def eventful(path: Path) -> None:
    """Let steps have every fate: twice turned away, lost and found, refused, taken back, still without an answer."""
    async with RunLedger(path) as ledger:
        await tried(ledger, 2, Outcome(2, State.APPLIED, T + 0.25, 200))
        await tried(ledger, 3, Outcome(3, State.PENDING, T + 0.1, 429, "rate_limited", "HTTP 429"))
        await tried(ledger, 3, Outcome(3, State.PENDING, T + 1.1, 429, "rate_limited", "HTTP 429"), 2, T + 1)
        await tried(ledger, 3, Outcome(3, State.APPLIED, T + 2.5, 200), 3, T + 2)
        await tried(ledger, 4, Outcome(4, State.DOUBT, T + 3, None, "no_answer", "lost"))
        ledger.record(Outcome(4, State.APPLIED, T + 9, how=How.LOOK))
        await tried(ledger, 5, Outcome(5, State.REJECTED, T + 0.5, 404, "not_found", "no"))
        await tried(ledger, 6, Outcome(6, State.PENDING, T, message="not sent: the run was stopped"))
        await tried(ledger, 7, Outcome(7, State.DOUBT, T + 1, 504, "server", "HTTP 504"))
        ledger.record(Outcome(7, State.PENDING, T + 60, None, "server", "not there", how=How.LOOK))
        await tried(ledger, 7, Outcome(7, State.APPLIED, T + 61, 200), 2, T + 60)
        await written(ledger, Intent(8, 1, "request-8-1", T))
        await ledger.flush()
        with at_one_moment(path) as db:
            assert sum(count for _, _, count in sent_by_second(db)) == summarize(path).attempts


async def test_every_request_is_counted_once_with_what_became_of_it(path: Path) -> None:
    await eventful(path)

    with at_one_moment(path) as db:
        sent = list(sent_by_second(db))

    assert sum(count for _, _, count in sent) == summarize(path).attempts == 9
    fates: Counter[Fate] = Counter()
    for _, fate, count in sent:
        fates[fate] += count
    assert fates == {Fate.DONE: 3, Fate.TURNED_AWAY: 2, Fate.REFUSED: 1, Fate.NO_ANSWER: 3}
    assert [second for second, _, _ in sent] == sorted(second for second, _, _ in sent)
    assert (int(T) + 60, Fate.DONE, 1) in sent


async def test_only_answers_have_a_latency(path: Path) -> None:
    await eventful(path)

    with at_one_moment(path) as db:
        # 2, 3 three times, 5, 7 with its 504 and its 200; what was found by looking took nobody knows how long.
        assert list(latencies(db)) == pytest.approx([0.1, 0.1, 0.25, 0.5, 0.5, 1.0, 1.0])


async def test_states_are_counted_by_container_in_their_order(tmp_path: Path) -> None:
    path = make_plan(tmp_path / "l.sqlite", changes(["b", "a", "b"]))
    async with RunLedger(path) as ledger:
        await tried(ledger, 2, Outcome(2, State.APPLIED, T, 200))

    with at_one_moment(path) as db:
        found = states_by_container(db)

    assert list(found.items()) == [("b", {State.APPLIED: 1, State.PENDING: 1}), ("a", {State.PENDING: 1})]


async def test_a_row_is_told_with_its_attempts_and_what_it_changed(path: Path) -> None:
    touched = (Touched("/name", "old", "new"),)
    async with RunLedger(path) as ledger:
        ledger.keep(3, Base(4, touched, b"[]", guarded=True, name="Loan"))
    await eventful(path)

    with at_one_moment(path) as db:
        rows = {row.line: row for row in told_rows(db, 1000)}

    assert list(rows) == list(range(2, STEPS + 2))
    row = rows[3]
    assert (row.state, row.attempt, row.request_id, row.how) == (State.APPLIED, 3, "request-3-3", "answer")
    assert [(one.number, one.http_status, one.error_class) for one in row.attempts] == [
        (1, 429, "rate_limited"),
        (2, 429, "rate_limited"),
    ]
    assert row.base is not None
    assert (row.base.name, row.base.touched) == ("Loan", touched)
    assert msgspec.json.decode(row.raw) == ["row 3"]
    assert (rows[20].state, rows[20].attempt, rows[20].sent_at, rows[20].base) == (State.PENDING, 0, None, None)


async def test_rows_to_look_at_come_before_others_when_not_all_are_told(path: Path) -> None:
    async with RunLedger(path) as ledger:
        for seq in range(2, STEPS + 2):
            state = State.REJECTED if seq in (40, 50) else State.APPLIED
            await tried(ledger, seq, Outcome(seq, state, T, 200))

    with at_one_moment(path) as db:
        assert [row.line for row in told_rows(db, 4)] == [2, 3, 40, 50]
