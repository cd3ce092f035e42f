"""Objects replaced as a whole: what becomes of a PUT whose answer, or whose turn, is lost, in both styles."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any, Literal

import msgspec
import pytest

from migrator.emulator import Emulator, EmulatorSettings, Proceed, Record, Request, Response, seeded_offer_id

Style = Literal["xcore", "dps"]

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])
QUICK = {"MIGRATOR_TIMEOUT": "1", "MIGRATOR_QUIET_PERIOD": "1", "MIGRATOR_BACKOFF_BASE": "0.01"}
CONDITION = {"type": "PQL", "format": "pql/text", "value": "homeAddress.city = 'Bern'"}
WANTED = {
    "xcore": {"xdm:name": "People of Bern", "condition": CONDITION, "xdm:definedOn": {}},
    "dps": {"name": "People of Bern", "condition": CONDITION, "definedOn": {}},
}
"""What the seeded rule is to be: it has another name and condition, and a description, which goes."""

NAMES = {"xcore": "/_instance/xdm:name", "dps": "/name"}


def rule(server: Emulator, style: Style) -> Record:
    """Return the one decision rule that there is."""
    (found,) = (record for record in server.store if (record.style, record.word) == (style, "eligibility-rule"))
    return found


def edit(server: Emulator, style: Style, name: str) -> None:
    """Let somebody else rename the rule."""
    there = rule(server, style)
    server.edit(style, there.scope, there.key, [{"op": "replace", "path": NAMES[style], "value": name}])


class Accident:
    """Loses the answer to the first PUT, which is carried out or not; then somebody else edits the rule.

    Attributes:
        puts: all that were sent, in number.
    """

    def __init__(self, style: Style, *, carried_out: bool, edits: int) -> None:
        self.server: Emulator | None = None
        self.puts = 0
        self._style = style
        self._carried_out = carried_out
        self._edits = edits

    @property
    def middleware(self) -> Any:
        async def lose(request: Request, proceed: Proceed) -> Response:
            server = self.server
            self.puts += request.method == "PUT"
            if request.method != "PUT" or server is None:
                return await proceed(request)
            self.server = None
            response = await proceed(request) if self._carried_out else Response()
            for number in range(self._edits):
                edit(server, self._style, f"Theirs {number}")
            request.hang_up()
            return response

        return lose


@asynccontextmanager
async def emulated(
    migrator: Any, style: Style, accident: Accident | None = None, **how: Any
) -> AsyncIterator[Emulator]:
    """Have an emulator, and a file that replaces its rule."""
    middlewares = [accident.middleware] if accident else []
    async with Emulator(EmulatorSettings(seed_offers=1, **how), middlewares=middlewares) as server:
        if accident:
            accident.server = server
        migrator.point_at(server.url).environment |= QUICK | {"MIGRATOR_STYLE": style}
        write(migrator, server, style, WANTED[style])
        yield server


def write(migrator: Any, server: Emulator, style: Style, document: dict[str, Any]) -> None:
    there = rule(server, style)
    line = {"container": there.scope, "type": "decision-rule", "id": there.key, "replace": document}
    (migrator.folder / "c.jsonl").write_text(json.dumps(line) + "\n")


def puts(server: Emulator) -> int:
    return sum(exchange.method == "PUT" for exchange in server.requests)


def ours(server: Emulator) -> list[str]:
    """Return by which methods we changed something."""
    return [effect.method for effect in server.effects if effect.api_key != "somebody-else"]


def shown(migrator: Any) -> tuple[str, str, str]:
    """Return the state of the one row, by what it was reached, and what is said of it."""
    with closing(sqlite3.connect(migrator.run_folder() / "ledger.sqlite")) as db:
        (found,) = db.execute("SELECT state, how, message FROM outcomes").fetchall()
    state, how, message = found
    return state, how, message


def is_as_wanted(server: Emulator, style: Style) -> bool:
    return bool(msgspec.json.decode(rule(server, style).document) == WANTED[style])


@STYLES
async def test_an_object_becomes_what_is_written_and_nothing_else(migrator: Any, style: Style) -> None:
    async with emulated(migrator, style) as server:
        ended = await migrator("apply", "c.jsonl", "--yes")

        assert ended.code == 0, ended.err
        assert is_as_wanted(server, style)
        assert (ours(server), rule(server, style).etag) == (["PUT"], 2)
        assert shown(migrator) == ("APPLIED", "answer", "")


@STYLES
async def test_an_object_can_be_put_back_as_it_was_read(migrator: Any, style: Style) -> None:
    async with emulated(migrator, style) as server:
        before = rule(server, style).document
        shown_beside: dict[str, dict[str, Any]] = {
            "xcore": {"@id": rule(server, style).reference},
            "dps": {"id": rule(server, style).key, "etag": 1, "created": "then"},
        }
        write(migrator, server, style, {**shown_beside[style], **msgspec.json.decode(before)})
        ended = await migrator("apply", "c.jsonl", "--yes")

        assert ended.code == 0, ended.err
        assert "0 applied · 1 unchanged" in ended.out, "and nothing is sent for it"
        assert (rule(server, style).document, rule(server, style).etag) == (before, 1)


@STYLES
@pytest.mark.parametrize(
    ("carried_out", "edits", "state", "sent"),
    [
        (True, 0, "APPLIED", 1),
        (False, 0, "APPLIED", 2),
        (False, 1, "APPLIED", 2),  # the one write since is theirs: ours comes after it, as it would have anyway
        (False, 2, "UNRESOLVED", 1),
        (True, 1, "UNRESOLVED", 1),
    ],
)
async def test_a_lost_replacement_is_looked_up(
    migrator: Any, style: Style, carried_out: bool, edits: int, state: str, sent: int
) -> None:
    accident = Accident(style, carried_out=carried_out, edits=edits)
    async with emulated(migrator, style, accident) as server:
        ended = await migrator("apply", "c.jsonl", "--yes")

        found, how, message = shown(migrator)
        assert (found, accident.puts) == (state, sent), ended.err
        assert ended.code == (0 if state == "APPLIED" else 4)
        assert len(ours(server)) == (carried_out or state == "APPLIED")
        if state == "APPLIED":
            assert is_as_wanted(server, style)
            assert how == ("look" if carried_out else "answer")
        else:
            assert how == "look"
            assert f'{NAMES[style]} is "Theirs {edits - 1}"' in message
            assert "version 1 before, now 3" in message
            assert ("description" in message) is not carried_out, "what is as it was sent goes without saying"
            assert message.endswith("See whether the change is in it, or was and has been undone")


@STYLES
@pytest.mark.parametrize("decision", ["assume-applied", "resend"])
async def test_what_a_look_cannot_tell_a_person_decides(migrator: Any, style: Style, decision: str) -> None:
    accident = Accident(style, carried_out=False, edits=2)
    async with emulated(migrator, style, accident) as server:
        assert (await migrator("apply", "c.jsonl", "--yes")).code == 4
        await migrator("reconcile", "--on-doubt", decision)
        ended = await migrator("resume")

        assert ended.code == 0, ended.err
        assert ours(server) == ["PUT"] * (decision == "resend")
        assert is_as_wanted(server, style) is (decision == "resend")


@STYLES
@pytest.mark.parametrize("then", ["504", "drop"])
async def test_a_replacement_that_is_carried_out_late_is_there_once(migrator: Any, style: Style, then: str) -> None:
    async with emulated(migrator, style, faults=(f"late:PUT:n=1:seconds=0.5:then={then}",)) as server:
        ended = await migrator("apply", "c.jsonl", "--yes")

        assert ended.code == 0, ended.err
        assert ours(server) == ["PUT"]
        assert is_as_wanted(server, style)
        # In xcore it goes again at once, and one of the two is refused; in dps not while the first may still come.
        assert puts(server) == (2 if style == "xcore" else 1)


async def test_a_stale_etag_refuses_a_replacement_which_is_then_made_anew(migrator: Any) -> None:
    async with emulated(migrator, "xcore", faults=("foreign-edit:PUT:n=1",)) as server:
        ended = await migrator("apply", "c.jsonl", "--yes")

        assert ended.code == 0, ended.err
        assert [exchange.status for exchange in server.requests if exchange.method == "PUT"] == [409, 200]
        assert [effect.etag for effect in server.effects] == [2, 3]
        assert is_as_wanted(server, "xcore")


async def test_without_a_guard_nothing_is_read_and_a_stale_etag_is_not_noticed(migrator: Any) -> None:
    async with emulated(migrator, "xcore", faults=("foreign-edit:PUT:n=1",)) as server:
        ended = await migrator("apply", "c.jsonl", "--yes", "--no-guard")

        assert ended.code == 0, ended.err
        assert puts(server) == 1
        assert not any("/instances/" in exchange.path for exchange in server.requests if exchange.method == "GET")


@STYLES
async def test_a_replacement_that_the_service_refuses_has_failed(migrator: Any, style: Style) -> None:
    async with emulated(migrator, style) as server:
        write(migrator, server, style, {**WANTED[style], "condition": "Bern"})
        ended = await migrator("apply", "c.jsonl", "--yes")

        assert ended.code == 3
        assert shown(migrator)[0] == "REJECTED"
        assert (ours(server), puts(server)) == ([], 1)


async def test_what_dps_cannot_replace_is_told_with_line_and_way_out_before_anything_is_sent(migrator: Any) -> None:
    async with emulated(migrator, "dps") as server:
        lines = [
            {"type": "decision-rule", "id": rule(server, "dps").key, "replace": WANTED["dps"]},
            {"id": seeded_offer_id(0), "replace": {"name": "Offer"}},
            {"type": "decision-rule", "id": rule(server, "dps").key, "delete": True},
        ]
        (migrator.folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        ended = await migrator("apply", "c.jsonl", "--yes")

        assert ended.code == 2
        assert "dps cannot replace a personalized-offer as a whole, only a decision-rule" in ended.out
        assert 'change it by a patch, e.g. [{"op"' in ended.out
        assert "deletes the object that line 1 replaces" in ended.out
        assert server.requests == []
