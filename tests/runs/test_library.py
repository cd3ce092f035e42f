"""`from migrator import …`: runs carried out by a program, in its own event loop, against the emulator."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from filelock import FileLock, Timeout

import migrator
from migrator import (
    Input,
    InvalidRows,
    RunFolder,
    Runs,
    ServiceRefused,
    Settings,
    State,
    StepOutcome,
    UsageError,
    api,
    apply,
    load,
    outcome_rows,
    plan,
    preview,
    resumed,
    retry,
    rollback,
    summarize,
    verify,
)
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from migrator.library import AHEAD
from tests.conftest import seen_by

STYLE = "dps"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MIGRATOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIGRATOR_CLIENT_SECRET", "test-secret-3f9a")
    monkeypatch.chdir(tmp_path)


def settings_for(server: Emulator, ledger: str = "runs", **more: object) -> Settings:
    target = {"base_url": server.url, "ims_url": server.url, "org_id": "TEST@AdobeOrg", "client_id": "test-client"}
    return load({**target, "sandbox": "dev", "ledger": ledger, "rate": 0, **more})


def write(rows: Iterable[tuple[str, str]], name: str = "changes.csv") -> str:
    Path(name).write_text("\n".join(["id,/name", *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return name


def renamed(offers: Iterable[int], name: str = "changes.csv", to: str = "Renamed") -> str:
    return write(((seeded_offer_id(offer), f"{to} {offer}") for offer in offers), name)


async def taken(run: RunFolder, settings: Settings) -> list[StepOutcome]:
    async with apply(run, settings) as outcomes:
        return [outcome async for outcome in outcomes]


def test_the_package_itself_is_imported_without_the_program() -> None:
    script = "import sys, migrator; print(migrator.__version__, *(m for m in sys.modules if m.startswith('migrator.')))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert printed.split() == [migrator.__version__]
    assert all(hasattr(migrator, name) for name in migrator.__all__)
    assert set(migrator.__all__) <= set(dir(migrator))
    with pytest.raises(AttributeError, match="no attribute 'aply'"):
        _ = migrator.aply


async def test_every_step_is_told_once_with_what_became_of_it() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        settings = settings_for(server)
        rows = [(seeded_offer_id(1), "A"), ("dps:personalized-offer:1a4c514f745d0000", "B"), (seeded_offer_id(2), "C")]

        told = await taken(run := await plan(write(rows), settings), settings)

        found = {(one.line, one.state, one.http_status, one.error_class, one.object, one.container) for one in told}
        assert found == {
            (2, State.APPLIED, 200, "", rows[0][0], "dev"),
            (3, State.REJECTED, 404, "not_found", rows[1][0], "dev"),
            (4, State.APPLIED, 200, "", rows[2][0], "dev"),
        }
        assert len(told) == 3
        assert {row.line: row.state for row in outcome_rows(run.ledger)} == {one.line: one.state for one in told}
        assert summarize(run.ledger).complete


async def test_wrong_rows_are_an_error_that_has_all_of_them_and_leaves_nothing() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        rows = [(seeded_offer_id(1), "A"), ("", "B"), (seeded_offer_id(1), "C")]

        with pytest.raises(InvalidRows, match=r"changes\.csv, line 3: .*, and 1 more") as caught:
            await plan(write(rows), settings_for(server))

        assert [problem.line for problem in caught.value.problems] == [3, 4]
        assert caught.value.count == 2
        assert server.requests == []
        assert Runs(Path("runs")).all() == []


async def test_a_preview_shows_what_is_there_and_what_would_be_and_changes_nothing() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        async with preview(renamed([1]), settings_for(server)) as entries:
            (entry,) = entries

        assert (entry.action, entry.name) == ("change", "Seeded offer 1")
        assert [(one.path, one.before, one.after) for one in entry.differences] == [
            ("/name", "Seeded offer 1", "Renamed 1")
        ]
        assert seen_by(server) == {}
        assert Runs(Path("runs")).all() == []


async def test_the_same_changes_are_not_planned_twice_without_being_asked() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        settings = settings_for(server)
        run = await plan(renamed([1]), settings)

        with pytest.raises(UsageError, match=f"run {run.id} is about exactly these changes"):
            await plan("changes.csv", settings)
        assert (await plan("changes.csv", settings, again=True)).id != run.id


async def test_rows_for_another_sandbox_are_refused_where_the_one_named_is_a_production() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        rows = f"container,id,/name\nprod,{seeded_offer_id(1)},A\n"
        await asyncio.to_thread(Path("other.csv").write_text, rows, encoding="utf-8")

        with pytest.raises(UsageError, match="rows name another sandbox than dev: prod; nothing was sent"):
            await plan("other.csv", settings_for(server, production=True))


async def test_two_runs_go_on_side_by_side_in_one_process() -> None:
    async with Emulator(EmulatorSettings(seed_offers=100, latency_s=0.005)) as server:
        settings = [settings_for(server, ledger) for ledger in ("one", "two")]
        inputs = [renamed(range(50), "a.csv"), renamed(range(50, 100), "b.csv")]
        runs = [await plan(*each) for each in zip(inputs, settings, strict=True)]

        told = await asyncio.gather(*(taken(*each) for each in zip(runs, settings, strict=True)))

        assert [len(one) for one in told] == [50, 50]
        assert seen_by(server) == {seeded_offer_id(offer): 1 for offer in range(100)}


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Leave structlog as a program finds it that does not know of it."""
    configured = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**configured)


