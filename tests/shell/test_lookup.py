"""Looking up what an input calls by name, against the emulator: what is found, what is not, and how much is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from migrator.core.errors import MigratorError, ServiceRefused, Stopped
from migrator.core.model import Json, Kind, Operation, TextChange
from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    seeded_container,
    seeded_placement,
    seeded_reference,
)
from migrator.engine import WORTH_A_LIST
from tests.shell.lookups import STYLES, Door, StyleName, door

PATCHES = ("type", "name", "op", "path", "value")


class TestObjects:
    @STYLES
    async def test_an_object_is_found_by_its_name(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            planned = await it.plan(PATCHES, [("", f"Seeded offer {n}", "add", it.name, f"New {n}") for n in (2, 0)])

            assert planned.objects == {2: it.offer(2), 3: it.offer(0)}
            assert planned.steps[2][1:] == (Kind.PATCH, [Operation("add", it.name, "New 2")])
            assert len(it.reads()) == 2
            assert not it.server.effects

    @STYLES
    @pytest.mark.parametrize(
        "name",
        ["a,b", "Ünder & 1/2 %", "A*", "What?", 'say "yes"', "a==b", "+1 ~", "x" * 300, "seeded OFFER 0", "שלום"],
    )
    async def test_whatever_is_in_a_name_only_what_is_called_so_is_found(
        self, tmp_path: Path, style: StyleName, name: str
    ) -> None:
        async with door(style, tmp_path) as it:
            it.rename(1, name)
            planned = await it.plan(PATCHES, [("", name, "add", it.name, "New")])

            assert planned.objects == {2: it.offer(1)}

    async def test_an_object_of_xcore_is_found_by_the_id_that_others_refer_to_it_by(self, tmp_path: Path) -> None:
        async with door("xcore", tmp_path) as it:
            references = [seeded_reference(number) for number in (2, 0)]
            planned = await it.plan(("id", "op", "path", "value"), [(one, "add", it.name, "New") for one in references])

            assert planned.objects == {2: it.offer(2), 3: it.offer(0)}
            assert len(it.reads()) == 2

    async def test_a_name_is_no_reference(self, tmp_path: Path) -> None:
        async with door("xcore", tmp_path) as it:
            it.rename(1, seeded_reference(0))
            rows = [(seeded_reference(0), "", "add", it.name, "A"), ("", seeded_reference(0), "add", it.name, "B")]
            planned = await it.plan(("id", "name", "op", "path", "value"), rows)

            assert planned.objects == {2: it.offer(0), 3: it.offer(1)}

    @STYLES
    @pytest.mark.parametrize(
        ("type_", "word", "name"),
        [
            ("tag", "tag", "Seeded tag 1"),
            ("fallback-offer", "fallback-offer", "Seeded offer 1"),
            ("decision", "offer-activity", "Seeded decision 0"),
        ],
    )
    async def test_what_is_deleted_may_be_named_too_and_its_type_counts(
        self, tmp_path: Path, style: StyleName, type_: str, word: str, name: str
    ) -> None:
        async with door(style, tmp_path) as it:
            (record,) = [one for one in it.server.store if (one.style, one.word, one.name) == (style, word, name)]
            planned = await it.plan_lines({"type": type_, "name": name, "delete": True})
            wrong = await it.plan_lines({"type": "collection", "name": name, "delete": True})

            assert planned.steps == {1: (record.key, Kind.DELETE, [])}
            assert wrong.said() == [
                f'1 name: there is no collection named "{name}"; see how it is spelled there, or give its id'
            ]

    @STYLES
    async def test_what_is_not_there_is_told_with_its_line(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            rows = [("", name, "add", it.name, "New") for name in ("Seeded offer 0", "Seeded", "nobody", "nobody")]
            planned = await it.plan(PATCHES, rows)

            hint = "see how it is spelled there, or give its id"
            assert planned.said() == [
                f'{line} name: there is no personalized-offer named "{name}"; {hint}'
                for line, name in ((3, "Seeded"), (4, "nobody"), (5, "nobody"))
            ]
            assert len(it.reads()) == 3, "one name is asked for once"

    async def test_a_reference_that_nothing_has_is_told_with_its_line(self, tmp_path: Path) -> None:
        async with door("xcore", tmp_path) as it:
            reference = "xcore:personalized-offer:0000000000000000"
            planned = await it.plan(("id", "op", "path", "value"), [(reference, "add", it.name, "New")])

            assert planned.said() == [
                f'2 id: there is no personalized-offer "{reference}"; see how it is spelled there, or give its id'
            ]

    @STYLES
    async def test_what_several_are_called_is_refused_with_all_their_ids(
        self, tmp_path: Path, style: StyleName
    ) -> None:
        async with door(style, tmp_path) as it:
            it.rename(0, "Twin")
            it.rename(2, "Twin")
            rows = [("", name, "add", it.name, "New") for name in ("Twin", "Seeded offer 1")]
            planned = await it.plan(PATCHES, rows)

            (said,) = planned.said()
            assert said.startswith('2 name: several of type personalized-offer are called "Twin": ')
            assert said.endswith("; name the one that is meant by its id")
            assert it.offer(0) in said
            assert it.offer(2) in said

    @STYLES
    async def test_rows_that_call_an_object_by_different_names_are_one_request(
        self, tmp_path: Path, style: StyleName
    ) -> None:
        async with door(style, tmp_path) as it:
            header = ("id", "name", "op", "path", "value")
            status = it.name.replace("name", "status")
            rows = [
                (it.offer(1), "", "add", it.name, "New"),
                ("", "Seeded offer 0", "add", it.name, "Other"),
                ("", "Seeded offer 1", "add", status, "draft"),
            ]
            if style == "xcore":
                rows.append((seeded_reference(1), "", "add", f"{status}s", "x"))
            planned = await it.plan(header, rows)

            assert planned.objects == {2: it.offer(1), 3: it.offer(0)}
            assert [edit.path for edit in planned.steps[2][2]] == [it.name, status, f"{status}s"][: len(rows) - 1]

    @STYLES
    async def test_rows_that_contradict_each_other_under_different_names_are_found_out(
        self, tmp_path: Path, style: StyleName
    ) -> None:
        async with door(style, tmp_path) as it:
            header = ("id", "name", "op", "path", "value")
            rows = [(it.offer(1), "", "add", it.name, "A"), ("", "Seeded offer 1", "add", it.name, "B")]
            planned = await it.plan(header, rows)

            assert [(one.line, one.column) for one in planned.problems] == [(3, "path")]
            assert "contradicts line 2" in planned.problems[0].message

    async def test_containers_of_xcore_are_looked_through_by_themselves(self, tmp_path: Path) -> None:
        async with Emulator(EmulatorSettings(access_token="token", seed_offers=4, containers=2)) as server:
            it = Door("xcore", server, tmp_path)
            rows = [
                (seeded_container(n % 2), f"Seeded offer {m}", "add", it.name, "New") for n, m in enumerate((0, 3, 1))
            ]
            planned = await it.plan(("container", *PATCHES[1:]), rows)

            (problem,) = planned.problems
            assert (problem.line, problem.message) == (4, 'there is no personalized-offer named "Seeded offer 1"')


class TestHowMuchIsAsked:
    @STYLES
    @pytest.mark.parametrize(
        ("offers", "names", "walks"),
        [
            (50, WORTH_A_LIST, True),  # one page instead of ten questions
            (50, WORTH_A_LIST - 1, False),
            (250, WORTH_A_LIST, True),  # three pages
            (250, WORTH_A_LIST - 1, False),
            (1050, WORTH_A_LIST, False),  # eleven pages
            (1050, 15, True),
        ],
    )
    async def test_many_names_are_found_in_the_list_where_that_takes_fewer_requests(
        self, tmp_path: Path, style: StyleName, offers: int, names: int, walks: bool
    ) -> None:
        async with door(style, tmp_path, seed_offers=offers) as it:
            rows = [("", f"Seeded offer {n}", "add", it.name, "New") for n in range(offers - names, offers)]
            planned = await it.plan(PATCHES, rows)

            assert list(planned.objects.values()) == [it.offer(n) for n in range(offers - names, offers)]
            pages = -(-offers // 100)
            assert len(it.reads()) == (pages if walks else names + (names >= WORTH_A_LIST))

    @STYLES
    async def test_a_thousand_names_are_found_and_each_that_is_not_is_told(
        self, tmp_path: Path, style: StyleName
    ) -> None:
        async with door(style, tmp_path, seed_offers=1000) as it:
            good = [("", f"Seeded offer {n}", "add", it.name, "New") for n in range(1000)]
            planned = await it.plan(PATCHES, good)
            bad = [("", f"Seeded offer {n}", "add", it.name, "New") for n in range(990, 1010)]
            missing = await it.plan(PATCHES, bad)

            assert list(planned.objects.values()) == [it.offer(n) for n in range(1000)]
            assert [one.line for one in missing.problems] == list(range(12, 22))

    @STYLES
    async def test_a_list_that_cannot_be_walked_to_its_end_is_not_needed(
        self, tmp_path: Path, style: StyleName
    ) -> None:
        async with door(style, tmp_path, seed_offers=250) as it:
            it.server.add_fault("repeat-page:GET:n=2")
            rows = [("", f"Seeded offer {n}", "add", it.name, "New") for n in range(240, 250)]
            planned = await it.plan(PATCHES, rows)

            assert list(planned.objects.values()) == [it.offer(n) for n in range(240, 250)]
            assert len(it.reads()) == 2 + len(rows)


TEXTS = ("type", "id", "name", "placement", "language", "content", "was")
MADE = {
    "xcore": {"xdm:placement": "", "xdm:channel": "", "xdm:components": [{"@type": "", "dc:format": ""}]},
    "dps": {"placement": "", "channel": "", "components": [{"type": "", "format": ""}]},
}


def placement_row(it: Door, placement: str, number: int = 0) -> tuple[str, ...]:
    return ("", it.offer(number), "", placement, "en", "New", "Old")


class TestPlacements:
    @STYLES
    async def test_a_placement_is_found_by_its_name_and_its_offer_too(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            rows = [
                placement_row(it, "Seeded placement 1"),
                ("fallback-offer", "", "Seeded offer 0", "Seeded placement 0", "", "New", ""),
                placement_row(it, seeded_placement(style, 0), 2),
            ]
            planned = await it.plan(TEXTS, rows)

            web, mail = (seeded_placement(style, number) for number in (0, 1))
            assert [edits for *_, edits in planned.steps.values()] == [
                [TextChange(mail, "en", "New", "Old")],
                [TextChange(web, "", "New")],
                [TextChange(web, "en", "New", "Old")],
            ]
            assert len(it.reads()) == 2, "one for the offer, one for all placements"

    @STYLES
    async def test_placements_that_are_named_by_their_ids_need_no_look(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            planned = await it.plan(TEXTS, [placement_row(it, f"{style}:offer-placement:nobody")])

            assert it.reads() == []
            assert len(planned.steps) == 1

    @STYLES
    async def test_a_placement_that_is_not_there_is_told_with_its_line(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            rows = [
                placement_row(it, name, n) for n, name in enumerate(["Seeded placement 1", "Sedeed placement 2", "x"])
            ]
            planned = await it.plan(TEXTS, rows)

            held = f"it has {', '.join(f'Seeded placement {number}' for number in range(4))}"
            assert [(one.line, one.column, one.message) for one in planned.problems] == [
                (line, "placement", f'container {it.container} has no placement called "{name}"; {held}')
                for line, name in ((3, "Sedeed placement 2"), (4, "x"))
            ]
            assert [one.hint for one in planned.problems] == ["did you mean 'Seeded placement 2'?", ""]

    @STYLES
    async def test_of_many_placements_some_are_named(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            copy_placements(it, 1200)
            planned = await it.plan(TEXTS, [placement_row(it, "x")])

            (problem,) = planned.problems
            assert problem.message.endswith(", Copy 0009 and 1,194 more")
            found = await it.plan(TEXTS, [placement_row(it, "Copy 0777")])
            assert len(found.steps) == 1

    @STYLES
    async def test_two_placements_of_one_name_are_told_with_their_ids(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path) as it:
            (record,) = [one for one in it.server.store if (one.style, one.name) == (style, "Seeded placement 3")]
            patch = [{"op": "replace", "path": it.name, "value": "Seeded placement 2"}]
            it.server.edit(it.style, it.container, record.key, patch)
            planned = await it.plan(TEXTS, [placement_row(it, "Seeded placement 2")])

            (problem,) = planned.problems
            called = f'2 placements of container {it.container} are called "Seeded placement 2": '
            assert problem.message.startswith(called)
            ids = set(problem.message.removeprefix(called).split(", "))
            assert ids == {seeded_placement(style, 2), seeded_placement(style, 3)}
            assert problem.hint == "name the one that is meant by its id"

    @STYLES
    async def test_what_is_to_be_added_is_what_the_placement_takes(self, tmp_path: Path, style: StyleName) -> None:
        async with door(style, tmp_path, create_missing=True) as it:
            rows = [
                placement_row(it, "Seeded placement 2"),
                placement_row(it, seeded_placement(style, 0), 1),
                placement_row(it, f"{style}:offer-placement:nobody", 2),
            ]
            planned = await it.plan(TEXTS, rows)

            by_name, by_id, unknown = (edits[0].missing for *_, edits in planned.steps.values())
            for made, number, format_ in ((by_name, 2, "text/plain"), (by_id, 0, "text/html")):
                assert shape_of(made) == MADE[style]
                values = list(made.values())
                assert values[0] == seeded_placement(style, number)
                assert list(values[2][0].values())[1] == format_
            assert unknown is None

    @STYLES
    async def test_rows_that_name_one_placement_differently_contradict_each_other(
        self, tmp_path: Path, style: StyleName
    ) -> None:
        async with door(style, tmp_path) as it:
            rows = [
                ("", it.offer(0), "", "Seeded placement 0", "en", "One", ""),
                ("", "", "Seeded offer 0", seeded_placement(style, 0), "EN", "Two", ""),
            ]
            planned = await it.plan(TEXTS, rows)

            assert [(one.line, one.column) for one in planned.problems] == [(3, "content")]


def shape_of(value: Json) -> Json:
    """Return a JSON value with all texts empty."""
    if isinstance(value, dict):
        return {name: shape_of(member) for name, member in value.items()}
    return [shape_of(member) for member in value] if isinstance(value, list) else ""


def copy_placements(it: Door, number: int) -> None:
    """Let there be so many placements more."""
    (one,) = [one for one in it.server.store if (one.style, one.name) == (it.style, "Seeded placement 0")]
    member, document = it.name.rpartition("/")[2], msgspec.json.decode(one.document)
    for index in range(number):
        name = f"Copy {index:04}"
        ids = {"key": f"{one.key}{index:04}", "reference": f"{one.reference}{index:04}"}
        copied = msgspec.json.encode({**document, member: name})
        it.server._put([msgspec.structs.replace(one, name=name, document=copied, **ids)])


class TestRefusals:
    @STYLES
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("forbidden:GET", ServiceRefused),
            ("expire-token:GET", ServiceRefused),
            ("503-before:GET", ServiceRefused),
            ("429:GET", Stopped),
        ],
    )
    @pytest.mark.parametrize("rows", [1, 5, WORTH_A_LIST])
    async def test_a_service_that_refuses_to_be_read_is_told_as_such(
        self, tmp_path: Path, style: StyleName, fault: str, error: type[MigratorError], rows: int
    ) -> None:
        async with door(style, tmp_path) as it:
            it.server.add_fault(fault)
            named = [("", f"Seeded offer {n}", "add", it.name, "New") for n in range(rows)]
            with pytest.raises(error) as by_name:
                await it.plan(PATCHES, named)
            with pytest.raises(error):
                await it.plan(TEXTS, [placement_row(it, "Seeded placement 0")])

            assert str(by_name.value)
            assert list((tmp_path / "runs").iterdir()) == [], "nothing stays of a run that was not begun"
