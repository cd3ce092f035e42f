"""What the tests of `migrate` share: libraries of either style, compared without asking the mapping."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    seeded_companion,
    seeded_container,
    seeded_reference,
)
from migrator.emulator.entities import RULE
from migrator.emulator.seeds import seeded_offer_id
from migrator.emulator.snapshot import Line

Style = Literal["xcore", "dps"]

OTHER: dict[Style, Style] = {"xcore": "dps", "dps": "xcore"}
SOURCES = pytest.mark.parametrize("source", ["xcore", "dps"])
CONTAINER = seeded_container(0)
SCOPES: dict[Style, str] = {"xcore": CONTAINER, "dps": "dev"}
"""Where everything is, in either style."""

WORDS = {
    "placement": "offer-placement",
    "decision-rule": "eligibility-rule",
    "tag": "tag",
    "personalized-offer": "personalized-offer",
    "fallback-offer": "fallback-offer",
    "collection": "offer-filter",
    "decision": "offer-activity",
}
"""Types of ours, and the words of ids."""

ID = re.compile(r"(?:xcore|dps):[a-z-]+:[0-9a-f]+")


def spelled(style: Style, members: dict[str, Any]) -> dict[str, Any]:
    """Spell members of dps in a style."""
    return members if style == "dps" else {f"xdm:{name}": value for name, value in members.items()}


def line(style: Style, type_: str, number: int, document: dict[str, Any], created_by: str = "somebody") -> Line:
    """Make an object of a snapshot, whose ids are made of its number."""
    reference = f"{style}:{WORDS[type_]}:{number:016x}"
    return Line(
        style=style,
        container=SCOPES[style],
        type=WORDS[type_],
        id=reference if style == "dps" else f"{number:08x}-13df-11eb-bc55-c11be7252432",
        reference=reference,
        etag=1,
        created="2024-01-01T00:00:00.000000Z",
        modified="2024-01-01T00:00:00.000000Z",
        created_by=created_by,
        modified_by=created_by,
        document=msgspec.Raw(msgspec.json.encode(document)),
    )


def offer(style: Style, name: str, **members: Any) -> dict[str, Any]:
    """The document of an offer with one representation, and members in the words of dps."""
    dates = {"startDate": "2024-03-01T00:00:00Z", "endDate": "2034-03-01T00:00:00Z"}
    constraint = dates | members.pop("constraint", {})
    return spelled(
        style,
        {
            "name": name,
            "status": "draft",
            "representations": [],
            "selectionConstraint": spelled(style, constraint),
            "rank": spelled(style, {"priority": 3}),
            **members,
        },
    )


def richer(style: Style) -> list[Line]:
    """Objects whose references are of the kinds that the seeds do not have: to rules and to offers."""
    rule = seeded_companion(style, RULE)
    first = seeded_reference(0) if style == "xcore" else seeded_offer_id(0)
    kind = {} if style == "xcore" else {"profileConstraintType": "eligibilityRule"}
    return [
        line(
            style,
            "personalized-offer",
            1,
            offer(style, 'Ruled, "a==b" *?', constraint={"eligibilityRule": rule} | kind),
        ),
        line(style, "collection", 2, spelled(style, {"name": "Chosen", "filterType": "offers", "ids": [first]})),
        line(style, "personalized-offer", 3, offer(style, "Odd keys", characteristics={"xdm:a~b/c": "1", "dps:x": ""})),
    ]


def library(server: Emulator, source: Style, more: Iterable[Line] = (), *, at_once: bool = False) -> None:
    """Let the server hold the seeds of one style, and more; nothing in the other.

    Args:
        server: as it begins.
        source: the style.
        more: objects.
        at_once: whether all were created at the same time, which is what the cursors of dps trip over.
    """
    seeds = [one for one in server.snapshot() if one.style == source]
    lines = [*seeds, *(richer(source) if seeds else ()), *more]
    if at_once:
        lines = [msgspec.structs.replace(one, created=lines[0].created, modified=lines[0].modified) for one in lines]
    assert not server.load([msgspec.json.encode(one) for one in lines])


def served(offers: int = 6, **settings: Any) -> Emulator:
    """An emulator with seeds."""
    return Emulator(EmulatorSettings(seed_offers=offers, **settings))


def route(source: Style) -> tuple[str, ...]:
    """The command and its ends."""
    return ("migrate", "--from", source, "--to", OTHER[source], "--container", CONTAINER)


def names(server: Emulator, style: Style) -> Counter[tuple[str, str]]:
    """How often there is an object of a type and name."""
    return Counter((one.word, one.name) for one in server.store if one.style == style)


def relations(server: Emulator, style: Style) -> dict[tuple[str, str], Counter[str]]:
    """What each object refers to, by type and name, which is the same in either style; "?" for what is not there."""
    called = {one.reference: f"{one.word} {one.name}" for one in server.store if one.style == style}
    return {
        (one.word, one.name): Counter(called.get(id_, "?") for id_ in ID.findall(one.document.decode()))
        for one in server.store
        if one.style == style
    }


def written(folder: Path, run: str, name: str) -> list[dict[str, Any]]:
    """The rows of a results file of a run; none if there is no such file."""
    path = folder / "runs" / run / "results" / f"{name}.jsonl"
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
