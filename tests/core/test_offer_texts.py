"""Texts: found by placement and language on each object anew, changed if they are what they were, added if wanted."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET

from migrator.core.edit import edits_body, edits_of, is_placement_id, representation_for
from migrator.core.model import Json, Operation, TextChange
from migrator.core.patch import apply
from migrator.core.pointers import value_at
from migrator.core.styles import Style
from tests.core.styles import STYLES
from tests.core.texts import (
    APP,
    HTML,
    MAIL,
    MAIL_TEXTS,
    TEXT,
    WEB,
    WEB_TEXTS,
    component,
    content_at,
    document,
    found,
    missing,
    offer,
    put,
    representation,
    spring,
    text,
    why,
)

# --- texts: the place -------------------------------------------------------------------------------------------------


@STYLES
@pytest.mark.parametrize(
    ("change", "place"),
    [
        (text(WEB, "en"), (0, 0)),
        (text(WEB, "fr"), (0, 1)),
        (text(WEB, ""), (0, 2)),
        (text(WEB, "en", format=HTML), (0, 0)),
        # One language in two formats is told by the format.
        (text(MAIL, "en", format=TEXT), (1, 0)),
        (text(MAIL, "en", format=HTML), (1, 1)),
        # The case of a tag means nothing (RFC 5646, section 2.1.1).
        (text(MAIL, "DE-ch"), (1, 2)),
        (text(WEB, "EN"), (0, 0)),
    ],
)
def test_a_text_is_found_by_placement_language_and_format(
    style: Style, change: TextChange, place: tuple[int, int]
) -> None:
    assert found(style, [change]) == [put(content_at(style, *place), "New")]


@STYLES
def test_a_text_is_found_wherever_its_representation_and_its_component_have_moved(style: Style) -> None:
    moved = offer(style, app=[], mail=MAIL_TEXTS, web=[WEB_TEXTS[1], WEB_TEXTS[0]])

    assert found(style, [text(WEB, "en")], moved) == [put(content_at(style, 2, 1), "New")]


@STYLES
def test_a_component_of_several_languages_is_found_by_each(style: Style) -> None:
    both = {**component(style, "", HTML, "Old"), style.texts.language: ["en-US", "en-GB"]}
    there = document(style, [{style.texts.placement: WEB, style.texts.components: [both]}])

    for language in ("en-US", "en-gb"):
        assert found(style, [text(WEB, language)], there) == [put(content_at(style, 0, 0), "New")]
    assert why(style, text(WEB, "en"), there).endswith("it has en-us, en-gb (text/html)")


@STYLES
def test_a_component_that_has_no_content_yet_gets_one(style: Style) -> None:
    there = document(style, [{style.texts.placement: WEB, style.texts.components: [component(style, "en", HTML)]}])

    assert found(style, [text(WEB, "en")], there) == [Operation("add", content_at(style, 0, 0), "New")]


IN_WEB = "en (text/html), fr (text/html), no language (text/html)"
IN_MAIL = "en (text/plain), en (text/html), de-ch (text/plain)"


@STYLES
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (text(APP, "en"), f"has no representation for placement {APP}; it has {WEB}, {MAIL}"),
        (text(WEB, "de"), f"has no text in 'de' for placement {WEB}; it has {IN_WEB}"),
        (text(WEB, "en", format=TEXT), f"has no text in 'en' as text/plain for placement {WEB}; it has {IN_WEB}"),
        (text(MAIL, ""), f"has no text without a language for placement {MAIL}; it has {IN_MAIL}"),
        (
            text(MAIL, "en"),
            f"has 2 texts in 'en' for placement {MAIL}: text/plain, text/html; name one in the column `format`",
        ),
    ],
)
def test_a_text_that_is_not_there_or_not_to_be_told_from_another_is_refused(
    style: Style, change: TextChange, said: str
) -> None:
    assert why(style, change) == f"cannot apply: the offer {said}"


@STYLES
def test_two_representations_for_one_placement_are_none_to_choose_between(style: Style) -> None:
    twice = document(style, [representation(style, WEB, WEB_TEXTS)] * 2)

    assert why(style, text(WEB, "en"), twice) == (f"cannot apply: the offer has 2 representations for placement {WEB}")


@STYLES
@pytest.mark.parametrize("there", [UNSET, None, {}, "text", [], [None, "x", []]])
def test_in_an_offer_without_representations_nothing_is_found(style: Style, there: Json) -> None:
    assert why(style, text(WEB, "en"), document(style, there)) == (
        f"cannot apply: the offer has no representation for placement {WEB}; it has none at all"
    )


@STYLES
@pytest.mark.parametrize("there", [UNSET, None, {}, "text", [], [None, "x"]])
def test_in_a_representation_without_components_nothing_is_found(style: Style, there: Json) -> None:
    members = {style.texts.placement: WEB} | ({} if there is UNSET else {style.texts.components: there})

    assert why(style, text(WEB, "en"), document(style, [members])) == (
        f"cannot apply: the offer has no text in 'en' for placement {WEB}; it has none at all"
    )


@STYLES
@pytest.mark.parametrize("languages", [None, "en", {}, [], [5, None]])
def test_a_language_that_is_no_list_of_tags_is_none(style: Style, languages: Json) -> None:
    odd = {**component(style, "", HTML, "Old"), style.texts.language: languages}
    there = document(style, [{style.texts.placement: WEB, style.texts.components: [odd]}])

    assert found(style, [text(WEB, "")], there) == [put(content_at(style, 0, 0), "New")]
    assert "no text in 'en'" in why(style, text(WEB, "en"), there)


# --- texts: what is there ---------------------------------------------------------------------------------------------


@STYLES
@pytest.mark.parametrize("was", [None, "Hello", "Something else"])
def test_a_text_that_is_as_wanted_is_left_alone_whatever_it_was_to_be_before(style: Style, was: str | None) -> None:
    assert found(style, [text(WEB, "en", "Hello", was=was)]) == []


@STYLES
def test_a_text_is_changed_only_if_it_is_what_it_was(style: Style) -> None:
    assert found(style, [text(WEB, "en", was="Hello")]) == [put(content_at(style, 0, 0), "New")]
    for was in ("hello", "Hello ", ""):
        assert why(style, text(WEB, "en", was=was)) == (
            f'conflict: the text is "Hello", and `was` says {json.dumps(was)}'
        )


@STYLES
def test_a_long_text_is_told_in_short(style: Style) -> None:
    there = offer(style, web=[("en", HTML, "x" * 300_000)])

    assert why(style, text(WEB, "en", was="y" * 300_000), there) == (
        f'conflict: the text is "{"x" * 58}…, and `was` says "{"y" * 58}…'
    )


CONTENTS = {
    "HTML": "<a href=\"https://e.example/?a=1&amp;b=2\" title='x'>50&nbsp;% — now!</a><!-- -->\r\n\t<br/>",
    "placeholders": "Dear {{profile.person.name.firstName}}, {%= offer.rate %} {0} ${x} %s {",
    "JSON": '{"title": "A \\"quoted\\" word", "list": [1, 2.50, null], "deep": {"a/b": "m~n"}}',
    "right to left": "שלום עולם \u200f١٢٣\u200e مرحبا",
    "emoji": "👩‍👩‍👧‍👦 🇨🇭 🏳️‍🌈 e\u0301 é",
    "control": "a\u0000b\u2028c\u2029d\ufeffe\u200b",
    "spaces": "  \n\n leading and trailing \n",
    "300 KB": "0123456789abcdéf" * 20_000,
}


@STYLES
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_text_goes_and_comes_back_byte_for_byte(style: Style, content: str) -> None:
    change = edits_of(edits_body([text(WEB, "fr", content, was=content[::-1])]))
    there = offer(style, web=[WEB_TEXTS[0], ("fr", HTML, content[::-1])])

    operations = found(style, change, there)
    sent = json.loads(edits_body(operations))

    assert [one["value"].encode() for one in sent] == [content.encode()]
    assert value_at(apply(operations, there), content_at(style, 0, 1)) == content


# --- texts: what is missing -------------------------------------------------------------------------------------------


@STYLES
def test_a_missing_representation_is_added_with_the_text_in_it(style: Style) -> None:
    names = style.texts
    made = {
        **missing(style, APP),
        names.components: [
            {names.kind: "html", names.format: HTML, names.content: "New", names.language: ["de"]},
        ],
    }

    assert found(style, [text(APP, "de", missing=missing(style, APP))]) == [
        Operation("add", f"{names.representations}/-", made)
    ]
    assert found(style, [text(APP, "de", missing=missing(style, APP))], document(style, UNSET)) == [
        Operation("add", names.representations, [made])
    ]


@STYLES
@pytest.mark.parametrize(("language", "format_"), [("", ""), ("de", ""), ("", TEXT), ("de-CH", TEXT)])
def test_what_is_added_has_the_language_and_the_format_of_the_row_if_it_names_any(
    style: Style, language: str, format_: str
) -> None:
    names = style.texts
    change = text(APP, language, format=format_, missing=missing(style, APP))
    (operation,) = found(style, [change])

    (made,) = operation.value[names.components]
    assert made[names.format] == (format_ or HTML)
    assert made.get(names.language) == ([language] if language else None)


@STYLES
def test_a_missing_language_is_added_in_the_manner_of_the_others(style: Style) -> None:
    names = style.texts
    made = {names.kind: "component-text", names.format: TEXT, names.content: "New", names.language: ["it"]}

    assert found(style, [text(MAIL, "it", missing=missing(style, MAIL))]) == [
        Operation("add", f"{names.representations}/1/{names.components}/-", made)
    ]
    assert found(style, [text(MAIL, "it", format="text/x", missing=missing(style, MAIL))]) == [
        Operation("add", f"{names.representations}/1/{names.components}/-", {**made, names.format: "text/x"})
    ]


@STYLES
@pytest.mark.parametrize(("there", "place"), [(UNSET, ""), ([], "/-")])
def test_a_missing_language_is_added_as_the_placement_asks_if_there_are_no_others(
    style: Style, there: Json, place: str
) -> None:
    names = style.texts
    members = {names.placement: WEB} | ({} if there is UNSET else {names.components: there})
    made = {names.kind: "html", names.format: HTML, names.content: "New", names.language: ["it"]}

    assert found(style, [text(WEB, "it", missing=missing(style, WEB))], document(style, [members])) == [
        Operation("add", f"{names.representations}/0/{names.components}{place}", made if place else [made])
    ]


@STYLES
@pytest.mark.parametrize("place", [(APP, "en"), (WEB, "de")])
def test_what_was_something_is_not_added_where_nothing_is(style: Style, place: tuple[str, str]) -> None:
    change = text(*place, was="Old", missing=missing(style, place[0]))

    assert why(style, change) == 'conflict: there is no such text, and `was` says "Old"'


@STYLES
def test_what_is_there_is_changed_although_something_missing_would_be_added(style: Style) -> None:
    change = text(WEB, "en", missing=missing(style, WEB))

    assert found(style, [change]) == [put(content_at(style, 0, 0), "New")]


@STYLES
def test_several_texts_that_are_missing_share_what_the_first_of_them_makes(style: Style) -> None:
    edits = [text(APP, language, language.upper(), missing=missing(style, APP)) for language in ("en", "fr", "en")]
    edits[2] = text(APP, "en", "Better", missing=missing(style, APP))

    operations = found(style, edits)

    names = style.texts
    assert [one.path for one in operations] == [
        f"{names.representations}/-",
        f"{names.representations}/2/{names.components}/-",
        content_at(style, 2, 0),
    ]
    after = apply(operations, spring(style))
    assert [value_at(after, content_at(style, 2, number)) for number in (0, 1, 2)] == ["Better", "FR", UNSET]
    assert found(style, edits[1:], after) == [], "what was done is not done again"


@pytest.mark.parametrize(
    ("kind", "format_"),
    [
        ("html", HTML),
        ("text", TEXT),
        ("json", "application/json"),
        ("https://ns.adobe.com/experience/offer-management/content-component-html", HTML),
        ("content-component-text", TEXT),
        ("offer-json", "application/json"),
    ],
)
@STYLES
def test_what_a_placement_takes_tells_what_is_added_for_it(style: Style, kind: str, format_: str) -> None:
    names = style.texts
    takes = {names.component_type: kind, names.channel: "https://c", "name": "x"}
    component = "component-text" if (style.name, kind) == ("dps", "text") else kind
    made = {names.kind: component, names.format: format_}

    assert representation_for(WEB, takes, names) == {
        names.placement: WEB,
        names.channel: "https://c",
        names.components: [made],
    }
    assert representation_for(WEB, {names.component_type: kind}, names) == {
        names.placement: WEB,
        names.components: [made],
    }


@pytest.mark.parametrize("kind", ["imagelink", "offer-image", "", None, 5])
@STYLES
def test_for_a_placement_that_takes_no_text_nothing_is_added(style: Style, kind: Json) -> None:
    assert representation_for(WEB, {style.texts.component_type: kind}, style.texts) is None
    assert representation_for(WEB, {}, style.texts) is None


def test_a_placement_is_known_by_its_id() -> None:
    assert is_placement_id("dps:offer-placement:1a08a14ccfe533b6")
    assert is_placement_id("xcore:offer-placement:124e0be5699743d4")
    assert not is_placement_id("Web, top")
    assert not is_placement_id("offer-placement")
