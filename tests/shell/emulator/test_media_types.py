"""Reading media types."""

from __future__ import annotations

import pytest

from migrator.emulator import media_types

SCHEMA = "https://ns.adobe.com/experience/offer-management/personalized-offer;version=0.5"


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("application/json", "application/json", {}),
        ("Application/JSON ; Charset=utf-8", "application/json", {"charset": "utf-8"}),
        ("application/json;", "application/json", {}),
        ("a/b;;x=1", "a/b", {"x": "1"}),
        ('a/b; x="1;2"; y=3', "a/b", {"x": "1;2", "y": "3"}),
        (r'a/b; x="say \"hi\""', "a/b", {"x": 'say "hi"'}),
        ('a/b; x=""', "a/b", {"x": ""}),
        (
            f'application/vnd.adobe.platform.xcore.patch.hal+json; version=1; schema="{SCHEMA}"',
            "application/vnd.adobe.platform.xcore.patch.hal+json",
            {"version": "1", "schema": SCHEMA},
        ),
        (
            f'application/schema-instance+json; version=1;  schema="{SCHEMA}"',
            "application/schema-instance+json",
            {"version": "1", "schema": SCHEMA},
        ),
    ],
)
def test_a_media_type_is_read_whatever_its_blanks_and_quotes(
    text: str, essence: str, parameters: dict[str, str]
) -> None:
    assert media_types.parse(text) == media_types.MediaType(essence, parameters)


@pytest.mark.parametrize(
    "text",
    ["", "json", "application/", "Content-Type: application/json", "a/b; x", 'a/b; x="1', "a/b x=1", "a/b, c/d"],
)
def test_what_is_not_a_media_type_is_none(text: str) -> None:
    assert media_types.parse(text) is None


@pytest.mark.parametrize(
    ("text", "clean"),
    [("Content-Type: a/b; x=1", "a/b; x=1"), ("content-type:a/b", "a/b"), ("a/b", "a/b")],
)
def test_the_doubled_header_name_is_taken_off(text: str, clean: str) -> None:
    assert media_types.undouble(text) == clean
