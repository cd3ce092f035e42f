"""`migrator jobs`: what is in a folder, checked offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


async def listed(migrator: Any, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    ended = await migrator("jobs", *arguments, "--output", "json")
    return ended.code, {Path(line["file"]).name: line for line in map(json.loads, ended.out.splitlines())}


async def test_the_jobs_that_come_along_can_all_be_used_and_say_what_they_would_do(migrator: Any) -> None:
    shutil.copytree(ROOT / "jobs", migrator.folder / "jobs")

    code, jobs = await listed(migrator)

    assert code == 0
    assert set(jobs) == {path.name for path in (ROOT / "jobs").glob("*.toml")}
    assert all(job["description"] for job in jobs.values())
    assert jobs["dps-rename.toml"]["rows"] == jobs["dps-rename.toml"]["requests"] == 300
    assert jobs["xcore-add-text.toml"]["containers"] == 4
    assert jobs["move-decision.toml"]["command"] == "migrator migrate jobs/move-decision.toml"


async def test_what_is_wrong_with_one_job_is_said_and_the_others_are_listed(migrator: Any) -> None:
    folder: Path = migrator.folder / "jobs"
    shutil.copytree(ROOT / "jobs", folder)
    (folder / "a-broken.toml").write_text("input = = 3")
    (folder / "b-nowhere.toml").write_text('input = "nowhere.csv"')
    (folder / "c-setting.toml").write_text('input = "dps-mixed.csv"\n[settings]\nratte = 5')
    (folder / "d-option.toml").write_text('[migrate]\nfrom = "xcore"\nto = "old"\ncontainer = "x"')
    (folder / "e-member.toml").write_text('[migrate]\nfrm = "xcore"')
    migrator.write("jobs/wrong.csv", ("id", "op", "path", "value"), [("o", "rename", "/name", "x")])
    (folder / "f-rows.toml").write_text('input = "wrong.csv"')

    code, jobs = await listed(migrator)

    assert code == 2
    words = {"a": "cannot be read", "b": "nowhere.csv", "c": "did you mean rate?", "d": "'old'", "e": "frm"}
    said = {name[0]: job["error"] for name, job in jobs.items() if "error" in job}
    assert {name: words[name] in message for name, message in said.items()} == dict.fromkeys("abcde", True)
    assert jobs["f-rows.toml"]["problems"] == 1
    assert jobs["dps-rename.toml"]["problems"] == 0


async def test_a_folder_without_jobs_says_so(migrator: Any) -> None:
    ended = await migrator("jobs")

    assert ended.code == 2
    assert "there is no job file in jobs" in ended.err
