"""`migrator emulator` as a process: what it prints, how it ends, and what it refuses."""

from __future__ import annotations

import re
import signal
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from migrator.emulator import Emulator, help_lines, listing


async def url_of(process: Process) -> str:
    """Read where an emulator says that it listens."""
    assert process.stdout is not None
    first = (await process.stdout.readline()).decode()
    found = re.search(r"http://\S+:\d+", first)
    assert found is not None, first
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_with_its_faults_until_a_signal_and_ends_with_0(migrator: Any, number: signal.Signals) -> None:
    rules = ["--fault", "late:POST:seconds=60", "--fault", "429:GET:n=1:retry-after=3", "--fault-seed", "4"]
    process = await migrator.start("emulator", "--port", "0", *rules)
    url = await url_of(process)
    async with ClientSession() as session, session.get(f"{url}/_emulator/faults") as response:
        assert [fault["rule"] for fault in await response.json()] == [
            "429:GET:n=1:retry-after=3",
            "late:POST:seconds=60",
        ]
    process.send_signal(number)
    ended = await migrator.end(process)
    assert (ended.code, ended.err) == (0, "")
    assert f"export MIGRATOR_BASE_URL={url}\nexport MIGRATOR_IMS_URL={url}\n" in ended.out
    assert "# misbehaves: late:POST:seconds=60\n" in ended.out


async def test_flags_win_over_a_file(migrator: Any) -> None:
    (migrator.folder / "c.toml").write_text(
        'seed_offers = 3\nport = 1\nsandboxes = ["a"]\nfaults = ["slow"]\n', "utf-8"
    )
    process = await migrator.start("emulator", "--config", "c.toml", "--port", "0", "--fault", "html:GET")
    url = await url_of(process)
    async with ClientSession() as session, session.get(f"{url}/_emulator/state") as response:
        assert (await response.json())["objects"]["dps"]["personalized-offer"] == 3
    process.send_signal(signal.SIGTERM)
    ended = await migrator.end(process)
    assert "export MIGRATOR_SANDBOX=a\n" in ended.out
    assert ended.out.endswith("# misbehaves: html:GET\n")


async def test_flags_win_over_a_file_choice_by_choice(migrator: Any) -> None:
    file = 'seed_offers = 1\n[choices]\nC-13 = "default-personalized"\ncreate-status = 200\n'
    (migrator.folder / "c.toml").write_text(file, "utf-8")
    arguments = ("--config", "c.toml", "--choice", "C-06=201", "--choice", "page_size=cap:1")
    process = await migrator.start("emulator", "--port", "0", *arguments)
    url = await url_of(process)
    form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"}
    async with ClientSession(url) as session:
        async with session.post("/ims/token/v3", data=form) as response:
            token = (await response.json())["access_token"]
        headers = {
            "Authorization": f"Bearer {token}",
            "x-api-key": "c",
            "x-gw-ims-org-id": "o",
            "x-sandbox-name": "dev",
        }
        async with session.get("/data/core/dps/offers?offer-type=", headers=headers) as response:
            assert response.status == 200  # the file's
        async with session.post("/data/core/dps/tags", json={"name": "T"}, headers=headers) as response:
            assert response.status == 201  # the flag's
        async with session.get("/data/core/dps/tags", headers=headers) as response:
            assert (await response.json())["count"] == 1
    process.send_signal(signal.SIGTERM)
    assert (await migrator.end(process)).code == 0


async def test_a_taken_port_is_told_and_ends_with_2(migrator: Any) -> None:
    async with Emulator() as server:
        ended = await migrator("emulator", "--port", str(server.port))
        expected = f"error: port {server.port} is taken\n  choose another with --port, or --port 0 for a free one\n"
    assert (ended.code, ended.out, ended.err) == (2, "", expected)


async def test_listening_to_everybody_is_warned_of(migrator: Any) -> None:
    process = await migrator.start("emulator", "--port", "0", "--host", "0.0.0.0")
    await url_of(process)
    assert process.stderr is not None
    warning = (await process.stderr.readline()).decode()
    assert warning == "warning: listening on 0.0.0.0: anybody who reaches this machine can use it\n"
    process.send_signal(signal.SIGTERM)
    assert (await migrator.end(process)).code == 0


async def test_a_wrong_choice_in_a_file_leads_to_the_list_of_choices(migrator: Any) -> None:
    (migrator.folder / "c.toml").write_text('[choices]\nC-16 = "499"\n', "utf-8")
    ended = await migrator("emulator", "--config", "c.toml")
    assert (ended.code, "--list-choices" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--fault", "drop-aftr"], "(did you mean drop-after?)"),
        (["--config", "missing.toml"], "missing.toml cannot be read: No such file or directory"),
        (["--config", str(Path(__file__).parents[2] / "config" / "emulator.toml")], "is a profile of the client"),
    ],
)
async def test_what_cannot_be_meant_ends_with_2(migrator: Any, arguments: list[str], complaint: str) -> None:
    ended = await migrator("emulator", *arguments)
    assert ended.code == 2
    assert complaint in ended.err
    assert "Traceback" not in ended.err


async def test_the_help_keeps_its_examples_on_lines_of_their_own(migrator: Any) -> None:
    ended = await migrator("emulator", "--help")
    lines = ended.out.split("\n\n")[3].partition("Exit codes:")[0].strip().splitlines()
    examples = [line.strip().removeprefix("Examples:").strip() for line in lines]
    assert (ended.code, len(examples)) == (0, 4)
    assert all(example.startswith("migrator emulator --") for example in examples)
    assert max(map(len, ended.out.splitlines())) <= 80


async def test_the_faults_are_listed(migrator: Any) -> None:
    ended = await migrator("emulator", "--list-faults")
    assert (ended.code, ended.out) == (0, listing() + "\n")


async def test_the_choices_are_listed(migrator: Any) -> None:
    ended = await migrator("emulator", "--list-choices")
    assert (ended.code, ended.out.splitlines()) == (0, list(help_lines()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("C-16=418", ["C-16 (failed_test) cannot be '418'", "409 or 412"]),
        ("faild_test=409", ["the nearest is C-16 (failed_test)"]),
        ("C-16", ["C-16 (failed_test) cannot be ''"]),
    ],
)
async def test_a_choice_that_cannot_be_made_is_explained(migrator: Any, text: str, words: list[str]) -> None:
    ended = await migrator("emulator", "--choice", text)
    assert ended.code == 2
    for word in ("--choice", *words):
        assert word in ended.err
