"""`migrator export` against the emulator: all objects, once each, or nothing at all."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import signal
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from migrator.emulator import Choices, Emulator, EmulatorSettings, seeded_container, seeded_offer_id, seeded_placement

TRAPS = Choices.from_texts({"C-10": "cap:7"})
OFFERS = 60


@asynccontextmanager
async def served(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve whatever `answer` says; yield the URL."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def put_snapshot(url: str, body: bytes) -> int:
    request = urllib.request.Request(f"{url}/_emulator/snapshot", body, method="PUT")
    return await asyncio.to_thread(lambda: int(urllib.request.urlopen(request, timeout=60).status))


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in text.splitlines()]


def documents(server: Emulator, style: str, word: str = "personalized-offer") -> dict[str, Any]:
    return {one.key: json.loads(one.document) for one in server.store if (one.style, one.word) == (style, word)}


@pytest.mark.parametrize(
    "faults",
    [(), ("walk-edit:GET:every=2:count=20",), ("429:GET:p=0.2:retry-after=0",)],
    ids=["calm", "moving", "busy"],
)
@pytest.mark.parametrize("style", ["dps", "xcore"])
async def test_every_object_is_exported_once_however_its_list_pages(
    migrator: Any, style: str, faults: tuple[str, ...]
) -> None:
    settings = EmulatorSettings(seed_offers=OFFERS, choices=TRAPS, faults=faults, fault_seed=3)
    async with Emulator(settings) as server:
        migrator.point_at(server.url)
        where = ("--container", seeded_container(0)) if style == "xcore" else ()

        ended = await migrator("export", "--style", style, *where)

        assert ended.code == 0, ended.err
        found = lines(ended.out)
        assert sorted(one["id"] for one in found) == sorted(documents(server, style))


async def test_an_export_is_a_snapshot_for_an_emulator(migrator: Any) -> None:
    containers = [seeded_container(0), seeded_container(1)]
    chosen = [f"--container={one}" for one in containers]
    types = ["personalized-offer", "fallback-offer", "placement", "decision-rule", "tag", "collection", "decision"]
    every = [f"--type={one}" for one in types]
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, containers=2)) as server:
        migrator.point_at(server.url)
        dps = await migrator("export", *every)
        xcore = await migrator("export", "--style", "xcore", *every, *chosen)
        before = {(one.style, one.scope, one.key): one for one in server.store}
    assert (dps.code, xcore.code) == (0, 0), dps.err + xcore.err

    async with Emulator(EmulatorSettings()) as other:
        assert await put_snapshot(other.url, (dps.out + xcore.out).encode()) == 204
        after = {(one.style, one.scope, one.key): one for one in other.store}
        migrator.point_at(other.url)
        again = await migrator("export", "--style", "xcore", *every, *chosen)

    assert again.out == xcore.out
    assert after.keys() == before.keys()
    for address, one in after.items():
        was = before[address]
        assert json.loads(one.document) == json.loads(was.document)
        assert (one.word, one.reference, one.etag) == (was.word, was.reference, was.etag)
        assert (one.created_by, one.modified_by) == (was.created_by, was.modified_by)
        # dps shows milliseconds.
        assert one.created_us // 1000 == was.created_us // 1000


@pytest.mark.parametrize(
    ("style", "where", "count"),
    [
        ("dps", ["rank.priority>=8"], 12),
        ("dps", ["rank.priority>=8", "name~.*seeded offer .8"], 5),
        ("dps", ["name==no, such"], 0),
        ("dps", ["tags"], OFFERS),
        ("xcore", ["xdm:rank.xdm:priority<2", "xdm:status==approved"], 12),
        ("xcore", ["xdm:status!=approved"], 0),
    ],
)
async def test_only_what_meets_the_conditions_is_exported(
    migrator: Any, style: str, where: list[str], count: int
) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS)) as server:
        migrator.point_at(server.url)
        container = ("--container", seeded_container(0)) if style == "xcore" else ()

        ended = await migrator("export", "--style", style, *container, *(f"--where={one}" for one in where))

        assert ended.code == 0, ended.err
        assert len(lines(ended.out)) == count


async def test_the_service_is_asked_for_the_conditions(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, choices=TRAPS)) as server:
        migrator.point_at(server.url)

        await migrator("export", "--where", "rank.priority==8")

        # The container, and the one page of those that meet it.
        _, listed = [one.path for one in server.requests if one.method == "GET"]
        assert listed.endswith("&property=rank.priority%3D%3D8")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("repeat-page:GET:p=1", "goes in circles"),
        ("shift-page:GET:p=1:count=2", "is said to have 60 objects, and gave"),
        ("500-before:GET:p=1", ""),
        ("cut-body:GET:p=1", ""),
    ],
)
async def test_an_export_that_cannot_be_read_to_its_end_leaves_nothing(migrator: Any, fault: str, said: str) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, choices=TRAPS, faults=(fault,))) as server:
        migrator.point_at(server.url)

        to_file = await migrator("export", "--out", "offers.csv", "--max-attempts", "2", "--retry-budget", "1s")
        to_stdout = await migrator("export", "--max-attempts", "2", "--retry-budget", "1s")

        assert to_file.code in (5, 6)
        assert to_stdout.code in (5, 6)
        assert to_stdout.out == ""
        assert said in to_file.err
        assert "Traceback" not in to_file.err
        assert list(migrator.folder.iterdir()) == []


async def test_an_entry_without_an_id_is_not_passed_over(migrator: Any) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path.startswith("/ims"):
            return web.json_response({"access_token": "token-8c1d", "expires_in": 1000})
        return web.json_response({"results": [{"name": "A"}], "total": 1, "count": 1})

    async with served(answer) as url:
        ended = await migrator.point_at(url)("export")

    assert (ended.code, ended.out) == (5, "")
    assert "an entry has no id" in ended.err


async def test_a_service_that_does_not_know_conditions_gives_too_much_and_all_the_rest_is_left_out(
    migrator: Any,
) -> None:
    offers = [{"id": f"o{number}", "name": "A", "status": ("approved", "draft")[number % 2]} for number in range(5)]

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path.startswith("/ims"):
            return web.json_response({"access_token": "token-8c1d", "expires_in": 1000})
        return web.json_response({"results": offers, "total": 5, "count": 5})

    async with served(answer) as url:
        ended = await migrator.point_at(url)("export", "--where", "status==draft")

    assert ended.code == 0, ended.err
    assert [one["id"] for one in lines(ended.out)] == ["o1", "o3"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_export_that_is_interrupted_leaves_nothing(migrator: Any, until: Any, number: int, code: int) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, choices=TRAPS, latency_s=0.1)) as server:
        process = await migrator.point_at(server.url).start("export", "--out", "offers.csv")
        await until(lambda: len(server.requests) >= 4)
        assert len(list(migrator.folder.iterdir())) == 1
        process.send_signal(number)
        ended = await migrator.end(process)

        assert ended.code == code
        assert list(migrator.folder.iterdir()) == []


async def test_a_list_that_lost_entries_once_is_read_again(migrator: Any) -> None:
    faults = ("shift-page:GET:max=2:count=2",)
    async with Emulator(EmulatorSettings(seed_offers=OFFERS, choices=TRAPS, faults=faults)) as server:
        migrator.point_at(server.url)

        ended = await migrator("export")

        assert ended.code == 0
        assert {one["id"] for one in lines(ended.out)} == documents(server, "dps").keys()


def records(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


async def test_a_spreadsheet_has_a_row_for_each_object_and_its_snapshot_beside_it(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=OFFERS)) as server:
        migrator.point_at(server.url)

        ended = await migrator("export", "--out", "offers.csv", "--type", "personalized-offer", "--type", "tag")

        assert ended.code == 0, ended.err
        assert ended.out == "offers.csv: 62 objects, 8 columns to edit; keep offers.csv.snapshot with it\n"
        assert "/representations has no column" in ended.err
        assert sorted(one.name for one in migrator.folder.iterdir()) == ["offers.csv", "offers.csv.snapshot"]
        rows = records(migrator.folder / "offers.csv")
        first = documents(server, "dps")[seeded_offer_id(0)]
        assert (rows[0]["id"], rows[0]["/name"], rows[0]["/rank/priority"]) == (
            seeded_offer_id(0),
            "Seeded offer 0",
            "0",
        )
        assert json.loads(rows[0]["/tags"]) == first["tags"]
        assert {row["type"] for row in rows} == {"personalized-offer", "tag"}
        assert (
            not {"/id", "/etag", "/created", "/modified", "/createdBy", "/lastModifiedBy", "/schemas"} & rows[0].keys()
        )


async def test_texts_can_be_narrowed_by_placement_and_language(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=2)) as server:
        migrator.point_at(server.url)

        named = await migrator("export", "--texts", "--language", "FR", "--placement", "Seeded placement 0")
        by_id = await migrator("export", "--texts", "--language", "fr", "--placement", seeded_placement("dps", 0))
        missing = await migrator("export", "--texts", "--placement", "Seeded placment 0")

        assert named.out == by_id.out
        rows = list(csv.DictReader(io.StringIO(named.out, newline="")))
        assert [(row["name"], row["language"], row["content"] == row["was"]) for row in rows] == [
            ("Seeded offer 0", "fr", True),
            ("Seeded offer 1", "fr", True),
        ]
        assert (missing.code, "did you mean 'Seeded placement 0'?" in missing.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--style", "xcore"], "--container ID"),
        (["--where", "status=approved"], "at character 7: = is no operator"),
        (["--format", "csv"], "--out FILE"),
        (["--out", "there.csv"], "add --overwrite"),
        (["--out", "a.jsonl.gz"], "run gzip on it"),
        (["--out", "no/such/folder.csv"], "nothing can be written to no/such"),
        (["--language", "en"], "add --texts"),
        (["--texts", "--format", "jsonl"], "texts are exported as CSV"),
        (["--texts", "--type", "tag"], "a tag has no texts"),
        (["--texts", "--find", "a"], "--find and --replace belong together"),
        (["--texts", "--find", "a(", "--replace", "b", "--regex"], "cannot be read"),
        (["--texts", "--find", "a*", "--replace", "b", "--regex"], "where there is nothing"),
        (["--delimiter", "ab", "--out", "x.csv"], "cannot be a delimiter"),
    ],
)
async def test_what_cannot_be_meant_is_explained_before_anything_is_read(
    migrator: Any, arguments: list[str], said: str
) -> None:
    (migrator.folder / "there.csv").write_text("edited")
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url)

        ended = await migrator("export", *arguments)

        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert server.requests == []
    assert (migrator.folder / "there.csv").read_text() == "edited"
