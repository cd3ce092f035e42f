"""What a person reads of a plan: the changed word in a page of text, and nothing that the terminal acts upon."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from rich.console import Console
from rich.text import Text

from migrator.core.model import Base, EntityType, Json, Kind, Touched
from migrator.core.states import State
from migrator.core.verdict import ErrorClass
from migrator.ledger.reading import PlannedStep
from migrator.reports.places import WIDEST
from migrator.reports.preview import MOST_PLACES, Action, Counts, entry, paragraph

ESC = "\x1b"


def step(**changes: Any) -> PlannedStep:
    values: dict[str, Any] = {
        "seq": 2,
        "lines": (2,),
        "container": "dev",
        "type": EntityType.PERSONALIZED_OFFER,
        "object": "o1",
        "kind": Kind.PATCH,
        "body": b"[]",
        "state": State.PENDING,
        "error_class": "",
        "message": "",
        "base": None,
    }
    return PlannedStep(**values | changes)


def touching(*touched: Touched, **changes: Any) -> PlannedStep:
    return step(base=Base(4, touched, b"", guarded=False, name="Loan"), **changes)


def shown(planned: PlannedStep, *, with_container: bool = False) -> str:
    return paragraph(entry(planned), with_container=with_container).plain


def changed(before: Json, after: Json, path: str = "/p") -> str:
    head, _, body = shown(touching(Touched(path, before, after))).partition("\n")
    assert head == '~ personalized-offer o1 "Loan"  line 2'
    return body


@pytest.mark.parametrize(
    ("planned", "action"),
    [
        (step(kind=Kind.PATCH), Action.CHANGE),
        (step(kind=Kind.EDIT), Action.CHANGE),
        (step(kind=Kind.DELETE, body=b""), Action.DELETE),
        (step(kind=Kind.CREATE, body=b'{"name":"N"}'), Action.CREATE),
        (step(state=State.UNCHANGED), Action.UNCHANGED),
        (step(state=State.SKIPPED), Action.LEFT_OUT),
        (step(state=State.REJECTED, error_class=ErrorClass.CONFLICT), Action.CONFLICT),
        (step(state=State.REJECTED, error_class=ErrorClass.NOT_FOUND), Action.CANNOT_APPLY),
        (step(state=State.REJECTED, error_class=ErrorClass.CANNOT_APPLY), Action.CANNOT_APPLY),
    ],
)
def test_what_is_done_to_an_object_is_one_word(planned: PlannedStep, action: Action) -> None:
    counts = Counts({})
    counts.add(entry(planned))

    assert entry(planned).action is action
    assert counts.by_container == {"dev": {action: 1}}


def test_short_values_stand_on_one_line() -> None:
    assert changed(0, 3) == "    /p  0 → 3\n"
    assert changed("a", None) == '    /p  "a" → null\n'


def test_what_is_new_or_gone_has_one_side() -> None:
    assert changed(UNSET, "x") == '    /p\n      + "x"\n'
    assert changed("x", UNSET) == '    /p\n      - "x"\n'


def test_of_a_long_text_the_part_that_differs_is_shown() -> None:
    page = "<p>" + "word " * 20_000
    body = changed(page + "1.9%" + page, page + "2.5%" + page)

    old, new = body.splitlines()[1:]
    assert old.strip().startswith("- …")
    assert new.strip().startswith("+ …")
    assert len(old) < 80
    assert len(new) < 80
    assert [word for word in ("1.9", "2.5") if word in old] == ["1.9"]
    assert [word for word in ("1.9", "2.5") if word in new] == ["2.5"]


def test_of_a_text_that_is_another_altogether_the_beginning_is_shown() -> None:
    body = changed("a" * 300_000, "b" * 300_000)

    assert max(map(len, body.splitlines())) < WIDEST + 100
    assert body.count("…") == 2


def test_what_differs_is_set_off_from_what_is_around_it() -> None:
    text = paragraph(entry(touching(Touched("/p", "spring loan for you", "summer loan for you"))), with_container=False)

    bold = [text.plain[span.start : span.end] for span in text.spans if "bold" in str(span.style)]
    assert bold == [' "Loan"', "pring", "ummer"]


def test_json_in_a_text_is_shown_as_the_text_that_it_is() -> None:
    assert r'"{\"rate\":1}"' in changed('{"rate":1}', '{"rate":2}')


def test_right_to_left_texts_never_share_a_line_in_which_they_would_change_places() -> None:
    assert changed("שלום", "תודה") == '    /p\n      - "שלום"\n      + "תודה"\n'
    assert changed("مرحبا", "x").count("\n") == 3


def test_emoji_stay_whole_where_they_are_short() -> None:
    assert '"🎉"' in changed("🎉", "👨‍👩‍👧")
    assert "👨‍👩‍👧" in changed("🎉", "👨‍👩‍👧")


@pytest.mark.parametrize("nasty", [f"{ESC}[31m", f"{ESC}]0;title\x07", "\x9b31m", "\r\n", "\u202e", "\x08"])
def test_nothing_that_stands_in_an_object_or_an_input_acts_upon_the_terminal(nasty: str) -> None:
    document = msgspec.json.encode({"name": nasty, f"n{nasty}": nasty})
    planned = [
        touching(Touched(f"/p{nasty}", nasty, {"a" + nasty: nasty})),
        touching(Touched("/p", UNSET, 1), object=f"o{nasty}", container=f"c{nasty}"),
        step(base=Base(4, (), b"", guarded=False, name=f"N{nasty}"), state=State.UNCHANGED),
        step(kind=Kind.CREATE, body=document),
        step(state=State.REJECTED, message=f"it is {nasty}"),
    ]
    for one in planned:
        said = shown(one, with_container=True)
        assert not set(nasty) & set(said.replace("\n", "")) - set("[31m]0;title"), said
        assert said.count("\n") == len(said.splitlines())


def test_what_is_created_is_shown_member_by_member() -> None:
    body = msgspec.json.encode({"name": "N", "a/b": [1]})

    assert shown(step(kind=Kind.CREATE, object="", body=body)).splitlines() == [
        '+ personalized-offer "N"  line 2',
        "    /name",
        '      + "N"',
        "    /a~1b",
        "      + [1]",
    ]


def test_what_cannot_be_done_says_why() -> None:
    refused = step(state=State.REJECTED, error_class=ErrorClass.CONFLICT, message="the text is 'x'", lines=(2, 3, 5, 9))

    assert shown(refused) == "! personalized-offer o1  line 2, 3, 5, …\n    conflict: the text is 'x'\n"


def test_a_change_of_very_many_places_says_how_many_more_there_are() -> None:
    said = changed(list(range(500)), [number + 1000 for number in range(500)])

    assert said.count("→") == MOST_PLACES
    assert f"… and {500 - MOST_PLACES} more places; --output json has them all" in said


def test_a_list_nested_as_deep_as_an_input_may_nest_is_shown() -> None:
    before: Json = 1
    after: Json = 2
    for _ in range(400):
        before, after = [before], [after]

    assert "1 → 2" in changed(before, after)


@pytest.mark.parametrize("width", [20, 40, 80, 160])
def test_no_line_is_cut_however_narrow_the_terminal(width: int) -> None:
    text = paragraph(entry(touching(Touched("/p", "a" * 100, "b" * 100))), with_container=True)

    assert "".join(printed(text, width).split()) == "".join(text.plain.split())


def printed(text: Text, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, soft_wrap=True)
    console.print(text, end="")
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]
