"""What the ledger has called durable survives a power cut; after a fault of the disk nothing more is accepted."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from migrator.core.errors import LedgerFailed
from migrator.core.model import Base
from migrator.core.states import State
from migrator.ledger import runledger
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent, Outcome
from tests.disk import Connection, FaultyDisk, Image, restore
from tests.plans import changes, failing, make_plan
from tests.waiting import soon

STEPS = 400

CUTS = 60

SMALL_LOG = "PRAGMA wal_autocheckpoint = 40"
"""So that the log is moved into the file many times, also while the power goes."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A plan of many steps, on lines 2 and on."""
    return make_plan(tmp_path / "ledger.sqlite", changes(["dev"] * STEPS))


def use(disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(path: Path) -> Any:
        return disk.connect(path).execute(SMALL_LOG)

    monkeypatch.setattr(runledger, "connect", connect)


def states(path: Path) -> dict[int, str]:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(db.execute("SELECT step, state FROM progress"))


def bases(path: Path) -> set[int]:
    with closing(sqlite3.connect(path)) as db:
        return {seq for (seq,) in db.execute("SELECT step FROM base")}


async def send(ledger: RunLedger, confirmed: set[int], chance: random.Random) -> None:
    """Do with every step what an engine does, a few at a time."""
    todo = list(range(2, STEPS + 2))
    while todo:
        count = chance.randint(1, 6)
        some, todo = todo[:count], todo[count:]
        for seq in some:
            ledger.keep(seq, Base(1, (), b"[]", True))
        commits = {seq: ledger.intend(Intent(seq, 1, "r", 1.0)) for seq in some}
        try:
            await soon(asyncio.gather(*(commit.durable() for commit in commits.values())))
        finally:
            confirmed.update(seq for seq, commit in commits.items() if commit.done)
        for seq in some:
            ledger.record(Outcome(seq, chance.choice([State.APPLIED, State.PENDING, State.DOUBT]), 2.0))


async def lost_by_power_cuts(path: Path, seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Cut the power at many moments of a run; return how many intents were durable then, and how many were lost."""
    disk, chance, confirmed = FaultyDisk(path, seed), random.Random(seed), set[int]()
    cuts: list[tuple[Image, set[int]]] = []

    def maybe_cut(_: str) -> None:
        if chance.random() < 0.15 and len(cuts) < CUTS:
            cuts.append((disk.cut(), set(confirmed)))

    use(disk, monkeypatch)
    async with RunLedger(path) as ledger:
        disk.before = maybe_cut
        await send(ledger, confirmed, random.Random(seed))
        disk.before = lambda _: None
    assert len(cuts) == CUTS

    durable = lost = 0
    for number, (image, known) in enumerate(cuts):
        (folder / f"{seed}-{number}").mkdir()
        left = restore(image, folder / f"{seed}-{number}" / "ledger.sqlite")
        found = states(left)
        assert set(found) <= bases(left), "an intent without the base it relies on"
        durable += len(known)
        lost += len(known - set(found))
    return durable, lost


@pytest.mark.parametrize("seed", range(3))
async def test_no_intent_that_was_durable_is_lost_by_a_power_cut(
    path: Path, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable, lost = await lost_by_power_cuts(path, seed, tmp_path, monkeypatch)

    assert durable > 1000
    assert lost == 0


async def test_without_full_syncs_intents_are_lost_by_a_power_cut(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof above can fail: this is the same with the one setting changed that it rests on."""
    execute = Connection.execute

    def careless(db: Connection, statement: str, *parameters: Any) -> Connection:
        return execute(db, statement.replace("synchronous = FULL", "synchronous = NORMAL"), *parameters)

    monkeypatch.setattr(Connection, "execute", careless)

    _, lost = await lost_by_power_cuts(path, 0, tmp_path, monkeypatch)

    assert lost > 100


def fails_at(number: int, operation: str, said: type[apsw.Error]) -> Any:
    """Refuse an operation from the n-th time on."""
    count = 0

    def before(name: str) -> None:
        nonlocal count
        count += name == operation
        if count >= number and name == operation:
            raise said("the disk of a test refuses")

    return before


@pytest.mark.parametrize("said", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("number", [1, 2, 9, 20, 57])
async def test_after_a_fault_of_the_disk_nothing_is_accepted_and_nothing_sent_is_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch, said: type[apsw.Error], operation: str, number: int
) -> None:
    disk, confirmed = FaultyDisk(path), set[int]()
    with monkeypatch.context() as patched:
        use(disk, patched)
        async with failing(RunLedger(path)) as ledger:
            disk.before = fails_at(number, operation, said)
            with pytest.raises(LedgerFailed, match="cannot be used") as caught:
                await send(ledger, confirmed, random.Random(number))
            with pytest.raises(LedgerFailed):
                ledger.intend(Intent(STEPS + 1, 1, "r", 1.0))
            with pytest.raises(LedgerFailed):
                ledger.record(Outcome(2, State.APPLIED, 1.0))
    assert caught.value.hint
    assert len(confirmed) < STEPS

    async with RunLedger(path) as ledger:
        left = states(path)
        to_send = {step.seq for step in await ledger.pending("dev", 0, 0, STEPS)}
        assert State.INTENT not in left.values()
        assert confirmed <= set(left), "what may have been sent is known"
        unconfirmed = {seq for seq in left if seq not in confirmed}
        assert all(left[seq] == State.DOUBT for seq in unconfirmed), "and what may have been written is looked at"
        assert to_send == {seq for seq in range(2, STEPS + 2) if left.get(seq, "PENDING") == State.PENDING}
        await soon(ledger.intend(Intent(max(to_send), 2, "r", 3.0)).durable())
