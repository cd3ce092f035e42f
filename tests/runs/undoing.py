"""What the tests of rollback share: changes of many shapes in either style, and what the emulator holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from migrator.emulator import (
    Emulator,
    seeded_container,
    seeded_instance_id,
    seeded_offer_id,
    seeded_placement,
    seeded_tag,
)

Style = Literal["dps", "xcore"]
Documents = dict[str, Any]

STYLES = pytest.mark.parametrize("style", ["xcore", "dps"])
SCOPES = {"dps": "dev", "xcore": seeded_container(0)}
"""Where the seeds are: sandbox or container."""


def offer_id(style: Style, number: int) -> str:
    """Id of a seeded offer, as a row names it."""
    return (seeded_instance_id if style == "xcore" else seeded_offer_id)(number)


def pointer(style: Style, path: str) -> str:
    """Spell a pointer of dps in a style."""
    if style == "dps":
        return path
    return "/_instance" + "".join(
        f"/{part}" if part in "0123456789-" else f"/xdm:{part}" for part in path.split("/")[1:]
    )


def operation(style: Style, op: str, path: str, *value: Any) -> dict[str, Any]:
    """Spell an operation, its pointer given in the words of dps."""
    return {"op": op, "path": pointer(style, path), **({"value": value[0]} if value else {})}


def patches(style: Style) -> list[list[dict[str, Any]]]:
    """Patches of many shapes, each for an offer of its own."""
    content = "/representations/{}/components/{}/content"
    return [
        [operation(style, "replace", "/name", "Renamed")],
        [operation(style, "add", "/tags/-", seeded_tag(style, 1))],
        [operation(style, "remove", "/tags")],
        [
            operation(style, "add", "/characteristics", {}),
            operation(style, "add", "/characteristics/0", "spring"),
            operation(style, "replace", "/status", "draft"),
        ],
        [
            operation(style, "replace", content.format(0, 1), "<b>Nouveau</b>"),
            operation(style, "replace", content.format(1, 0), "New"),
        ],
        [
            operation(style, "replace", "/rank/priority", 7),
            operation(style, "add", "/tags/0", seeded_tag(style, 1)),
            operation(style, "remove", "/representations/1"),
        ],
    ]


def changes(style: Style) -> list[dict[str, Any]]:
    """The rows for these patches, and for a text."""
    text = {"placement": seeded_placement(style), "language": "en", "content": "<b>Other</b>"}
    actions: list[dict[str, Any]] = [*({"patch": patch} for patch in patches(style)), {"text": text}]
    return [row(style, action, id=offer_id(style, number)) for number, action in enumerate(actions)]


def row(style: Style, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One row of an input."""
    container = {"container": SCOPES["xcore"]} if style == "xcore" else {}
    return {**container, **more, **action}


def write(folder: Path, rows: Iterable[dict[str, Any]], name: str = "c.jsonl") -> None:
    """Write an input."""
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")


def documents(server: Emulator, style: Style) -> Documents:
    """Everything that the emulator holds in a style, but for what is the service's, by id."""
    return {one.key: msgspec.json.decode(one.document) for one in server.store if one.style == style}


def etags(server: Emulator, style: Style) -> dict[str, int]:
    """The versions of all objects in a style."""
    return {one.key: one.etag for one in server.store if one.style == style}


async def applied(migrator: Any, server: Emulator, style: Style, rows: list[dict[str, Any]], *flags: str) -> Documents:
    """Apply rows as the run `spring`, and return what the emulator held before."""
    migrator.point_at(server.url).environment["MIGRATOR_STYLE"] = style
    before = documents(server, style)
    write(migrator.folder, rows)
    ended = await migrator("apply", "c.jsonl", "--yes", "--run-id", "spring", *flags)
    assert ended.code == 0, ended.err
    return before


def results(migrator: Any, run: str, outcome: str) -> list[dict[str, Any]]:
    """The rows of a results file of a run; none if there is no such file."""
    path = migrator.folder / "runs" / run / "results" / f"{outcome}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
