"""`migrator translate`: the program as a process, and what it writes applied to the emulator."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from migrator.cli.jobs import read_job
from migrator.emulator import (
    Choices,
    Emulator,
    EmulatorSettings,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_reference,
)
from migrator.emulator.seeds import _COMPANIONS

JOBS = Path(__file__).parents[2] / "jobs"
OPERATIONS = ("container", "type", "id", "op", "path", "value")
NAME = (seeded_container(0), "personalized-offer", seeded_instance_id(0), "replace", "/_instance/xdm:name", "Autumn")
TYPES = {
    "personalized-offer": "personalized-offer",
    "fallback-offer": "fallback-offer",
    "offer-placement": "placement",
    "eligibility-rule": "decision-rule",
    "tag": "tag",
    "offer-filter": "collection",
    "offer-activity": "decision",
}
"""Types by the word that ids have for them."""


def seeded_ids(offers: int = 3) -> list[tuple[str, ...]]:
    """The id map of what the emulator starts with."""
    companions: list[tuple[str, ...]] = [
        (
            TYPES[entity.word],
            f"xcore:{entity.word}:{one}",
            f"dps:{entity.word}:{_COMPANIONS['dps'][entity][index]}",
            "",
            "",
        )
        for entity, ends in _COMPANIONS["xcore"].items()
        for index, one in enumerate(ends)
    ]
    return companions + [
        ("personalized-offer", seeded_reference(i), seeded_offer_id(i), seeded_instance_id(i), seeded_container(0))
        for i in range(offers)
    ]


@pytest.fixture
def command(migrator: Any) -> Any:
    """The command line in a folder with an id map."""
    migrator.write("ids.csv", ("type", "xcore", "dps", "instance_id", "container"), seeded_ids())
    return migrator


TO_DPS = ("--from", "xcore", "--to", "dps", "--id-map", "ids.csv")
TO_XCORE = ("--from", "dps", "--to", "xcore", "--id-map", "ids.csv")


async def test_stdout_has_the_changes_and_stderr_the_sum(command: Any) -> None:
    command.write("in.csv", OPERATIONS, [NAME])

    ended = await command("translate", "in.csv", *TO_DPS)

    assert ended.code == 0
    assert ended.out == f"type,id,op,path,value\npersonalized-offer,{seeded_offer_id(0)},replace,/name,Autumn\n"
    assert ended.err == "in.csv: 1 line: 1 translated · 0 refused\n"


async def test_what_is_refused_is_told_and_reported_and_the_rest_is_written(command: Any) -> None:
    bad = (*NAME[:3], "add", "/_instance/xdm:cappingConstraint", '{"xdm:globalCap": 5}')
    inferred = (*NAME[:3], "add", "/_instance/xdm:selectionConstraint/xdm:eligibilityRule", seeded_ids()[4][1])
    command.write("in.csv", OPERATIONS, [NAME, bad, inferred])

    ended = await command("translate", "in.csv", *TO_DPS, "--out", "out.csv", "--report", "report.jsonl")

    assert ended.code == 3
    assert ended.out == ""
    assert ended.err.startswith("in.csv:3: /_instance/xdm:cappingConstraint: which counters")
    assert "in.csv: 3 lines: 2 translated · 1 refused\n" in ended.err
    assert "  not quite the same: 1 unattested: " in ended.err
    assert "  refused: 1 needs-object: " in ended.err
    assert len((command.folder / "out.csv").read_text().splitlines()) == 4
    told = [json.loads(line) for line in (command.folder / "report.jsonl").read_text().splitlines()]
    assert [(one["line"], one["class"], one["severity"]) for one in told] == [
        (3, "needs-object", "severe"),
        (4, "unattested", "informational"),
    ]
    assert told[0]["value"] == {"xdm:globalCap": 5}
    assert set(told[0]) == {"line", "pointer", "value", "direction", "class", "severity", "reason", "entity", "id"}


async def test_a_program_reads_json_lines(command: Any) -> None:
    command.write("in.csv", OPERATIONS, [NAME, (*NAME[:2], "nobody", *NAME[3:])])

    ended = await command("translate", "in.csv", *TO_DPS, "--out", "out.csv", "--output", "json")

    refused, summed = map(json.loads, ended.err.splitlines())
    assert (refused["event"], refused["line"], refused["class"]) == ("refused", 3, "address")
    assert summed == {
        "event": "translated",
        "lines": 2,
        "translated": 1,
        "empty": 0,
        "refused": 1,
        "losses": {},
        "refusals": {"address": 1},
    }


async def test_a_severe_loss_can_be_allowed(command: Any) -> None:
    placement = {"name": "P", "componentType": "html", "channel": "https://a", "itemCount": 2}
    line = json.dumps({"type": "placement", "create": placement})
    (command.folder / "in.jsonl").write_text(line + "\n")
    back = (*TO_XCORE, "--container", "c1")

    assert (await command("translate", "in.jsonl", *back)).code == 3
    ended = await command("translate", "in.jsonl", *back, "--allow-lossy", "delivery", "--allow-lossy", "labels")

    assert ended.code == 0
    assert "xdm:name" in json.loads(ended.out)["create"]
    assert "not quite the same: 1 delivery" in ended.err
    unknown = await command("translate", "in.jsonl", *back, "--allow-lossy", "everything")
    assert unknown.code == 2
    assert "text-ids" in unknown.err


async def test_standard_input_and_gzip_are_read(command: Any) -> None:
    text = ",".join(OPERATIONS) + "\n" + ",".join(NAME) + "\n"

    piped = await command("translate", "-", *TO_DPS, stdin=text.encode())
    (command.folder / "in.csv.gz").write_bytes(gzip.compress(text.encode()))
    packed = await command("translate", "in.csv.gz", *TO_DPS)

    assert piped.code == packed.code == 0
    assert piped.out == packed.out
    assert "/name,Autumn" in piped.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name FILE, and two styles"),
        (("in.csv", "--from", "dps", "--to", "dps"), "name FILE, and two styles"),
        (("in.csv", "--from", "xcore", "--to", "dps", "--id-map", "bad.csv"), "bad.csv:2: type: 'tgs' is not a type"),
        (("nothing.csv", "--from", "xcore", "--to", "dps"), "there is no file nothing.csv"),
        (("in.csv", "--from", "dps", "--to", "xcore", "--out", "x"), "is an xcore pointer"),
        (("in.csv", "--from", "xcore", "--to", "dps", "--out", "no/where.csv"), "cannot be written"),
        (("in.csv", "--from", "xcore", "--to", "dps", "--out", "x", "--report", "./x"), "name one file"),
    ],
)
async def test_what_cannot_be_used_is_explained_and_nothing_is_written(
    command: Any, arguments: tuple[str, ...], said: str
) -> None:
    command.write("in.csv", ("container", "type", "id", "/_instance/xdm:name"), [(*NAME[:3], "A")])
    command.write("bad.csv", ("type", "xcore", "dps"), [("tgs", "a", "b")])
    before = set(command.folder.iterdir())

    ended = await command("translate", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert set(command.folder.iterdir()) == before


async def test_a_write_that_fails_leaves_what_was_there(command: Any) -> None:
    """The disk is full once a file has more than so many bytes: as good as a full one."""
    command.write("in.csv", OPERATIONS, [NAME] * 40_000)
    (command.folder / "out.csv").write_text("as before")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    ended = await command.end(await command.start("translate", "in.csv", *TO_DPS, "--out", "out.csv", before=limit))

    assert ended.code == 2
    assert "out.csv cannot be written: File too large" in ended.err
    assert (command.folder / "out.csv").read_text() == "as before"
    assert not (command.folder / "out.csv.new").exists()


async def test_a_reader_that_has_seen_enough_ends_it_quietly(command: Any) -> None:
    command.write("in.csv", OPERATIONS, [NAME] * 40_000)
    process = await command.start("translate", "in.csv", *TO_DPS)
    assert process.stdout is not None

    await process.stdout.readline()
    process.stdout._transport.close()

    ended = await command.end(process)
    assert "Traceback" not in ended.err
    assert ended.code == 0


async def test_a_full_disk_behind_stdout_is_explained(command: Any) -> None:
    command.write("in.csv", OPERATIONS, [NAME])

    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    ended = await command.end(await command.start("translate", "in.csv", *TO_DPS, before=full))

    assert ended.code == 2
    assert "stdout cannot be written: No space left on device" in ended.err


async def test_the_map_is_a_page(migrator: Any) -> None:
    one, all_ = await migrator("translate", "--show-map", "--type", "tag"), await migrator("translate", "--show-map")

    assert one.code == all_.code == 0
    assert "| `/_instance/xdm:name` | `/name` | = |" in one.out
    assert re.findall("^## (.*)$", one.out, re.MULTILINE) == ["tag", "Classes of loss"]
    assert len(re.findall("^## ", all_.out, re.MULTILINE)) == 8


# What was translated is what the other door of the service takes


def strict() -> EmulatorSettings:
    """An emulator that refuses every member that the documents do not know, and references that lead nowhere."""
    return EmulatorSettings(seed_offers=3, choices=Choices(unknown_members="reject"))


def creates(server: Emulator, style: str) -> str:
    """All that the emulator has in a style, to be created again under another name."""
    lines = []
    name = "xdm:name" if style == "xcore" else "name"
    for record in sorted(server.store, key=lambda one: one.created_us):
        if record.style == style:
            document = json.loads(record.document)
            line = {"type": TYPES[record.word], "create": {**document, name: f"{record.name}, once more"}}
            lines.append({"container": record.scope, **line} if style == "xcore" else line)
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(("source", "target"), [("xcore", "dps"), ("dps", "xcore")])
async def test_the_service_takes_every_object_of_the_other_style(command: Any, source: str, target: str) -> None:
    async with Emulator(strict()) as server:
        command.point_at(server.url)
        (command.folder / "in.jsonl").write_text(creates(server, source))
        rows = len((command.folder / "in.jsonl").read_text().splitlines())

        way = (*(TO_DPS if target == "dps" else TO_XCORE), "--container", seeded_container(0))
        translated = await command("translate", "in.jsonl", *way, "--out", "out.jsonl")
        applied = await command("apply", "out.jsonl", "--style", target, "--yes")

        assert translated.code == 0, translated.err
        assert applied.code == 0, applied.err + applied.out
        made = [one for one in server.store if one.style == target and one.name.endswith(", once more")]
        assert len(made) == rows == 14
        assert {TYPES[one.word] for one in made} == set(TYPES.values())


async def test_there_and_back_through_files_is_the_same_file(command: Any) -> None:
    async with Emulator(strict()) as server:
        (command.folder / "in.jsonl").write_text(creates(server, "xcore"))

    there = await command("translate", "in.jsonl", *TO_DPS, "--out", "dps.jsonl")
    back = await command("translate", "dps.jsonl", *TO_XCORE, "--container", seeded_container(0), "--out", "back.jsonl")

    assert there.code == back.code == 0
    before, after = (
        [json.loads(line) for line in (command.folder / name).read_text().splitlines()]
        for name in ("in.jsonl", "back.jsonl")
    )
    assert after == before


async def test_the_sample_job_is_replayed_on_dps(command: Any) -> None:
    """The job file of `jobs/`: changes that were written for xcore, made in dps."""
    job = JOBS / "xcore-replay.toml"
    assert read_job(job)["input"] == "xcore-replay.csv"
    async with Emulator(strict()) as server:
        command.point_at(server.url)
        way = ("--from", "xcore", "--to", "dps", "--id-map", str(JOBS / "xcore-replay-ids.csv"))
        translated = await command("translate", str(job), *way, "--out", "replay.csv")
        applied = await command("apply", "replay.csv", "--style", "dps", "--yes")

        assert translated.code == 0, translated.err
        assert applied.code == 0, applied.err
        changed = {one.key for one in server.store if one.style == "dps" and one.etag > 1}
        rows = list(csv.DictReader(io.StringIO((command.folder / "replay.csv").read_text())))
        assert changed == {row["id"] for row in rows}