async def test_a_run_in_a_program_leaves_signals_logging_and_tasks_as_they_were(
    capsys: pytest.CaptureFixture[str], unconfigured: None
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        settings = settings_for(server)
        run = await plan(renamed([1]), settings)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        others, root = asyncio.all_tasks(), list(logging.getLogger().handlers)

        async with apply(run, settings) as outcomes:
            async for _ in outcomes:
                assert {number: signal.getsignal(number) for number in handlers} == handlers

        assert {number: signal.getsignal(number) for number in handlers} == handlers
        assert logging.getLogger().handlers == root
        assert not {task for task in asyncio.all_tasks() - others if "run " in task.get_name()}
        assert capsys.readouterr() == ("", "")


async def test_who_breaks_out_stops_the_run_cleanly_and_can_go_on() -> None:
    async with Emulator(EmulatorSettings(seed_offers=200, latency_s=0.005)) as server:
        settings = settings_for(server)
        run = await plan(renamed(range(200)), settings)

        async with apply(run, settings) as outcomes:
            async for _ in outcomes:
                break

        left = summarize(run.ledger)
        assert left.count(State.INTENT, State.DOUBT) == 0
        assert 0 < left.count(State.APPLIED) < 200
        assert len(seen_by(server)) == left.count(State.APPLIED)
        rest = await taken(run, resumed(run, {}))
        assert len(rest) == left.count(State.PENDING)
        assert seen_by(server) == {seeded_offer_id(offer): 1 for offer in range(200)}


async def test_after_stop_what_was_in_flight_is_still_told() -> None:
    async with Emulator(EmulatorSettings(seed_offers=200, latency_s=0.005)) as server:
        settings = settings_for(server)
        run = await plan(renamed(range(200)), settings)
        told = 0

        async with apply(run, settings) as outcomes:
            async for _ in outcomes:
                told += 1
                outcomes.stop()

        assert 0 < told < 200
        assert summarize(run.ledger).rows == {State.APPLIED: told, State.PENDING: 200 - told}


async def test_a_slow_consumer_holds_the_run_and_misses_nothing() -> None:
    async with Emulator(EmulatorSettings(seed_offers=1000)) as server:
        settings = settings_for(server, concurrency=8)
        run = await plan(renamed(range(1000)), settings)
        told: list[int] = []

        async with apply(run, settings) as outcomes:
            async for outcome in outcomes:
                told.append(outcome.line)
                if len(told) == 1:
                    await until_still(server)
                    sent = len(server.effects)

        assert AHEAD <= sent < 500, "it goes on for a while, and then waits"
        assert sorted(told) == list(range(2, 1002))
        assert len(told) == len(set(told))


async def until_still(server: Emulator) -> None:
    """Wait until the server has seen nothing for a while."""
    seen = -1
    while len(server.requests) != seen:
        seen = len(server.requests)
        await asyncio.sleep(0.5)


async def test_a_held_run_can_be_left() -> None:
    async with Emulator(EmulatorSettings(seed_offers=500)) as server:
        settings = settings_for(server)
        run = await plan(renamed(range(500)), settings)

        async with asyncio.timeout(60):
            async with apply(run, settings):
                await until_still(server)

        assert summarize(run.ledger).count(State.INTENT, State.DOUBT) == 0
        assert len(await taken(run, settings)) + len(server.effects) >= 500
        assert seen_by(server) == {seeded_offer_id(offer): 1 for offer in range(500)}


@pytest.mark.parametrize("cancelled", [1, 2])
async def test_the_first_cancellation_stops_cleanly_and_the_second_at_once(cancelled: int) -> None:
    async with Emulator(EmulatorSettings(seed_offers=12, latency_s=0.4)) as server:
        settings = settings_for(server, concurrency=4, quiet_period=1, timeout=20)
        run = await plan(renamed(range(12)), settings)
        consumer = asyncio.create_task(taken(run, settings))
        async with asyncio.timeout(60):
            while not server.effects:  # noqa: ASYNC110 (it cannot call); it answers later
                await asyncio.sleep(0.01)

        for _ in range(cancelled):
            consumer.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await consumer

        stand = summarize(run.ledger)
        assert (stand.count(State.INTENT) > 0) == (cancelled == 2)
        assert stand.count(State.PENDING) > 0
        assert not run.running
        await taken(run, settings)
        assert seen_by(server) == {seeded_offer_id(offer): 1 for offer in range(12)}


async def test_what_the_body_raises_is_raised_and_the_run_is_stopped() -> None:
    async with Emulator(EmulatorSettings(seed_offers=100, latency_s=0.005)) as server:
        settings = settings_for(server)
        run = await plan(renamed(range(100)), settings)

        async def fail() -> None:
            async with apply(run, settings) as outcomes:
                async for _ in outcomes:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()

        assert summarize(run.ledger).count(State.INTENT, State.DOUBT) == 0
        assert summarize(run.ledger).count(State.PENDING) > 0


@pytest.mark.parametrize("reads", [True, False])
async def test_what_ends_the_run_is_raised_after_all_outcomes(reads: bool) -> None:
    async with Emulator(EmulatorSettings(seed_offers=100, faults=("forbidden:*:after=60",))) as server:
        settings = settings_for(server)
        run = await plan(renamed(range(100)), settings)
        told: list[StepOutcome] = []

        async def follow() -> None:
            async with apply(run, settings) as outcomes:
                if not reads:
                    await until_still(server)
                    return
                async for outcome in outcomes:
                    told.append(outcome)  # noqa: PERF401 (what was told before the error counts)

        with pytest.raises(ServiceRefused, match="403"):
            await follow()

        assert len(told) == (summarize(run.ledger).count(State.APPLIED) if reads else 0)


async def test_a_run_is_verified_and_undone_and_its_failed_rows_are_retried() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        settings = settings_for(server)
        unknown = "dps:personalized-offer:1a4c514f745d0000"
        run = await plan(write([(seeded_offer_id(1), "A"), (unknown, "B")]), settings)
        await taken(run, settings)

        async with verify(run, settings) as verification:
            assert [one async for one in verification.findings()] == []
        again = retry(run, settings)
        assert (again.id, [one.state for one in await taken(again, settings)]) == (
            f"{run.id}.retry-1",
            [State.REJECTED],
        )
        back = rollback(run, settings)
        with pytest.raises(UsageError, match="has taken these rows up already"):
            rollback(run, settings)
        assert [one.state for one in await taken(back, settings)] == [State.APPLIED]
        async with verify(run, settings) as verification:
            (mismatch,) = [one async for one in verification.findings()]
        assert mismatch.step.object == seeded_offer_id(1)


async def test_what_has_not_ended_is_neither_retried_nor_undone() -> None:
    async with Emulator(EmulatorSettings(seed_offers=10)) as server:
        settings = settings_for(server)
        run = await plan(renamed([1, 2]), settings)

        for take_up in (retry, rollback):
            with pytest.raises(UsageError, match="has not ended: 2 rows are open"):
                take_up(run, settings)


async def test_what_a_survey_finds_in_lists_is_counted_once() -> None:
    async with Emulator(EmulatorSettings(seed_offers=100)) as server:
        settings = settings_for(server)
        tallies = []

        @asynccontextmanager
        async def around(running: api.Running) -> AsyncIterator[None]:
            yield
            tallies.append(running.engine.tally)

        with api.preview(Input(Path(renamed(range(100))), "changes.csv"), settings) as (run, draft):
            draft.merge()
            draft.accept(run.id, "changes.csv", settings.remembered(), 1.0)
            await api.execute(run, settings, api.Work.SURVEY, around=around)

        assert [tally.surveyed for tally in tallies] == [100]


async def test_of_two_who_retry_the_same_rows_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        settings = settings_for(server)
        await taken(earlier := await plan(write([("nobody", "A")]), settings), settings)

        def accept_after_somebody_else(*arguments: Any) -> None:
            with pytest.raises(Timeout), FileLock(earlier.path.parent / ".lock", timeout=0):
                pass  # nobody comes between the look and the act
            accept(*arguments)

        accept = api.accept_after
        monkeypatch.setattr(api, "accept_after", accept_after_somebody_else)
        first = retry(earlier, settings)

        with pytest.raises(UsageError, match=f"run {first.id} has taken these rows up already"):
            retry(earlier, settings)
