"""Ledgers that earlier versions of the code wrote (`tests/fixtures/ledgers`) are read as they are and resumed."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from migrator.core.errors import LedgerFailed
from migrator.core.model import Doubt
from migrator.core.states import State
from migrator.emulator import Emulator, EmulatorSettings
from migrator.ledger.reading import outcome_rows, read_run, summarize
from migrator.ledger.runledger import RunLedger
from migrator.ledger.schema import FORMAT
from migrator.ledger.statements import INDEX_OBJECTS
from migrator.ledger.upgrade import UPGRADES
from migrator.ports import Intent, Outcome
from tests.plans import changes, make_plan, run_record, written
from tests.waiting import child, soon

LEDGERS = Path(__file__).parents[1] / "fixtures" / "ledgers"

OLD = sorted(LEDGERS.glob("format-*/*.sql"))

FOUND: dict[str, dict[State, int]] = {
    "finished": {State.APPLIED: 9, State.REJECTED: 3},
    "stopped": {State.APPLIED: 6, State.PENDING: 6},
    "killed": {State.APPLIED: 3, State.DOUBT: 1, State.INTENT: 3, State.PENDING: 4, State.REJECTED: 1},
}

AS_BEFORE = {
    "run": "*",
    "container": "*",
    "input_row": "*",
    "step": "seq, key, container, type, object, kind, body",
    "attempt": "*",
    "progress": "step, attempt, request_id, sent_at, ended_at, http_status, etag, object, reference",
    "outcomes": "line, container, type, object, kind, key, attempt, request_id, http_status, etag, raw",
}
"""What an upgrade leaves as it is. The states it leaves too, but opening puts intents in doubt."""

SINCE_2 = {"base": "step, etag, touched, body, guarded", "protocol": "step, misses, first_sent_at, how"}
"""What ledgers have since format 2, and later upgrades leave; `protocol` is of the progress."""


def load(dump: Path, path: Path, url: str = "") -> Path:
    """Make the ledger file `path` from a dump, as a run against `url`."""
    text = dump.read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(text.replace("http://127.0.0.1:9", url) if url else text)
        db.execute("PRAGMA journal_mode = WAL")
    return path


@pytest.fixture(params=OLD, ids=lambda dump: f"{dump.parent.name}-{dump.stem}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger of an earlier format, in a folder called what the run is."""
    folder = tmp_path / request.param.stem
    folder.mkdir()
    return load(request.param, folder / "ledger.sqlite")


