"""`--output json`: each command prints the kinds of lines that it should, as `migrator schema` publishes them.

That each line has the members of its kind is checked wherever a test runs a command (`tests.conftest`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from migrator.cli import events
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from tests.conftest import PUBLISHED
from tests.runs.moving import CONTAINER

ROOT = Path(__file__).parents[2]
HEADER = ("id", "op", "path", "value")
RENAME = [(seeded_offer_id(i), "replace", "/name", f"n{i}") for i in range(3)]

SCENES: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "wrong": (("validate", "wrong.csv"), {"problem", "invalid"}),
    "right": (("validate", "c.csv"), {"valid"}),
    "plan": (("plan", "c.csv"), {"valid", "step", "plan", "estimate"}),
    "apply": (("apply", "c.csv", "--yes", "--run-id", "spring"), {"valid", "summary"}),
    "status": (("status",), {"summary"}),
    "runs": (("runs",), {"run"}),
    "results": (("results",), {"file"}),
    "retry": (("retry", "spring", "--yes"), {"retry", "summary"}),
    "rollback": (("rollback", "spring", "--yes"), {"rollback", "summary"}),
    "verify": (("verify", "spring"), {"difference", "summary"}),
    "retry again": (("retry", "spring.rollback-1", "--yes"), {"nothing"}),
    "export": (("export", "--out", "o.csv"), {"export"}),
    "migrate": (
        ("migrate", "--from", "xcore", "--to", "dps", "--container", CONTAINER, "--sandbox", "prod", "--dry-run"),
        {"objects", "route", "step", "plan"},
    ),
    "doctor": (("doctor",), {"check", "doctor"}),
    "config": (("config", "show"), {"setting"}),
    "jobs": (("jobs",), {"job"}),
}


def kinds(text: str) -> set[str]:
    return {json.loads(line)["event"] for line in text.splitlines()}


async def test_each_command_prints_the_kinds_of_lines_that_it_should(migrator: Any) -> None:
    shutil.copytree(ROOT / "jobs", migrator.folder / "jobs")
    async with Emulator(EmulatorSettings(seed_offers=4)) as server:
        migrator.point_at(server.url).write("c.csv", HEADER, [*RENAME, ("nobody", "replace", "/name", "x")])
        migrator.write("wrong.csv", HEADER, [("o", "rename", "/name", "x")])

        seen = {name: kinds((await migrator(*words, "--output", "json")).out) for name, (words, _) in SCENES.items()}

    assert {name: found & SCENES[name][1] for name, found in seen.items()} == {
        name: expected for name, (_, expected) in SCENES.items()
    }
    assert set().union(*seen.values()) <= set(events.LINES)


async def test_a_translation_says_on_stderr_what_it_refused(migrator: Any) -> None:
    shutil.copytree(ROOT / "jobs", migrator.folder / "jobs")

    ended = await migrator("translate", "jobs/xcore-replay.csv", "--from", "xcore", "--to", "dps", "--output", "json")

    for line in ended.err.splitlines():
        PUBLISHED.validate(json.loads(line))
    assert kinds(ended.err) == {"refused", "translated"}


async def test_the_schema_is_printed_and_refuses_what_is_no_line(migrator: Any) -> None:
    printed = json.loads((await migrator("schema")).out)

    assert printed == events.schema()
    assert PUBLISHED.is_valid({"event": "route", "source": "a", "target": "b"})
    assert not PUBLISHED.is_valid({"event": "route", "source": "a"})
    assert not PUBLISHED.is_valid({"event": "root", "source": "a", "target": "b"})


@pytest.mark.parametrize(
    "members", [{"source": "a"}, {"source": "a", "target": "b", "more": 1}], ids=["too few", "too many"]
)
def test_a_line_cannot_be_written_with_other_members_than_its_kind_has(members: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        events.encoded("route", members)
