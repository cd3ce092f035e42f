"""How long a plan says that it takes to carry it out."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.cli.plan import _time
from migrator.settings import Settings


@pytest.mark.parametrize(
    ("settings", "seconds", "said"),
    [
        ({}, 60.0, ", about 60 s at 5/s, or faster"),  # 300 requests, of which 100 are writes, to 4 containers
        ({"rate": "auto:2"}, 150.0, ", about 2 min at 2/s, or faster"),
        ({"rate": 10}, 30.0, ", about 30 s at 10/s"),
        ({"rate": 10, "write_rate": 2}, 50.0, ", about 50 s at 2/s"),
        ({"rate": 10, "write_rate": 5}, 30.0, ", about 30 s at 10/s"),
        ({"rate": 10, "container_rate": 2}, 37.5, ", about 38 s at 8/s"),
        ({"rate": 0, "write_rate": 2}, 50.0, ", about 50 s at 2/s"),
        ({"rate": 0}, None, ", without a limit of the rate"),
    ],
)
def test_the_limit_that_takes_longest_decides(settings: dict[str, Any], seconds: float | None, said: str) -> None:
    assert _time(Settings(**settings), requests=300, writes=100, containers=4) == (seconds, said)