@pytest.fixture(params=range(1, FORMAT), ids=lambda number: f"format-{number}")
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger of each earlier format that kill -9 left."""
    return load(LEDGERS / f"format-{request.param}" / "killed.sql", tmp_path / "ledger.sqlite")


def read(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def format_of(path: Path) -> int:
    ((number,),) = read(path, "PRAGMA user_version")
    return int(number)


def contents(path: Path, *, since_2: bool = False) -> dict[str, list[Any]]:
    wanted = AS_BEFORE | (SINCE_2 if since_2 else {})
    return {
        table: read(path, f"SELECT {columns} FROM {'progress' if table == 'protocol' else table} ORDER BY 1, 2")
        for table, columns in wanted.items()
    }


def schema(path: Path) -> dict[str, Any]:
    """Return the columns of every table, and every view, trigger and index as it was typed."""
    tables = [name for (name,) in read(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    made = read(path, "SELECT name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name")
    return {
        **{name: read(path, f"PRAGMA table_info({name})") for name in tables},
        **{f"strict {name}": read(path, f"SELECT strict, wr FROM pragma_table_list('{name}')") for name in tables},
        **dict(made),
    }


async def reopen(path: Path) -> list[Doubt]:
    """Open for writing, and return what is in doubt then."""
    async with RunLedger(path) as ledger:
        return list(await ledger.doubts([State.DOUBT], 0, 99))


def test_there_is_a_ledger_of_every_earlier_format() -> None:
    assert {dump.parent.name for dump in OLD} == {f"format-{number}" for number in range(1, FORMAT)}
    assert sorted(UPGRADES) == list(range(1, FORMAT))


def test_looking_at_an_old_ledger_changes_nothing_in_it(old: Path) -> None:
    before, number = hashlib.sha256(old.read_bytes()).hexdigest(), format_of(old)

    assert read_run(old).id == old.parent.name
    assert summarize(old).rows == FOUND[old.parent.name]
    assert [row.line for row in outcome_rows(old)] == [line for (line,) in read(old, "SELECT line FROM input_row")]

    assert hashlib.sha256(old.read_bytes()).hexdigest() == before
    assert format_of(old) == number < FORMAT


async def test_opening_an_old_ledger_for_writing_leaves_every_row_as_it_was(old: Path) -> None:
    since_2 = format_of(old) >= 2
    before, rows = contents(old, since_2=since_2), summarize(old).rows

    await reopen(old)

    assert format_of(old) == FORMAT
    assert contents(old, since_2=since_2) == before
    lost = rows.get(State.INTENT, 0)
    assert summarize(old).rows.get(State.DOUBT, 0) == rows.get(State.DOUBT, 0) + lost
    assert {state: count for state, count in summarize(old).rows.items() if state is not State.DOUBT} == {
        state: count for state, count in rows.items() if state not in {State.DOUBT, State.INTENT}
    }
    assert read(old, "PRAGMA integrity_check") == [("ok",)]


async def test_an_upgraded_ledger_is_like_one_that_was_just_made(old: Path, tmp_path: Path) -> None:
    like_it = replace(run_record(rows=1), shape=read_run(old).shape)
    new = make_plan(tmp_path / "new.sqlite", changes(["dev"]), like_it)

    await reopen(old)
    with closing(sqlite3.connect(old)) as db:
        db.execute(INDEX_OBJECTS)  # as whoever first asks for steps by object does

    assert schema(old) == schema(new)


async def test_what_format_2_says_of_rows_of_format_1_is_true(tmp_path: Path) -> None:
    killed = load(LEDGERS / "format-1" / "killed.sql", tmp_path / "ledger.sqlite")
    doubts = await reopen(killed)

    assert [(doubt.step.seq, doubt.base, doubt.step.misses) for doubt in doubts] == [
        (seq, None, 0) for seq in (4, 6, 7, 8)
    ]
    answered, *unanswered = doubts
    assert (answered.http_status, answered.error_class) == (504, "server")
    assert {doubt.error_class for doubt in unanswered} == {"no_answer"}
    assert all(doubt.first_sent_at < doubt.sent_at for doubt in doubts), "each had an attempt before"
    assert read(killed, "SELECT DISTINCT state, how FROM progress ORDER BY 1, 2") == [
        ("APPLIED", "answer"),
        ("DOUBT", ""),
        ("DOUBT", "answer"),
        ("REJECTED", "answer"),
    ]
    assert read(killed, "SELECT count(*) FROM base") == [(0,)]
    assert read(killed, "SELECT epoch, expires_at FROM lease") == [(1, 0.0)]


async def test_what_format_3_says_of_rows_of_format_2_is_true(tmp_path: Path) -> None:
    killed = load(LEDGERS / "format-2" / "killed.sql", tmp_path / "ledger.sqlite")
    doubts = await reopen(killed)

    assert [(doubt.step.seq, doubt.step.misses, doubt.step.based) for doubt in doubts] == [
        (4, 1, True),
        (6, 0, True),
        (7, 0, True),
        (8, 0, False),
    ]
    lost, *_ = doubts
    assert lost.base is not None
    assert lost.base.touched is not None
    assert [place.path for place in lost.base.touched] == ["/tags"]
    assert lost.first_sent_at < lost.sent_at
    assert read(killed, "SELECT DISTINCT stage FROM step") == [(0,)]
    assert read(killed, "SELECT count(*) FROM review UNION ALL SELECT count(*) FROM held") == [(0,), (0,)]
    assert read(killed, "SELECT epoch, expires_at FROM lease") == [(3, 0.0)]


async def test_what_format_4_says_of_rows_of_format_3_is_true(tmp_path: Path) -> None:
    killed = load(LEDGERS / "format-3" / "killed.sql", tmp_path / "ledger.sqlite")
    before = summarize(killed)
    sent, tried, stands = before.attempts, before.tried, {**before.rows}
    await reopen(killed)
    after = summarize(killed)

    assert read(killed, "SELECT container, stage, step FROM to_send") == [(1, 0, seq) for seq in (9, 10, 11, 12)]
    assert read(killed, "SELECT number FROM stage") == [(0,)]
    assert read(killed, "SELECT state, steps, rows FROM tally WHERE steps") == [("APPLIED", 3, 3), ("REJECTED", 1, 1)]
    assert (after.attempts, after.tried, after.last_error) == (sent, tried, before.last_error)
    assert stands.pop(State.INTENT) + stands.pop(State.DOUBT) == after.rows[State.DOUBT]
    assert stands.items() <= after.rows.items()


async def test_what_is_pending_in_an_old_ledger_can_be_sent(killed: Path) -> None:
    async with RunLedger(killed) as ledger:
        todo = await ledger.pending("dev", 0, 0, 99)
        for step in todo:
            await soon(written(ledger, Intent(step.seq, step.attempts + 1, "r", 1.0)))
            ledger.record(Outcome(step.seq, State.APPLIED, 2.0))

    assert [step.seq for step in todo] == [9, 10, 11, 12]
    assert summarize(killed).rows == {State.APPLIED: 7, State.DOUBT: 4, State.REJECTED: 1}


DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from migrator.ledger import runledger
from migrator.ledger.runledger import RunLedger

upgrade, point = runledger.upgrade, sys.argv[2]

def dies(db):
    db.set_trace_callback(lambda text: text.strip().startswith(point) and os.kill(os.getpid(), signal.SIGKILL))
    upgrade(db)

runledger.upgrade = dies
asyncio.run(RunLedger(Path(sys.argv[1])).__aenter__())
"""


