"""Texts of offers: where they are found, and replacements that touch what they match and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migrator.core.styles import DPS, XCORE
from migrator.core.texts import PLACEHOLDER, Replacement, Text, texts_of

WEB = "dps:offer-placement:1"


def component(content: Any = "Hello", language: Any = ("en",), format_: Any = "text/html") -> dict[str, Any]:
    made = {"type": "html", "format": format_, "language": list(language or ()), "content": content}
    return {name: value for name, value in made.items() if value not in (None, [])}


def offer(*components: dict[str, Any], placement: str = WEB) -> dict[str, Any]:
    return {"name": "A", "representations": [{"placement": placement, "components": list(components)}]}


def test_texts_are_told_by_placement_language_and_format() -> None:
    document = offer(component(), component("Salut", ("fr", "fr-CH")), component("Plain", ("en",), "text/plain"))

    assert list(texts_of(document, DPS.texts)) == [
        Text(WEB, "en", "text/html", "Hello", found=True),
        Text(WEB, "fr", "text/html", "Salut", found=True),
        Text(WEB, "en", "text/plain", "Plain", found=True),
    ]


def test_in_xcore_they_are_spelled_otherwise() -> None:
    made = {"@type": "x", "dc:format": "text/html", "dc:language": ["en"], "xdm:content": "Hello"}
    document = {"_instance": {"xdm:representations": [{"xdm:placement": "p", "xdm:components": [made]}]}}

    assert list(texts_of(document, XCORE.texts)) == [Text("p", "en", "text/html", "Hello", found=True)]


@pytest.mark.parametrize(
    "components",
    [
        (component("A"), component("B")),
        (component("A", ("en", "fr")), component("B", ("en",))),
        (component("A", ()), component("B", ())),
    ],
)
def test_a_text_that_another_is_like_is_not_found_by_its_address(components: tuple[dict[str, Any], ...]) -> None:
    assert not any(text.found for text in texts_of(offer(*components), DPS.texts))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"representations": None},
        {"representations": [None, {"components": None}, {}]},
        offer({"type": "imagelink", "deliveryURL": "https://example.com/a.png"}),
        offer(component(content=["no text"])),
    ],
)
def test_what_is_no_text_is_passed_over(document: dict[str, Any]) -> None:
    assert list(texts_of(document, DPS.texts)) == []


@pytest.mark.parametrize(
    ("find", "put", "regex", "content", "now", "count"),
    [
        ("2.9 %", "3.1 %", False, "Only 2.9 %! 2.9 % – and 219 %", "Only 3.1 %! 3.1 % – and 219 %", 2),
        ("a", r"\1", False, "a", r"\1", 1),
        ("a", "", False, "banana", "bnn", 3),
        ("aa", "b", False, "aaa", "ba", 1),
        (r"(\d+),(\d) %", r"\1.\2 %", True, "2,9 % or 12,5 %", "2.9 % or 12.5 %", 2),
        ("summer", "winter", False, "Summer", "Summer", 0),
        ("(?i)summer", "winter", True, "Summer", "winter", 1),
        ("Spring", "Autumn", False, '{"headline": "Spring loan"}', '{"headline": "Autumn loan"}', 1),
        ("red", "blue", False, "<style>b {color: red}</style>", "<style>b {color: blue}</style>", 1),
        ("{name}", "{title}", False, "Dear {name}", "Dear {title}", 1),
        ("Dear {name}", "Hello", False, "Dear {name}!", "Hello!", 1),
    ],
)
def test_all_that_matches_is_replaced(find: str, put: str, regex: bool, content: str, now: str, count: int) -> None:
    made = Replacement(find, put, regex=regex).apply(content)

    assert (made.content, made.count, made.spared) == (now, count, 0)


@pytest.mark.parametrize(
    ("find", "content", "now"),
    [
        ("name", "Dear {name}, a name", "Dear {name}, a X"),
        ("name", "{{profile.name}} {{ profile.name }}", None),
        ("name", "{%= name %} name", "{%= name %} X"),
        ("ear {na", "Dear {name}", None),
        ("me}", "Dear {name}", None),
    ],
)
def test_a_placeholder_is_left_alone_unless_all_of_it_is_matched(find: str, content: str, now: str | None) -> None:
    made = Replacement(find, "X").apply(content)

    assert made.content == (content if now is None else now)
    assert made.spared > 0


PARTS = ["rate", "RATE", "{rate}", "{{profile.rate}}", "\u00e9\r\n", "{", "}}", " ra", "te", "🌞"]
PIECES = st.lists(st.sampled_from(PARTS))


@given(PIECES, st.text())
@example(["{", "rate", "{{profile.rate}}"], "")
def test_a_replacement_touches_nothing_that_it_does_not_match(pieces: list[str], put: str) -> None:
    content = "".join(pieces)
    made = Replacement("rate", put).apply(content)

    if not made.spared:
        assert made.content == content.replace("rate", put)
    assert made.count + made.spared == content.count("rate")
    # Braces that stand apart may come to stand beside a placeholder, but all of it is still there.
    rest = made.content
    for placeholder in PLACEHOLDER.findall(content):
        _, found, rest = rest.partition(placeholder)
        assert found


@pytest.mark.parametrize("find", ["a*", "", "x?", "(?=a)|"])
def test_what_matches_nothing_at_all_is_refused(find: str) -> None:
    with pytest.raises(ValueError, match="where there is nothing"):
        Replacement(find, "b", regex=True)


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Replacement("a(", "b", regex=True)
    with pytest.raises(ValueError, match="cannot be read"):
        Replacement("a", r"\1", regex=True).apply("a")
