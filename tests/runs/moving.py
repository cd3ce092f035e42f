"""What the tests of `migrate` share: libraries of either style, compared without asking the mapping."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
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
from tests.conftest import CommandLine, Ended

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


def assert_moved(server: Emulator, source: Style) -> None:
    """Hold the two sides against each other: each object is there once, and refers to what it referred to."""
    there, made = names(server, source), names(server, OTHER[source])
    assert made == there, f"missing: {there - made}, too often: {made - there}"
    wanted, found = relations(server, source), relations(server, OTHER[source])
    differ = [one for one in wanted if found[one] != wanted[one]]
    assert not differ, f"refer to something else: {differ}"


async def kill_and_resume(
    migrator: CommandLine, until: Any, server: Emulator, source: Style, effects: tuple[int, int], *flags: str
) -> Ended:
    """Move everything, with kill -9 three times.

    Args:
        migrator: the command line, pointed at the server.
        until: waits.
        server: the emulator.
        source: the style that is read.
        effects: how many at least and at the most each process that is killed brings about.
        flags: of each process.

    Returns:
        The last process, which nobody kills.
    """
    chance = Random(source)
    arguments = (*route(source), "--yes", "--run-id", "moving")
    for _ in range(3):
        wanted = len(server.effects) + chance.randint(*effects)
        running = await migrator.start(*arguments, *flags)
        await until(lambda wanted=wanted: len(server.effects) >= wanted)
        running.kill()
        killed = await migrator.end(running)
        assert killed.code == -9, killed.err
        arguments = ("resume", "moving")
    return await migrator(*arguments, *flags)


def end_the_bad_day(server: Emulator) -> None:
    """Take all faults away."""
    for fault in list(server.faults):
        server.remove_fault(fault.number)


def written(folder: Path, run: str, name: str) -> list[dict[str, Any]]:
    """The rows of a results file of a run; none if there is no such file."""
    path = folder / "runs" / run / "results" / f"{name}.jsonl"
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
