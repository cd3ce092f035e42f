"""A run that does one of everything, for the tests of what comes after a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from migrator.emulator import (
    Emulator,
    Record,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_placement,
    seeded_tag,
)

Style = Literal["xcore", "dps"]

RENAMES = 12
"""Enough for a list to be worth it."""

TEXT, APPEND, DATED, SAME, DELETED = range(RENAMES, RENAMES + 5)
"""Numbers of the offers to which something else is done."""

OFFERS = DELETED + 1


@dataclass(frozen=True)
class Words:
    """What one style calls things, and the lines of an input in its words."""

    style: Style

    @property
    def container(self) -> str:
        return seeded_container(0) if self.style == "xcore" else "dev"

    def id(self, number: int) -> str:
        return seeded_instance_id(number) if self.style == "xcore" else seeded_offer_id(number)

    def name(self, member: str) -> str:
        return f"xdm:{member}" if self.style == "xcore" else member

    def pointer(self, *members: str) -> str:
        """Return a pointer to such members; numbers and `-` are not members."""
        root = "/_instance/" if self.style == "xcore" else "/"
        return root + "/".join(one if one.isdecimal() or one == "-" else self.name(one) for one in members)

    def line(self, number: int, **what: Any) -> dict[str, Any]:
        return {"container": self.container, "id": self.id(number), **what}

    def patch(self, number: int, op: str, *members: str, **operand: Any) -> dict[str, Any]:
        return self.line(number, patch=[{"op": op, "path": self.pointer(*members), **operand}])

    def rename(self, number: int) -> dict[str, Any]:
        return self.patch(number, "replace", "name", value=f"Name {number}")

    def append(self, number: int) -> dict[str, Any]:
        return self.patch(number, "add", "tags", "-", value=seeded_tag(self.style, 1))

    def create(self, name: str, **members: Any) -> dict[str, Any]:
        document = {self.name("name"): name, self.name("status"): "draft"}
        more = {self.name(member): value for member, value in members.items()}
        return {"container": self.container, "type": "fallback-offer", "key": name, "create": document | more}

    def mixed(self) -> list[dict[str, Any]]:
        """Return one of everything, all of which succeeds."""
        text = {"placement": seeded_placement(self.style, 0), "language": "en", "content": "A new text"}
        return [
            *map(self.rename, range(RENAMES)),
            self.line(TEXT, text=text),
            self.append(APPEND),
            self.patch(DATED, "replace", "selectionConstraint", "startDate", value="2025-01-01T01:00:00+01:00"),
            self.patch(SAME, "replace", "name", value=f"Seeded offer {SAME}"),
            self.line(DELETED, delete=True),
            self.create("Made by the run"),
        ]

    def find(self, server: Emulator, number: int) -> Record:
        record = server.store.find(self.style, self.container, self.id(number))
        assert record is not None
        return record

    def edit(self, server: Emulator, number: int, op: str, *members: str, **operand: Any) -> None:
        """Change an offer as somebody else would."""
        operation = {"op": op, "path": self.pointer(*members), **operand}
        server.edit(self.style, self.container, self.id(number), [operation])


async def applied(migrator: Any, server: Emulator, words: Words, lines: list[Any], *flags: str, code: int = 0) -> str:
    """Apply such lines, and return the id of the run."""
    run_id = f"run-{len(list(migrator.folder.glob('*.jsonl')))}"
    (migrator.folder / f"{run_id}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    migrator.point_at(server.url).environment["MIGRATOR_STYLE"] = words.style
    ended = await migrator("apply", f"{run_id}.jsonl", "--yes", "--run-id", run_id, *flags)
    assert ended.code == code, ended.out + ended.err
    return run_id