POINTS = ["DROP", "CREATE TRIGGER", "PRAGMA user_v", "COMMIT"]


@pytest.mark.parametrize(
    ("number", "point"),
    [
        *product(range(1, FORMAT), POINTS),
        *product((1, 2), ["ALTER"]),
        *product((1, 2, 3), ["CREATE TABLE"]),
        *product((2, 3, 4), ["DROP INDEX"]),
        (1, "INSERT INTO lease"),
    ],
)
async def test_a_process_that_dies_while_it_upgrades_leaves_the_ledger_as_it_was(
    tmp_path: Path, number: int, point: str
) -> None:
    killed = load(LEDGERS / f"format-{number}" / "killed.sql", tmp_path / "ledger.sqlite")
    before = contents(killed)
    with child(DIES, killed, point) as upgrading:
        assert upgrading.wait(60) == -signal.SIGKILL

    assert format_of(killed) == number
    assert contents(killed) == before
    assert len(await reopen(killed)) == 4


async def test_an_upgrade_that_fails_half_way_says_so_and_changes_nothing(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number = contents(killed), format_of(killed)
    monkeypatch.setitem(UPGRADES, number, UPGRADES[number] + "INSERT INTO lease SELECT * FROM nowhere;")

    with pytest.raises(LedgerFailed, match="cannot be used"):
        await reopen(killed)

    assert format_of(killed) == number
    assert contents(killed) == before


@pytest.mark.parametrize("name", ["stopped", "killed"])
@pytest.mark.parametrize("number", range(1, FORMAT))
async def test_an_old_run_is_listed_told_and_resumed(migrator: Any, number: int, name: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20, containers=2 if name == "stopped" else 1)) as server:
        folder = migrator.point_at(server.url).folder / "runs" / name
        folder.mkdir(parents=True)
        path = load(LEDGERS / f"format-{number}" / f"{name}.sql", folder / "ledger.sqlite", server.url)
        if name == "stopped":
            migrator.environment["MIGRATOR_STYLE"] = "xcore"

        listed, told, results = await migrator("runs"), await migrator("status"), await migrator("results")
        assert [ended.code for ended in (listed, told, results)] == [0, 0, 0]
        assert name in listed.out
        assert "unreadable" not in listed.out
        assert format_of(path) == number

        resumed = await migrator("resume")

        assert resumed.code in {0, 3, 4}, resumed.err
        assert format_of(path) == FORMAT
        left = summarize(path)
        assert left.count(State.PENDING, State.INTENT) == 0
        assert left.count(State.APPLIED) >= FOUND[name][State.APPLIED] + FOUND[name][State.PENDING]
