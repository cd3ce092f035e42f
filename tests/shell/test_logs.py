"""Events: where they go, and that no secret goes with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from migrator import logs
from migrator.core.errors import UsageError
from migrator.logs import configure, hide, log, redact

SECRET = "needle-b7e2"


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = structlog.get_config()
    monkeypatch.setattr(logs, "_secrets", set())
    yield
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJpZCI6MX0.c2ln, sent", "got ***, sent"),
        ("client_id=me&client_secret=s3cr3t&grant_type=x", "client_id=me&client_secret=***&grant_type=x"),
        ("via http://me:hunter2@proxy:8080/", "via http://***@proxy:8080/"),
        ("the bearer of bad news", "the bearer *** bad news"),
        ("name: price/unit at 10:30", "name: price/unit at 10:30"),
    ],
)
def test_what_looks_like_a_secret_is_blotted_out(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_what_is_known_to_be_a_secret_is_blotted_out_and_what_is_too_short_to_be_one_is_not() -> None:
    hide(SECRET)
    hide("anything")
    hide("")

    assert redact(f"anything but {SECRET}") == "anything but ***"


@pytest.mark.parametrize("json_", [True, False])
def test_no_event_carries_a_secret(json_: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=json_, verbosity=2, colors=False)
    hide(SECRET)

    log.info(f"told {SECRET}", message=f"x {SECRET}", first=[SECRET, 1], seconds=2)

    said = capsys.readouterr().err
    assert SECRET not in said
    assert said.count("***") == 3


@pytest.mark.parametrize(("verbosity", "shown"), [(0, ["c"]), (1, ["b", "c"]), (2, ["a", "b", "c"])])
def test_a_log_file_has_every_event_whatever_stderr_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verbosity: int, shown: list[str]
) -> None:
    file = tmp_path / "run.log"
    file.write_text('{"event": "earlier"}\n')
    configure(json=True, verbosity=verbosity, colors=False, file=file)
    hide(SECRET)

    log.debug("a", line=2, message=SECRET)
    log.info("b")
    log.warning("c")

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["earlier", "a", "b", "c"]
    assert (lines[1]["level"], lines[1]["line"], lines[1]["message"]) == ("debug", 2, "***")
    assert lines[1]["timestamp"].endswith("Z")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == shown


def test_a_log_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        configure(json=True, verbosity=0, colors=False, file=tmp_path / "no" / "such.log")


def test_a_disk_that_is_full_does_not_matter() -> None:
    configure(json=True, verbosity=0, colors=False, file=Path("/dev/full"))

    log.info("a")
