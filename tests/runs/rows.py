"""Rows of either style for the emulator's seeded offers, as JSONL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from migrator.emulator import Emulator, Record, seeded_container, seeded_instance_id, seeded_offer_id
from tests.conftest import CommandLine
from tests.soak.job import POINTERS, PREFIXES, Style

Row = dict[str, Any]


def offer(style: Style, index: int) -> str:
    """Id of a seeded offer."""
    return (seeded_instance_id if style == "xcore" else seeded_offer_id)(index)


def scope(style: Style, container: int = 0) -> str:
    """Container or sandbox of the seeds."""
    return seeded_container(container) if style == "xcore" else "dev"


def pointer(style: Style, member: str) -> str:
    """Pointer to a member of an offer."""
    return f"{POINTERS[style]}/{PREFIXES[style]}{member}"


def at(style: Style, index: int, containers: int = 1) -> Row:
    """Name a seeded offer."""
    place = {"container": scope(style, index % containers)} if style == "xcore" else {}
    return {**place, "type": "personalized-offer", "id": offer(style, index)}


def put(style: Style, index: int, member: str, value: Any, containers: int = 1) -> Row:
    """Set a member."""
    edit = {"op": "add", "path": pointer(style, member), "value": value}
    return at(style, index, containers) | {"patch": [edit]}


def rename(style: Style, index: int, name: str | None = None, containers: int = 1) -> Row:
    """Give an offer another name."""
    return put(style, index, "name", name or f"Renamed {index}", containers)


def delete(style: Style, index: int) -> Row:
    """Delete an offer."""
    return at(style, index) | {"delete": True}


def create(style: Style, name: str) -> Row:
    """Create a fallback offer."""
    place = {"container": scope(style)} if style == "xcore" else {}
    document = {f"{PREFIXES[style]}name": name, f"{PREFIXES[style]}status": "draft"}
    return {**place, "type": "fallback-offer", "key": name, "create": document}


def write(migrator: CommandLine, rows: Iterable[Row], name: str = "c.jsonl") -> Path:
    """Write rows into the command's folder."""
    path = migrator.folder / name
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def found(server: Emulator, style: Style, index: int) -> Record | None:
    """A seeded offer as it is now."""
    identity = offer(style, index)
    return next((one for one in server.store if (one.style, one.key) == (style, identity)), None)


def names(server: Emulator, style: Style, count: int) -> list[str]:
    """Names of the seeded offers as they are now; "" for one that is gone."""
    records = [found(server, style, index) for index in range(count)]
    return [record.name if record else "" for record in records]


def ours(server: Emulator) -> list[str]:
    """The objects that were written to by the program, in order."""
    return [effect.id for effect in server.effects if effect.api_key == "test-client"]


def touch(server: Emulator, style: Style, index: int, member: str, value: Any, containers: int = 1) -> None:
    """Set a member as somebody else."""
    patch = [{"op": "add", "path": pointer(style, member), "value": value}]
    server.edit(style, scope(style, index % containers), offer(style, index), patch)


def lines(out: str) -> list[dict[str, Any]]:
    """Read what `--output json` writes."""
    return [msgspec.json.decode(line) for line in out.splitlines()]
