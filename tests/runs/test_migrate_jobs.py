"""`migrator migrate JOB`: the options of a migration in a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runs.moving import CONTAINER, library, names, served

JOBS = Path(__file__).parents[2] / "jobs"
HEAD = f'[migrate]\nfrom = "xcore"\nto = "dps"\ncontainer = "{CONTAINER}"\n'
SETTINGS = '[settings]\nsandbox = "prod"\n'


@pytest.fixture
def command(migrator: Any) -> Any:
    """A command line that leaves the sandbox to the job."""
    migrator.point_at("http://127.0.0.1:9")
    del migrator.environment["MIGRATOR_SANDBOX"]
    return migrator


def point(command: Any, url: str) -> Any:
    command.environment |= {"MIGRATOR_BASE_URL": url, "MIGRATOR_IMS_URL": url}
    return command


@pytest.mark.parametrize(
    ("job", "objects"),
    [
        ("move-container.toml", 20),
        # One decision, two placements that it and its offers need, a rule, a tag, a fallback offer, a collection,
        # and the six offers with that tag.
        ("move-decision.toml", 13),
    ],
)
async def test_the_jobs_that_come_along_move_what_they_say(command: Any, job: str, objects: int) -> None:
    async with served() as server:
        library(server, "xcore")
        shutil.copytree(JOBS, command.folder / "jobs")

        ended = await point(command, server.url)("migrate", f"jobs/{job}", "--yes")

        assert ended.code == 0, ended.err
        assert names(server, "dps").total() == objects
        assert {one.scope for one in server.store if one.style == "dps"} == {"prod"}


async def test_a_flag_wins_over_the_job_and_files_are_beside_it(command: Any) -> None:
    async with served() as server:
        library(server, "xcore")
        (command.folder / "there").mkdir()
        (command.folder / "there" / "ids.csv").write_text("type,xcore,dps\n")
        job = HEAD + 'type = ["tag", "placement"]\nid-map = "ids.csv"\nname = "*0"\n' + SETTINGS
        (command.folder / "there" / "job.toml").write_text(job)

        ended = await point(command, server.url)("migrate", "there/job.toml", "--yes", "--name", "*1")

        assert ended.code == 0, ended.err
        assert names(server, "dps") == {("offer-placement", "Seeded placement 1"): 1, ("tag", "Seeded tag 1"): 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "colour = 1\n", "the table migrate has no colour"),
        (HEAD + 'type = ["offer"]\n' + SETTINGS, "'offer' is not one of"),
        ('input = "x.csv"\n', "a job file for `migrator migrate` has no input"),
        ("[migrate\n", "cannot be read"),
        ('migrate = ""\n', "migrate and settings are tables"),
        (HEAD + '[settings]\nclient_secret = "x"\n', "a secret"),
    ],
)
async def test_a_job_that_cannot_be_used_is_explained(command: Any, text: str, said: str) -> None:
    (command.folder / "job.toml").write_text(text)

    ended = await command("migrate", "job.toml", "--yes")

    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


async def test_another_command_names_the_one_that_a_job_is_for(command: Any) -> None:
    (command.folder / "job.toml").write_text(HEAD + SETTINGS)

    ended = await command("apply", "job.toml", "--yes")

    assert ended.code == 2
    assert "migrator migrate job.toml" in ended.err
