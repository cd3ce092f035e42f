"""`migrator demo`: the first thing that somebody tries, on whatever machine, shows what it promises."""

from __future__ import annotations

import re
from typing import Any

import pytest


@pytest.mark.slow
async def test_the_tour_kills_a_run_and_proves_that_everything_happened_once_whatever_the_environment_says(
    migrator: Any,
) -> None:
    theirs = {"PROFILE": "production", "ACCESS_TOKEN": "theirs", "STYLE": "xcore", "LEDGER": "postgresql://theirs/runs"}
    migrator.environment |= {f"MIGRATOR_{name}": value for name, value in theirs.items()}
    migrator.environment |= {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}

    ended = await migrator("demo")

    assert ended.code == 0, ended.out + ended.err
    table = re.findall(r"^  ([a-z, ]+?)  +(\d.*)$", ended.out, re.MULTILINE)
    facts = {name: counts.split() for name, counts in table}
    assert facts["rows"] == facts["seen exactly once"] == ["60", "300", "20"]
    assert facts["seen twice"] == facts["never seen"] == ["0", "0", "0"]
    assert int(facts["of them repeats"][0]) > 0, "the service has said 429"
    assert "kill -9" in ended.out
    assert list(migrator.folder.iterdir()) == []
