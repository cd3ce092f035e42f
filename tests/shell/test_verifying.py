"""Reading back a run, with a reader that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from migrator.core.errors import ServiceRefused
from migrator.core.model import Change, EntityType, Kind, Page, Seen
from migrator.core.states import State
from migrator.core.styles import DPS, Query
from migrator.core.verdict import ErrorClass
from migrator.engine import Mismatch, Refused, Unread, Verification, Verified
from migrator.ledger.checklist import Checklist
from migrator.ledger.runledger import RunLedger
from migrator.ports import Outcome
from tests.plans import changes, make_plan
from tests.shell.ledgers import intent
from tests.waiting import soon

Answer = Seen | Refused | None


class Told:
    """A reader that shows no lists, and of each object what it is told."""

    style = DPS

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.asked: list[str] = []
        self.at_a_time = self.most = 0
        self.delays: dict[str, int] = {}
        self._answer = answer

    async def probe(self, container: str) -> None:
        del container

    async def page(self, container: str, type_: EntityType, query: Query) -> Page:
        del container, type_, query
        return Page((), "", 0)

    async def see(self, container: str, type_: EntityType, object_id: str) -> Answer:
        del container, type_
        self.asked.append(object_id)
        self.at_a_time += 1
        self.most = max(self.most, self.at_a_time)
        for _ in range(self.delays.get(object_id, 1)):
            await asyncio.sleep(0)
        self.at_a_time -= 1
        return self._answer(object_id)


def shows(name: str) -> Callable[[str], Answer]:
    return lambda object_id: Seen(object_id, object_id, 2, {"name": name})


async def applied(path: Path, planned: list[Change], objects: str = "") -> Path:
    make_plan(path, planned)
    async with RunLedger(path) as ledger:
        for change in planned:
            await ledger.intend(intent(change.line)).durable()
            ledger.record(Outcome(change.line, State.APPLIED, 1.0, object=objects))
        await ledger.flush()
    return path


async def verified(path: Path, reader: Told, concurrency: int = 4) -> tuple[list[Mismatch | Unread], Verified]:
    with Checklist.opened(path) as checklist:
        verification = Verification(checklist, reader, concurrency=concurrency)  # type: ignore[arg-type]  # what of it is used
        return [finding async for finding in verification.findings()], verification.tally


async def test_findings_come_in_the_order_of_the_input_however_long_each_takes(tmp_path: Path) -> None:
    path = await applied(tmp_path / "ledger.sqlite", changes(["dev"] * 30))
    reader = Told(shows("Theirs"))
    reader.delays = {f"offer-{seq}": 40 - seq for seq in range(2, 32)}

    findings, tally = await soon(verified(path, reader))

    assert [finding.step.seq for finding in findings] == list(range(2, 32))
    assert tally == Verified(differ=30)
    assert reader.most == 4


async def test_an_object_that_is_refused_was_not_read(tmp_path: Path) -> None:
    path = await applied(tmp_path / "ledger.sqlite", changes(["dev"] * 2))
    refused = Refused(ErrorClass.SERVER, "HTTP 500", 500)

    findings, tally = await soon(verified(path, Told(lambda _: refused)))

    assert [finding.refused for finding in findings if isinstance(finding, Unread)] == [refused] * 2
    assert tally == Verified(unread=2)


async def test_what_nobody_may_read_any_more_is_not_taken_for_gone(tmp_path: Path) -> None:
    path = await applied(tmp_path / "ledger.sqlite", changes(["dev"] * 2))
    assert await soon(verified(path, Told(lambda _: None))) == ([], Verified())


async def test_what_was_created_under_an_unknown_id_is_counted_and_not_looked_for(tmp_path: Path) -> None:
    (change,) = changes(["dev"])
    create = replace(change, kind=Kind.CREATE, object="", edits=(), document={"name": "F"})
    path = await applied(tmp_path / "ledger.sqlite", [create])
    reader = Told(shows("F"))

    assert await soon(verified(path, reader)) == ([], Verified(unknown=1))
    assert reader.asked == []


async def test_what_ends_one_read_ends_all(tmp_path: Path) -> None:
    path = await applied(tmp_path / "ledger.sqlite", changes(["dev"] * 30))
    ended: list[Any] = []

    def refuse(object_id: str) -> Answer:
        ended.append(object_id)
        raise ServiceRefused("no")

    with pytest.raises(ServiceRefused):
        await soon(verified(path, Told(refuse)))
    assert len(ended) <= 4
