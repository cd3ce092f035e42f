"""`migrator emulator --choice`: the open questions from the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession


async def test_a_choice_on_the_command_line_is_heeded(migrator: Any) -> None:
    arguments = ("--seed-offers", "1", "--choice", "C-13=default-personalized", "--choice", "create-status=200")
    running = await migrator.start("emulator", "--port", "0", *arguments)
    try:
        async with asyncio.timeout(30):
            greeting = await running.stdout.readline()
            url = greeting.decode().split("listens on ")[1].split(";")[0]
            async with ClientSession(url) as session:
                form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"}
                async with session.post("/ims/token/v3", data=form) as response:
                    token = (await response.json())["access_token"]
                headers = {"Authorization": f"Bearer {token}", "x-api-key": "c", "x-gw-ims-org-id": "o"}
                async with session.get(
                    "/data/core/dps/offers", headers=headers | {"x-sandbox-name": "dev"}
                ) as response:
                    assert (response.status, (await response.json())["total"]) == (200, 1)
                async with session.post("/data/core/dps/tags", json={"name": "T"}, headers=headers) as response:
                    assert response.status == 200
    finally:
        running.terminate()
        await migrator.end(running)


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
