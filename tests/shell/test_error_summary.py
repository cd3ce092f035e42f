"""The errors of a run: put together by what was said, ranked, with an example and what to do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from migrator.core.model import EntityType
from migrator.core.states import State
from migrator.core.verdict import ErrorClass
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from migrator.ledger.history import Refusal
from migrator.ledger.runledger import RunLedger
from migrator.ports import Outcome
from migrator.reports import errors
from migrator.reports.errors import HINTS, group, outline, summarize_errors, words_for
from tests.plans import run_record, written
from tests.shell.ledgers import intent

RUN = run_record("spring")
WORDS = words_for(RUN)

GHOST = "dps:personalized-offer:0000000000000000"


def refusal(
    line: int, message: str, rows: int = 1, state: State = State.REJECTED, error: str = "validation"
) -> Refusal:
    return Refusal(error, 422, message, state, rows, line, EntityType.TAG, f"t{line}")


def test_there_is_a_hint_for_every_class() -> None:
    assert set(HINTS) == set(ErrorClass)
    assert all(HINTS[one] for one in ErrorClass if one)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("there is no such offer as dps:personalized-offer:1a4c", "there is no such offer as …"),
        ("can't replace a non-existent object 'prioritty'", "can't replace a non-existent object …"),
        ('/name is "A b", and was "C"', "/name is …, and was …"),
        ("after 17 s, HTTP 504", "after … s, HTTP …"),
        ("no letters", "no letters"),
    ],
)
def test_what_differs_from_row_to_row_is_no_part_of_an_error(message: str, kind: str) -> None:
    assert outline(message) == kind


def test_rows_that_were_told_the_same_are_one_error_told_by_the_first_of_them() -> None:
    found = group([refusal(9, "no offer 'b'", 2), refusal(4, "no offer 'a'"), refusal(2, "no name", 2)], WORDS)

    assert [(one.rows, one.line, one.message) for one in found.most_frequent] == [
        (3, 4, "no offer 'a'"),
        (2, 2, "no name"),
    ]
    assert found.by_class == {"validation": 5}
    assert found.most_frequent[0].object == "tag t4"


def test_the_most_frequent_class_comes_first() -> None:
    found = group([refusal(2, "a", 1, error="conflict"), refusal(3, "b", 5, error="not_found")], WORDS)

    assert list(found.by_class.items()) == [("not_found", 5), ("conflict", 1)]


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (State.REJECTED, "mend these rows"),
        (State.UNRESOLVED, "migrator reconcile spring"),
        (State.DOUBT, "migrator resume spring"),
        (State.PENDING, "migrator resume spring"),
    ],
)
def test_what_to_do_depends_on_where_the_rows_stand(state: State, command: str) -> None:
    (one,) = group([refusal(2, "no", state=state)], WORDS).most_frequent

    assert command in one.hint


@pytest.mark.parametrize(
    ("shape", "settings", "hint"),
    [
        ('{"format": "jsonl"}', "{}", "mend these rows in failed.jsonl"),
        ("{}", '{"rolls_back": "winter"}', "stay as they are; `migrator verify winter`"),
        ('{"format": "jsonl"}', '{"migrates": "xcore"}', "in their source, and migrate again"),
    ],
)
def test_what_to_do_depends_on_what_the_rows_are(shape: str, settings: str, hint: str) -> None:
    (one,) = group([refusal(2, "no")], words_for(replace(RUN, shape=shape, settings=settings))).most_frequent

    assert hint in one.hint


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ("{}", "`migrator retry spring` sends these rows again, once"),
        ('{"rolls_back": "winter"}', "`migrator retry spring` sends these rows again, once"),
        ('{"migrates": "xcore", "command": "migrator migrate a.toml"}', "`migrator migrate a.toml` makes what is not"),
    ],
)
def test_how_rows_go_again_is_a_command_that_takes_them(settings: str, hint: str) -> None:
    (one,) = group([refusal(2, "no", error="server")], words_for(replace(RUN, settings=settings))).most_frequent

    assert one.hint.startswith(hint)


def test_a_service_that_says_something_else_about_every_row_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errors, "MOST_KINDS", 3)

    found = group([refusal(line, f"reason {'x' * line}") for line in range(2, 50)], WORDS)

    assert len(found.most_frequent) == 4
    assert sum(one.rows for one in found.most_frequent) == 48


async def test_rows_are_counted_not_requests_and_what_goes_on_is_told_too(path: Path) -> None:
    async with RunLedger(path) as ledger:
        await asyncio.gather(*(written(ledger, intent(seq)) for seq in (2, 3, 4, 5)))
        ledger.record(Outcome(2, State.REJECTED, 1.0, 404, "not_found", "no such offer as offer-2"))
        ledger.record(Outcome(3, State.REJECTED, 1.0, 404, "not_found", "no such offer as offer-3"))
        ledger.record(Outcome(4, State.PENDING, 1.0, 429, "rate_limited", "HTTP 429"))
        ledger.record(Outcome(5, State.APPLIED, 1.0, 200))

    summary, found = summarize_errors(path)

    assert summary.count(State.REJECTED) == 2
    assert found.by_class == {"not_found": 2, "rate_limited": 1}
    assert [(one.rows, one.line, one.object) for one in found.most_frequent] == [
        (2, 2, "personalized-offer offer-2"),
        (1, 4, "personalized-offer offer-4"),
    ]


async def test_a_run_ends_with_its_errors_an_example_of_each_and_what_to_type(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        migrator.point_at(server.url).write(
            "c.csv",
            ("id", "op", "path", "value"),
            [
                (seeded_offer_id(0), "replace", "/name", "Fine"),
                (GHOST, "replace", "/name", "Nobody"),
                (GHOST[:-1] + "1", "replace", "/name", "Nobody"),
                (seeded_offer_id(1), "replace", "/rank/prioritty", "3"),
            ],
        )

        text = await migrator("apply", "c.csv", "--yes", "--run-id", "spring")
        told = await migrator("status", "spring", "--output", "json")

        lines = text.out.splitlines()
        begin = lines.index("errors: 2 not_found · 1 validation")
        assert lines[begin + 1].startswith(f"  2 rows such as line 3, personalized-offer {GHOST}: HTTP 404")
        assert "check the id" in lines[begin + 2]
        assert lines[begin + 3].startswith(f"  line 5, personalized-offer {seeded_offer_id(1)}: HTTP 422")
        assert lines[-1] == "next: migrator results spring"
        summary = json.loads(told.out)
        assert summary["error_classes"] == {"not_found": 2, "validation": 1}
        assert [(one["rows"], one["line"], one["error_class"]) for one in summary["errors"]] == [
            (2, 3, "not_found"),
            (1, 5, "validation"),
        ]
