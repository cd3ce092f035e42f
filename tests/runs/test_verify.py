"""`migrator verify`: what a run wrote is there, or it is said what is not, and who changed it when."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from migrator.core.compare import instant
from migrator.emulator import Choices, Emulator, EmulatorSettings, seeded_tag
from tests.runs.mixed import APPEND, DATED, DELETED, OFFERS, RENAMES, SAME, TEXT, Words, applied

BOTH = pytest.mark.parametrize("words", [Words("xcore"), Words("dps")], ids=lambda words: words.style)

FOREIGN = "somebody-else"


def started(**choices: str) -> Emulator:
    return Emulator(EmulatorSettings(seed_offers=OFFERS, choices=Choices(**choices)))


def differences(out: str) -> dict[tuple[int, str], dict[str, Any]]:
    """Return by line and path what was found to differ."""
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events[:-1]] == ["difference"] * (len(events) - 1)
    assert events[-1]["event"] == "summary"
    return {(event["line"], event["path"]): event for event in events[:-1]}


@BOTH
async def test_after_a_run_all_is_as_written_and_nothing_is_sent_to_see_it(migrator: Any, words: Words) -> None:
    async with started() as server:
        run = await applied(migrator, server, words, words.mixed())
        before = len(server.effects), len(server.requests)

        verified = await migrator("verify")

        assert verified.code == 0, verified.out + verified.err
        assert verified.out == f"run {run}: 18 of 18 rows as written\n"
        assert len(server.effects) == before[0]
        assert {one.method for one in server.requests[before[1] :] if one.style != "ims"} == {"GET"}


@BOTH
async def test_what_somebody_else_has_changed_is_named_with_who_and_when(migrator: Any, words: Words) -> None:
    async with started() as server:
        run = await applied(migrator, server, words, words.mixed())
        words.edit(server, 3, "replace", "name", value="Theirs")
        words.edit(server, 4, "replace", "rank", "priority", value=99)  # which the run has nothing to do with
        words.edit(server, APPEND, "add", "tags", "0", value=seeded_tag(words.style, 1))
        words.edit(server, SAME, "replace", "name", value="Not the same")
        text = ("representations", "0", "components", "0", "content")
        words.edit(server, TEXT, "replace", *text, value="Another text")

        told = await migrator("verify", run)
        verified = await migrator("verify", run, "--output", "json")

        assert (told.code, verified.code) == (3, 3), verified.err
        found = differences(verified.out)
        assert {key: (one.get("expected"), one.get("found")) for key, one in found.items()} == {
            (4, words.pointer("name")): ("Name 3", "Theirs"),
            (TEXT + 1, words.pointer(*text)): ("A new text", "Another text"),
            (APPEND + 1, words.pointer("tags")): (
                [seeded_tag(words.style, number) for number in (0, 1)],
                [seeded_tag(words.style, number) for number in (1, 0, 1)],
            ),
            (SAME + 1, words.pointer("name")): (f"Seeded offer {SAME}", "Not the same"),
        }
        first = found[4, words.pointer("name")]
        assert (first["object"], first["container"]) == (words.id(3), words.container)
        assert FOREIGN in (first["changed_by"], first["changed_by_client"])
        assert instant(first["changed_at"]) == pytest.approx(words.find(server, 3).modified_us / 1e6, abs=0.001)
        lines = told.out.splitlines()
        assert lines[0] == (
            f"line 4: personalized-offer {words.id(3)} in {words.container}: {words.pointer('name')} is"
            f' "Theirs", expected "Name 3" (last changed by {FOREIGN} at {first["changed_at"]})'
        )
        assert lines[4:] == [f"run {run}: 14 of 18 rows as written · 4 differ"]


@BOTH
async def test_what_a_later_run_has_deleted_is_missed(migrator: Any, words: Words) -> None:
    async with started() as server:
        run = await applied(migrator, server, words, words.mixed())
        later = await applied(migrator, server, words, [words.line(5, delete=True)])

        verified = await migrator("verify", run)

        assert verified.code == 3
        assert verified.out.splitlines() == [
            f"line 6: personalized-offer {words.id(5)} in {words.container}: the object is not there any more",
            f"run {run}: 17 of 18 rows as written · 1 differ",
        ]
        assert (await migrator("verify", later)).code == 0


@BOTH
async def test_where_everything_is_as_it_was_before_the_run_everything_differs(migrator: Any, words: Words) -> None:
    async with started() as server:
        before = [msgspec.json.encode(line) for line in server.snapshot()]
        await applied(migrator, server, words, words.mixed())
        assert not server.load(before)

        verified = await migrator("verify", "--output", "json")

        assert verified.code == 3
        found = differences(verified.out)
        paths = dict.fromkeys(range(1, RENAMES + 1), words.pointer("name"))
        text = ("representations", "0", "components", "0", "content")
        paths |= {TEXT + 1: words.pointer(*text), APPEND + 1: words.pointer("tags")}
        paths |= {DATED + 1: words.pointer("selectionConstraint", "startDate"), DELETED + 1: "", DELETED + 2: ""}
        assert set(found) == set(paths.items()), "and what was as wanted before is so again"
        assert found[DELETED + 1, ""]["message"] == "the object is still there"
        assert found[DELETED + 2, ""]["message"] == "the object is not there any more"


@BOTH
async def test_what_was_created_is_compared_with_what_was_sent(migrator: Any, words: Words) -> None:
    async with started() as server:
        await applied(migrator, server, words, [words.create("F")])
        (made,) = [one for one in server.store if one.name == "F"]
        patch = [{"op": "replace", "path": words.pointer("status"), "value": "approved"}]
        server.edit(words.style, words.container, made.key, patch)

        verified = await migrator("verify", "--output", "json")

        assert verified.code == 3
        (found,) = differences(verified.out).values()
        assert (found["object"], found["path"]) == (made.key, words.pointer("status"))
        assert (found["expected"], found["found"]) == ("draft", "approved")


# --- what the documents leave open ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("choice", "code"), [("keep", 0), ("drop", 3)])
async def test_a_member_that_the_service_drops_without_a_word_is_missed(
    migrator: Any, words: Words, choice: str, code: int
) -> None:
    async with started(unknown_members=choice) as server:
        lines = [words.patch(0, "add", "season", value="autumn"), words.create("F", season="spring")]
        run = await applied(migrator, server, words, lines)

        verified = await migrator("verify")

        assert verified.code == code
        path = words.pointer("season")
        missed = [f'{path} is not there, expected "{season}"' for season in ("autumn", "spring")]
        assert [line for line in missed if line in verified.out] == (missed if code else [])
        assert f"run {run}: {0 if code else 2} of 2 rows as written" in verified.out


@BOTH
@pytest.mark.parametrize("choice", ["offset", "z"])
async def test_a_date_in_another_spelling_is_the_same_date(migrator: Any, words: Words, choice: str) -> None:
    async with started(date_spelling=choice) as server:
        await applied(
            migrator,
            server,
            words,
            [
                words.patch(0, "replace", "selectionConstraint", "startDate", value="2025-01-01T01:00:00+01:00"),
                words.patch(1, "replace", "selectionConstraint", "endDate", value="2035-01-01T00:00:00Z"),
            ],
        )
        verified = await migrator("verify")
        assert verified.code == 0, verified.out

        words.edit(server, 1, "replace", "selectionConstraint", "endDate", value="2035-01-01T00:00:01Z")
        assert (await migrator("verify")).code == 3


@BOTH
async def test_lists_that_are_behind_make_no_difference_of_what_was_written(migrator: Any, words: Words) -> None:
    async with started(search_lag="lag:3600") as server:
        run = await applied(migrator, server, words, words.mixed())
        words.edit(server, 3, "replace", "name", value="Theirs")

        verified = await migrator("verify")

        assert verified.code == 3
        assert verified.out.count("\n") == 2
        assert f"run {run}: 17 of 18 rows as written · 1 differ" in verified.out


# --- without a look before it was sent --------------------------------------------------------------------------------


@BOTH
async def test_what_was_sent_without_a_look_is_compared_as_far_as_its_operations_tell(
    migrator: Any, words: Words
) -> None:
    async with started() as server:
        moved = words.line(
            1,
            patch=[
                {
                    "op": "replace",
                    "path": words.pointer("representations", "1", "components", "0", "content"),
                    "value": "x",
                },
                {"op": "remove", "path": words.pointer("representations", "0")},
            ],
        )
        lines = [words.rename(0), moved, words.append(2), words.append(3)]
        run = await applied(migrator, server, words, lines, "--no-guard")
        words.edit(server, 2, "add", "tags", "0", value=seeded_tag(words.style, 0))  # the new one is still in it

        verified = await migrator("verify")
        assert verified.code == 0, verified.out
        assert verified.out.splitlines() == [
            f"run {run}: 4 of 4 rows as written",
            "not checked: 2 places of which the operations alone do not tell",
        ]

        words.edit(server, 0, "replace", "name", value="Theirs")
        words.edit(server, 3, "remove", "tags", "1")
        verified = await migrator("verify")
        name, tags = words.pointer("name"), words.pointer("tags")
        kept, taken = (seeded_tag(words.style, number) for number in (0, 1))
        assert verified.code == 3
        assert f'line 1: personalized-offer {words.id(0)} in {words.container}: {name} is "Theirs"' in verified.out
        assert f'{tags} is ["{kept}"], expected "{taken}" in it (last changed by {FOREIGN}' in verified.out
        assert f"run {run}: 2 of 4 rows as written · 2 differ" in verified.out
