"""The README is held to the program: its commands are run in order, and say what it shows."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

import migrator
from migrator.cli import cli
from migrator.core.errors import Interrupted, LedgerFailed, ServiceRefused, Stopped, UsageError
from migrator.emulator import EmulatorSettings, admin, read_config
from migrator.reports.results import COLUMNS
from migrator.settings import Settings
from tests.docs import picture

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
NUMBER = re.compile(r"\d[\d,.]*")
EVENT = re.compile(r"\d\d:\d\d:\d\d \[")
"""Events are for places without a terminal, as this is one; what the README shows was seen on a terminal."""


@dataclass
class Command:
    """One command of the README and what it shows below it."""

    line: str
    shown: list[str]


def commands(block: str) -> Iterator[Command]:
    """Read the commands of one console block."""
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command
            command = Command(line[2:], [])
        elif command:
            command.shown.append(line)
    if command:
        yield command


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def tour(title: str) -> list[Command]:
    """Return the commands of a section, which are run one after the other."""
    blocks = re.findall(r"```console\n(.*?)```", section(title), re.DOTALL)
    return [command for block in blocks for command in commands(block)]


def worn(lines: list[str], *, numbers: bool) -> list[str]:
    """Take out what differs from run to run: run ids, and numbers where the clock decides them."""
    kept = [RUN_ID.sub("RUN", line) for line in lines if line and not EVENT.match(line) and line != "^C"]
    return [NUMBER.sub("N", line) for line in kept] if numbers else kept


class Shell:
    """Runs commands as a reader would: one after the other, in one folder."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT / "jobs", folder / "jobs")
        shutil.copytree(ROOT / "config", folder / "config")
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MIGRATOR_")}
        self.environment = {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}"}
        self.server: subprocess.Popen[str] | None = None

    def serve(self, line: str) -> None:
        """Start the emulator on a free port, and point everything after it there."""
        self.server = self.begin(line.removesuffix("&") + " --port 0")
        assert self.server.stdout is not None
        url = re.search(r"http://[\d.:]+", self.server.stdout.readline())
        assert url is not None
        self.environment |= {"MIGRATOR_BASE_URL": url[0], "MIGRATOR_IMS_URL": url[0]}

    def begin(self, line: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: Command) -> list[str]:
        process = self.begin(command.line)
        if "^C" in command.shown:
            self.wait_for_requests(60)
            process.send_signal(signal.SIGINT)
        return process.communicate(timeout=120)[0].splitlines()

    def wait_for_requests(self, count: int) -> None:
        """Wait until the run that is running has sent `count` requests, by asking its ledger."""
        for _ in range(3000):
            for ledger in self.folder.glob("runs/*/ledger.sqlite"):
                db = sqlite3.connect(ledger)
                (sent,) = db.execute("SELECT count(*) FROM progress").fetchone()
                db.close()
                if sent >= count:
                    return
            time.sleep(0.01)
        pytest.fail("the run of the README never began")

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=30)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def walk(shell: Shell, title: str) -> None:
    """Run every command of a section, and hold what it shows to what the section shows."""
    for command in tour(title):
        if command.line.startswith("migrator emulator"):
            shell.serve(command.line)
            continue
        found = shell.run(command)
        timed = command.line.startswith("migrator") and "results" not in command.line
        assert worn(found, numbers=timed) == worn(command.shown, numbers=timed), command.line


def test_every_command_of_the_first_screen_shows_what_the_readme_shows(shell: Shell) -> None:
    assert len(tour("What it looks like")) >= 6
    walk(shell, "What it looks like")

    by_owner, by_state = re.findall(r'ledger\.sqlite "(.*)"', README)
    newest = max(shell.folder.glob("runs/*/ledger.sqlite"))
    with closing(sqlite3.connect(newest)) as db:
        assert sorted(db.execute(by_owner).fetchall()) == [
            ("ana", "", 2),
            ("ben", "", 1),
            ("ben", "not_found", 1),
            ("cleo", "", 1),
            ("cleo", "validation", 1),
        ]
        assert [row[:3] for row in db.execute(by_state)] == [("APPLIED", "answer", 4), ("REJECTED", "answer", 2)]


def test_the_columns_that_results_have_beside_the_inputs_are_listed() -> None:
    assert set(COLUMNS) == set(re.findall(r"`(_[a-z_]+)`", section("Reading a run afterwards")))


def test_every_command_of_the_tour_there_and_back_shows_what_the_readme_shows(shell: Shell) -> None:
    title = "See before, verify after, undo"
    assert {"export", "plan", "apply", "verify", "rollback"} <= {command.line.split()[1] for command in tour(title)}
    walk(shell, title)


def test_every_command_of_the_move_to_the_other_style_shows_what_the_readme_shows(shell: Shell) -> None:
    title = "Moving from xcore to dps"
    assert len(tour(title)) <= 10
    assert {"migrate", "verify", "rollback", "translate"} <= {command.line.split()[1] for command in tour(title)}
    walk(shell, title)


