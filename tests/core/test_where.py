"""Conditions on objects: read with the place of each slip, spelled for the service, and checked here as it does."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.core.styles import DPS, XCORE
from migrator.core.values import Fault
from migrator.core.where import Condition, meets, parse, pushed

OFFER: dict[str, Any] = {
    "name": "Spring loan",
    "status": "approved",
    "rank": {"priority": 3},
    "selectionConstraint": {"startDate": "2024-03-01T00:00:00.000+00:00"},
    "tags": ["dps:tag:1", "dps:tag:2"],
    "representations": [{"components": [{"language": ["en"]}, {"language": ["fr"]}]}],
    "nothing": None,
    "exdRule": True,
    "etag": 7,
    "code": "3",
}


def condition(text: str) -> Condition:
    read = parse(text, DPS)
    assert isinstance(read, Condition), read
    return read


@pytest.mark.parametrize(
    ("text", "path", "sign", "value"),
    [
        ("status==approved", "status", "==", "approved"),
        ("status != draft", "status", "!=", "draft"),
        ("rank.priority>=3", "rank.priority", ">=", "3"),
        ("rank.priority<3", "rank.priority", "<", "3"),
        ("name~spring.*", "name", "~", "spring.*"),
        ("name==a==b", "name", "==", "a==b"),
        ("name==>a", "name", "==", ">a"),
        ("tags", "tags", "", ""),
        ("modified>2024-03-01", "modified", ">", "2024-03-01T00:00:00Z"),
        ("code==2024-03-01", "code", "==", "2024-03-01"),
    ],
)
def test_a_condition_is_a_path_an_operator_and_a_value(text: str, path: str, sign: str, value: str) -> None:
    assert parse(text, DPS) == Condition(path, sign, value)


@pytest.mark.parametrize(
    ("text", "character", "said", "hint"),
    [
        ("", 1, "the path is missing", "status==approved"),
        ("==approved", 1, "the path is missing", ""),
        ("status=approved", 7, "= is no operator", "write =="),
        ("!status", 1, "the path is missing", ""),
        ("status!approved", 7, "! is no operator", "write !="),
        ("status<>approved", 7, "<> is no operator", "write !="),
        ("priority=>3", 9, "=> is no operator", "write =="),
        ("status==", 9, "no value after ==", "write status alone"),
        ("rank..priority>3", 6, "a name is missing", "one dot"),
        (".priority>3", 1, "a name is missing", "one dot"),
        ("rank.>3", 5, "a name is missing", "one dot"),
        ("name~a(b", 6, "missing ), unterminated subpattern at its character 2", ""),
    ],
)
def test_a_slip_is_told_with_its_place(text: str, character: int, said: str, hint: str) -> None:
    fault = parse(text, DPS)
    assert isinstance(fault, Fault)
    assert fault.message.startswith(f"at character {character}: ")
    assert said in fault.message
    assert hint in fault.hint


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("status==approved", True),
        ("status==Approved", False),
        ("status!=draft", True),
        ("status!=approved", False),
        ("absent!=draft", True),
        ("absent==draft", False),
        ("rank.priority>=3", True),
        ("rank.priority>3", False),
        ("rank.priority<10", True),  # as numbers; as text "3" is behind "10"
        ("rank.priority==3.0", True),
        ("rank.priority>abc", False),
        ("code<10", False),  # a text is compared as text
        ("exdRule==true", True),
        ("exdRule==1", False),
        ("exdRule>0", False),
        ("nothing==null", True),
        ("nothing", True),
        ("absent", False),
        ("absent.below", False),
        ("name~spring.*", True),
        ("name~spring", False),
        ("etag~7", False),
        ("tags==dps:tag:2", True),
        ("tags!=dps:tag:2", False),
        ("representations.components.language==fr", True),
        ("representations.components.language==de", False),
        ("selectionConstraint.startDate==2024-03-01T01:00:00+01:00", True),
        ("selectionConstraint.startDate<2024-03-01T00:00:01Z", True),
        ("selectionConstraint.startDate>2024-02-29", True),
        ("selectionConstraint.startDate>2024-03-01", False),
    ],
)
def test_an_object_is_held_against_a_condition(text: str, met: bool) -> None:
    assert meets(OFFER, [condition(text)]) is met


def test_all_of_several_conditions_must_be_met() -> None:
    one, other, third = map(condition, ("status==approved", "rank.priority==3", "rank.priority==4"))
    assert meets(OFFER, [])
    assert meets(OFFER, [one, other])
    assert not meets(OFFER, [one, third])


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("xdm:status==approved", "_instance.xdm:status==approved"),
        ("_instance.xdm:status==approved", "_instance.xdm:status==approved"),
        ("repo:lastModifiedDate>2024-03-01T00:00:00Z", "repo:lastModifiedDate>2024-03-01T00:00:00Z"),
    ],
)
def test_in_xcore_a_path_begins_inside_of_the_envelope(text: str, spelled: str) -> None:
    read = parse(text, XCORE)
    assert isinstance(read, Condition)
    assert pushed([read]) == (spelled,)
    envelope = {"_instance": {"xdm:status": "approved"}, "repo:lastModifiedDate": "2024-03-02T00:00:00Z"}
    assert meets(envelope, [read])


def test_a_value_that_could_be_taken_for_more_is_not_asked_of_the_service() -> None:
    asked = map(condition, ("status==approved", "name==Loan, 2.9 %", "name~a.*=.*", "tags"))
    assert pushed(asked) == ("status==approved", "tags")
