"""The recipes in jobs/schedule: what a scheduler runs goes on where it was stopped, and says how it ended."""

from __future__ import annotations

import asyncio
import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from tests.conftest import seen_by

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "jobs" / "schedule"
SCRIPT = RECIPES / "run-job.sh"
HEADER = ("id", "op", "path", "value")
ON_PATH = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}


def job(migrator: Any, *more: tuple[str, ...]) -> None:
    rows = [(seeded_offer_id(i), "replace", "/name", f"n{i}") for i in range(20)]
    migrator.write("c.csv", HEADER, [*rows, *more])
    (migrator.folder / "job.toml").write_text('input = "c.csv"\n')


async def scheduled(migrator: Any, run: str) -> asyncio.subprocess.Process:
    """Start the script as a scheduler does."""
    return await asyncio.create_subprocess_exec(
        str(SCRIPT),
        "job.toml",
        run,
        cwd=migrator.folder,
        env={**ON_PATH, **migrator.environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def test_a_try_that_follows_a_stop_goes_on_with_the_same_run(migrator: Any, until: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20, latency_s=0.1)) as server:
        job(migrator.point_at(server.url))
        first = await scheduled(migrator, "nightly-1")
        await until(lambda: len(server.effects) >= 3)
        await stop(first)
        sent = len(server.effects)

        codes = [await (await scheduled(migrator, "nightly-1")).wait() for _ in range(2)]

        assert 3 <= sent < 20
        assert codes == [0, 0], "gone on with, and then there was nothing left to do"
        assert set(seen_by(server).values()) == {1}
        assert len(server.effects) == 20
        assert (migrator.run_folder() / "results" / "applied.csv").exists()


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


async def stop(script: asyncio.subprocess.Process) -> None:
    """Stop what the script runs, as a machine that shuts down does."""
    for child in children_of(script.pid):
        os.kill(child, signal.SIGTERM)
    assert await script.wait() == 143


@pytest.mark.parametrize(
    ("more", "environment", "code"),
    [
        ([("nobody", "replace", "/name", "x")], {}, 3),
        ([], {"MIGRATOR_ACCESS_TOKEN": "stale", "MIGRATOR_CLIENT_SECRET": ""}, 5),
        ([], {"MIGRATOR_BASE_URL": "http://127.0.0.1:9"}, 6),  # away before anything was begun: worth another try
    ],
)
async def test_the_exit_code_of_the_script_is_that_of_the_run(
    migrator: Any, more: list[tuple[str, ...]], environment: dict[str, str], code: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=20)) as server:
        job(migrator.point_at(server.url), *more)
        migrator.environment |= environment

        assert await (await scheduled(migrator, "nightly-1")).wait() == code


class Stand:
    """Stands in for Airflow: keeps what its decorators are given, and has its two exceptions."""

    class Again(Exception):
        pass

    class Over(Exception):
        pass

    def __init__(self) -> None:
        self.dag: dict[str, Any] = {}
        self.tasks: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {}
        self.called: list[tuple[Any, ...]] = []

    def modules(self) -> dict[str, ModuleType]:
        sdk, exceptions = ModuleType("airflow.sdk"), ModuleType("airflow.sdk.exceptions")
        sdk.__dict__.update(dag=self._dag, task=self._task)
        exceptions.__dict__.update(AirflowException=self.Again, AirflowFailException=self.Over)
        return {"airflow": ModuleType("airflow"), "airflow.sdk": sdk, "airflow.sdk.exceptions": exceptions}

    def _dag(self, **options: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
        self.dag = options
        return lambda function: function

    def _task(self, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        def take(function: Callable[..., None]) -> Callable[..., None]:
            self.tasks[function.__name__] = (function, options)
            return lambda *arguments: self.called.append(arguments)

        return take


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Stand:
    stand = Stand()
    for name, module in stand.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    runpy.run_path(str(RECIPES / "airflow_dag.py"))
    return stand


def test_the_dag_has_one_task_that_is_tried_again_and_named_after_its_run(airflow: Stand) -> None:
    assert (airflow.dag["schedule"], airflow.dag["catchup"], airflow.dag["max_active_runs"]) == ("0 2 * * *", False, 1)
    assert airflow.tasks["apply"][1]["retries"] > 0
    assert airflow.called == [("jobs/nightly.toml", "{{ run_id }}")]


@pytest.mark.parametrize(
    ("ends", "raises"),
    [
        ("exit 0", None),
        ("exit 6", Stand.Again),
        ("exit 143", Stand.Again),
        ("kill -9 $$", Stand.Again),
        ("exit 2", Stand.Over),
        ("exit 3", Stand.Over),
        ("exit 4", Stand.Over),
        ("exit 1", Stand.Over),
    ],
)
def test_only_what_can_be_gone_on_with_is_tried_again(
    airflow: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, raises: type[Exception] | None
) -> None:
    script = tmp_path / "jobs" / "schedule" / "run-job.sh"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\necho "$@" > told\n{ends}\n')
    script.chmod(0o755)
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path))
    apply = airflow.tasks["apply"][0]

    if raises is None:
        apply("job.toml", "scheduled__2026-01-01T02:00:00+00:00")
    else:
        with pytest.raises(raises, match="scheduled__2026-01-01"):
            apply("job.toml", "scheduled__2026-01-01T02:00:00+00:00")
    assert (tmp_path / "told").read_text() == "job.toml scheduled__2026-01-01T02-00-00-00-00\n"


def test_the_workflow_is_one_by_the_schema_of_github_actions_and_runs_the_script() -> None:
    path = RECIPES / "github-actions.yml"
    checker = Path(sys.executable).parent / "check-jsonschema"
    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-workflows", path], capture_output=True, text=True, check=False
    )
    steps = YAML(typ="safe").load(path)["jobs"]["apply"]["steps"]

    assert checked.returncode == 0, checked.stdout
    assert 'jobs/schedule/run-job.sh "$JOB" "$RUN"' in [step.get("run") for step in steps]
    assert [step["path"] for step in (one["with"] for one in steps if "with" in one) if "path" in step] == ["runs"] * 3


def test_the_crontab_has_times_a_lock_and_the_script_and_no_bare_percent_sign() -> None:
    (line,) = re.findall(r"^[*\d].*$", (RECIPES / "crontab").read_text(), re.MULTILINE)

    assert len(re.findall(r"[*\d/,-]+ ", line)[:5]) == 5
    assert "flock --nonblock" in line
    assert "jobs/schedule/run-job.sh" in line
    assert not re.search(r"(?<!\\)%", line), "to cron it would be the end of the line"
