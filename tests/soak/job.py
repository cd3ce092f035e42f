"""A file of changes of which none may be lost and none may happen twice, and what the emulator says became of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from migrator.emulator import (
    Emulator,
    Record,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_tag,
)

Style = Literal["dps", "xcore"]

POINTERS = {"dps": "", "xcore": "/_instance"}
PREFIXES = {"dps": "", "xcore": "xdm:"}
CONDITION = {"type": "PQL", "format": "pql/text", "value": "homeAddress.city = 'Basel'"}


class Found(Struct):
    """What became of the changes of a job.

    Attributes:
        changes: how many there are.
        lost: those without an effect.
        twice: effects beyond the first.
        wrong: objects that do not look as they should.
    """

    changes: int
    lost: int
    twice: int
    wrong: list[str]

    @property
    def exactly_once(self) -> bool:
        """Whether each change happened once, and left what it should."""
        return not (self.lost or self.twice or self.wrong)


class Job(Struct, frozen=True):
    """So many changes of each kind, every one to an object of its own.

    Appends are what makes a change that happens twice visible for good: the tag is then there twice.

    Attributes:
        style: the endpoint style.
        appends: tags added at the end of the tags of a seeded offer.
        replaces: names of seeded offers.
        deletes: of seeded offers.
        creates: fallback offers with a name of their own.
        puts: decision rules, which `furnish` lays out, replaced as a whole.
        containers: among which they are spread, in xcore.
    """

    style: Style
    appends: int
    replaces: int = 0
    deletes: int = 0
    creates: int = 0
    puts: int = 0
    containers: int = 1

    @property
    def offers(self) -> int:
        """Seeded offers that the emulator needs."""
        return self.appends + self.replaces + self.deletes

    @property
    def changes(self) -> int:
        """Rows of the file."""
        return self.offers + self.creates + self.puts

    def furnish(self, server: Emulator) -> None:
        """Lay out what the emulator does not have by itself."""
        for index in range(self.puts):
            key, name = _rule(index), f"{PREFIXES[self.style]}name"
            server.store.put(
                Record(
                    style=self.style,
                    scope=self._place(index).get("container", "dev"),
                    word="eligibility-rule",
                    key=key,
                    reference=f"{self.style}:eligibility-rule:{index}",
                    name="Rule",
                    document=msgspec.json.encode({name: "Rule", "condition": {}, "gone": index}),
                    created_us=0,
                    modified_us=0,
                    created_by="nobody",
                    modified_by="nobody",
                )
            )

    def write(self, path: Path) -> None:
        """Write the changes as JSONL, the kinds mixed."""
        rows = [
            *map(self._change, range(self.offers)),
            *map(self._create, range(self.creates)),
            *map(self._put, range(self.puts)),
        ]
        stride = next(number for number in (7, 11, 13, 17) if len(rows) % number)
        mixed = (rows[index * stride % len(rows)] for index in range(len(rows)))
        path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in mixed))

    def _change(self, index: int) -> dict[str, Any]:
        root, prefix = POINTERS[self.style], PREFIXES[self.style]
        row = {**self._place(index), "type": "personalized-offer", "id": self._object(index)}
        if index < self.appends:
            add = {"op": "add", "path": f"{root}/{prefix}tags/-", "value": seeded_tag(self.style, 1)}
            return row | {"patch": [add]}
        if index < self.appends + self.replaces:
            return row | {"patch": [{"op": "replace", "path": f"{root}/{prefix}name", "value": _new_name(index)}]}
        return row | {"delete": True}

    def _create(self, index: int) -> dict[str, Any]:
        prefix = PREFIXES[self.style]
        document = {f"{prefix}name": _created_name(index), f"{prefix}status": "draft"}
        return {**self._place(index), "type": "fallback-offer", "key": f"create-{index}", "create": document}

    def _put(self, index: int) -> dict[str, Any]:
        return {**self._place(index), "type": "decision-rule", "id": _rule(index), "replace": self._whole(index)}

    def _whole(self, index: int) -> dict[str, Any]:
        return {f"{PREFIXES[self.style]}name": _new_name(index), "condition": CONDITION}

    def _place(self, index: int) -> dict[str, str]:
        return {"container": seeded_container(index % self.containers)} if self.style == "xcore" else {}

    def _object(self, index: int) -> str:
        return (seeded_instance_id if self.style == "xcore" else seeded_offer_id)(index)

    def look(self, server: Emulator) -> Found:
        """Count what happened in the emulator, and look at what is there now."""
        there = {record.key: record for record in server.store if record.style == self.style}
        created = Counter(record.name for record in there.values() if record.word == "fallback-offer")
        happened = Counter(effect.id for effect in server.effects if effect.method != "POST")
        times = [happened.pop(self._object(index), 0) for index in range(self.offers)]
        times += [created[_created_name(index)] for index in range(self.creates)]
        times += [happened.pop(_rule(index), 0) for index in range(self.puts)]
        wrong = [
            identity
            for index in range(self.offers)
            if not self._is_right(index, there.get(identity := self._object(index)))
        ]
        wrong += [_rule(index) for index in range(self.puts) if not self._is_put(index, there[_rule(index)])]
        return Found(
            changes=self.changes,
            lost=times.count(0),
            twice=sum(number - 1 for number in times if number),
            wrong=[*wrong, *happened],
        )

    def _is_right(self, index: int, record: Record | None) -> bool:
        if index >= self.appends + self.replaces:
            return record is None
        if record is None or record.etag != 2:
            return False
        if index >= self.appends:
            return record.name == _new_name(index)
        tags = msgspec.json.decode(record.document)[f"{PREFIXES[self.style]}tags"]
        return bool(tags == [seeded_tag(self.style), seeded_tag(self.style, 1)])

    def _is_put(self, index: int, record: Record) -> bool:
        return record.etag == 2 and bool(msgspec.json.decode(record.document) == self._whole(index))


def _rule(index: int) -> str:
    return f"rule-{index}"


def _new_name(index: int) -> str:
    return f"Renamed {index}"


def _created_name(index: int) -> str:
    return f"Created {index}"