def test_the_table_of_commands_has_every_command() -> None:
    names = set(re.findall(r"`([a-z]+)", "".join(re.findall(r"^\| (`.*?) \|", section("Commands"), re.MULTILINE))))

    assert names == set(cli.commands)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_and_option_has_help(name: str) -> None:
    command = cli.commands[name]

    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_the_table_of_exit_codes_has_the_codes_of_the_exceptions() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+)", section("Commands"), re.MULTILINE)}

    assert listed == {0, 1, 2, 3, 4, 5, 6, 7, 10, 130}
    assert [kind.exit_code for kind in (UsageError, ServiceRefused, Stopped, LedgerFailed)] == [2, 5, 6, 6]
    assert [Interrupted("", signal_number=number).exit_code for number in (2, 15)] == [130, 143]


def test_every_environment_variable_of_the_readme_is_a_setting() -> None:
    names = {name.lower() for name in re.findall(r"(?<!_)MIGRATOR_([A-Z_]*[A-Z])", README)} - {"profile"}

    assert names <= set(Settings.model_fields), names - set(Settings.model_fields)


REHEARSING = section("Rehearsing a run")
BAD_DAYS = re.findall(r"^\| .* \| `(migrator emulator .*)` \|$", REHEARSING, re.MULTILINE)


def get(shell: Shell, path: str) -> Any:
    with urllib.request.urlopen(f"{shell.environment['MIGRATOR_BASE_URL']}{path}", timeout=30) as response:
        return response.read().decode()


@pytest.mark.parametrize("line", BAD_DAYS)
def test_every_bad_day_begins_with_the_offers_the_rules_and_the_choices_that_its_command_names(
    shell: Shell, line: str
) -> None:
    shell.serve(line)
    faults = {fault["rule"] for fault in json.loads(get(shell, "/_emulator/faults"))}
    assert faults == set(re.findall(r"--fault (\S+)", line))
    assert json.loads(get(shell, "/_emulator/state"))["objects"]["dps"]["personalized-offer"] == 1000
    assert shell.server is not None
    assert shell.server.stdout is not None
    shell.server.terminate()
    said = re.findall(r"# chooses: (\S+)", shell.server.stdout.read())
    assert said == re.findall(r"--choice (\S+)", line)


def test_the_first_bad_day_is_the_one_of_the_file() -> None:
    file = EmulatorSettings(**read_config(ROOT / "config" / "rehearsal.toml"))

    assert len(BAD_DAYS) >= 10
    assert [rule.text for rule in file.rules] == re.findall(r"--fault (\S+)", BAD_DAYS[0])


def test_the_commands_of_a_rehearsal_do_what_the_readme_says(shell: Shell) -> None:
    serve, apply, look = (
        line.split("   ")[0] for line in re.findall(r"^(?:migrator|curl) .*", REHEARSING, re.MULTILINE)
    )
    shell.serve(serve)
    shell.run(Command(apply, []))
    requests = [json.loads(one) for one in get(shell, "/_emulator/requests").splitlines()]
    effects = get(shell, look.partition(":8399")[2]).splitlines()

    assert {name for one in requests for name in one["faults"]} >= {"drop-after", "429"}
    assert len(effects) == 300, "each row had its effect once, whatever its answer"
    assert json.loads(get(shell, "/_emulator/repeats")) == {}


def test_every_page_of_the_rehearsals_is_one_of_the_emulator() -> None:
    pages = set(re.findall(r"/_emulator/(\w+)", REHEARSING))

    assert pages == {"effects", "requests", "repeats", "faults", "snapshot", "openapi"}
    assert {f"/_emulator/{page}" for page in pages} <= set(re.findall(r"/_emulator/\w+", admin.__doc__ or ""))


def test_the_program_of_the_section_on_the_library_runs_as_it_stands(shell: Shell) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", section("As a library"), re.DOTALL)
    (shell.folder / "program.py").write_text(program, encoding="utf-8")
    shell.serve("migrator emulator --seed-offers 1000")

    printed = shell.run(Command(f"{sys.executable} program.py", []))

    assert len(printed) == 301
    assert printed[0].startswith("change Seeded offer 0 [('Seeded offer 0', 'Loan, 2.9 % – autumn 1'), ")
    assert printed[-1] == "{<State.APPLIED: 'APPLIED'>: 300}"


def test_what_the_section_on_the_library_names_is_what_the_package_exports() -> None:
    text = section("As a library").partition("asyncio.run(main())")[2]
    called = set(re.findall(r"(?<!\.)\b([A-Za-z]\w+)\(", text)) | set(re.findall(r"`(\w+)`", text))

    assert {"Runs", "apply", "resumed", "verify", "retry", "rollback"} <= called <= set(migrator.__all__)


def test_the_picture_shows_the_commands_of_the_first_screen_and_asks_nobody_for_anything() -> None:
    (path,) = re.findall(r"!\[[^]]+\]\((.*?)\)", section("What it looks like"))
    svg = (ROOT / path).read_text(encoding="utf-8")
    text = html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).replace("\xa0", " ")
    typed = {command.line for command in tour("What it looks like")}

    assert {picture.APPLY, picture.RESUME} <= typed
    assert picture.APPLY in text
    assert picture.RESUME in text
    assert "300 applied (of 300 rows)" in text
    assert "@font-face" not in svg
    assert not re.findall(r"(?:href|src)=|url\((?!#)", svg)
