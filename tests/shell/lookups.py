"""What the tests of looking up share: a style with an emulator behind it, and what becomes of an input."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from migrator import api
from migrator.core.edit import edits_of
from migrator.core.model import Json, Kind, Problem
from migrator.emulator import (
    Emulator,
    EmulatorSettings,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
)
from migrator.settings import Settings

StyleName = Literal["xcore", "dps"]

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])


class Planned:
    """What became of an input: problems, or steps by the line of their first row."""

    def __init__(self, problems: list[Problem], steps: dict[int, tuple[str, Kind, list[Any]]]) -> None:
        self.problems = problems
        self.steps = steps

    @property
    def objects(self) -> dict[int, str]:
        return {line: object_ for line, (object_, *_) in self.steps.items()}

    def said(self) -> list[str]:
        return [f"{one.line} {one.column}: {one.message}; {one.hint}" for one in self.problems]


class Door:
    """One style, an emulator behind it, and a folder for inputs and runs."""

    def __init__(self, style: StyleName, server: Emulator, folder: Path, **more: Any) -> None:
        self.style = style
        self.server = server
        self.container = seeded_container(0) if style == "xcore" else "dev"
        self.name = "/_instance/xdm:name" if style == "xcore" else "/name"
        self._folder = folder
        self.settings = Settings(
            style=style,
            base_url=server.url,
            ims_url=server.url,
            org_id="TEST@AdobeOrg",
            sandbox="dev",
            client_id="us",
            access_token=SecretStr("token"),
            ledger=folder / "runs",
            rate=0.0,
            max_attempts=1,
            **more,
        )

    def offer(self, number: int) -> str:
        """Return the id in the URL of an offer."""
        return seeded_instance_id(number) if self.style == "xcore" else seeded_offer_id(number)

    def rename(self, number: int, name: str) -> None:
        """Let somebody else give an offer another name."""
        patch = [{"op": "replace", "path": self.name, "value": name}]
        self.server.edit(self.style, self.container, self.offer(number), patch)

    def reads(self) -> list[str]:
        """Return what was read, but for tokens."""
        return [one.path for one in self.server.requests if one.method == "GET"]

    async def plan(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Planned:
        """Plan a CSV file, in the only container if that has to be named."""
        path = self._folder / "in.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            if self.style == "xcore" and "container" not in header:
                header, rows = ("container", *header), [(self.container, *row) for row in rows]
            writer.writerows([header, *rows])
        return await self._plan(path)

    async def plan_lines(self, *lines: Json) -> Planned:
        """Plan a JSONL file."""
        path = self._folder / "in.jsonl"
        path.write_text("".join(f"{json.dumps({'container': self.container, **line})}\n" for line in lines))
        return await self._plan(path)

    async def _plan(self, path: Path) -> Planned:
        with api.plan(api.Input(path, path.name), self.settings) as (run, draft):
            assert not draft.count_problems(), list(draft.problems())
            await api.look_up(draft, self.settings)
            problems = list(draft.problems())
            if not problems:
                draft.accept(run.id, path.name, {}, 0.0)
        return Planned(problems, {} if problems else steps_in(run.ledger))


def steps_in(ledger: Path) -> dict[int, tuple[str, Kind, list[Any]]]:
    with closing(sqlite3.connect(ledger)) as db:
        rows = db.execute("SELECT seq, object, kind, body FROM step ORDER BY seq").fetchall()
    return {seq: (object_, Kind(kind), list(edits_of(body)) if body else []) for seq, object_, kind, body in rows}


@asynccontextmanager
async def door(style: StyleName, folder: Path, *, seed_offers: int = 3, **more: Any) -> AsyncIterator[Door]:
    async with Emulator(EmulatorSettings(access_token="token", seed_offers=seed_offers)) as server:
        yield Door(style, server, folder, **more)
