"""What is sent: an input file of patches, and the settings of the run that sends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from pydantic import SecretStr

from migrator.settings import Settings
from tests.bench.library import CONTENT, NAME, container_id, object_id


class Workload(Struct, frozen=True):
    """One way to send.

    Attributes:
        style: endpoint style.
        rows: patches, each for another object; the body of one is about 400 octets.
        containers: how many containers they are spread over, in turns; dps has one, its sandbox.
        concurrency: requests in flight.
        rate: requests a second; 0 for no limit.
    """

    style: str
    rows: int
    containers: int
    concurrency: int
    rate: float = 0.0


def write_input(load: Workload, path: Path) -> None:
    """Write the JSONL input of `load` to `path`."""
    with path.open("wb") as file:
        for row in _rows(load):
            file.write(msgspec.json.encode(row) + b"\n")


def _rows(load: Workload) -> Iterator[dict[str, object]]:
    for number in range(load.rows):
        container = {"container": container_id(number % load.containers)} if load.style == "xcore" else {}
        yield container | rename(load.style, number)


def rename(style: str, number: int) -> dict[str, object]:
    """Return the change of an object's name and content."""
    root, prefix = ("/_instance", "xdm:") if style == "xcore" else ("", "")
    content = f"{root}/{prefix}representations/0/{prefix}components/0/{prefix}content"
    return {
        "type": "personalized-offer",
        "id": object_id(number),
        "patch": [
            {"op": "replace", "path": f"{root}/{prefix}name", "value": f"{NAME}, offer {number}"},
            {"op": "replace", "path": content, "value": f"{number} {CONTENT}"},
        ],
    }


def settings_for(load: Workload, base_url: str, runs: Path, *, guard: bool) -> Settings:
    """Return the settings that send `load` to `base_url` and keep the run under `runs`."""
    return Settings(
        style="xcore" if load.style == "xcore" else "dps",
        base_url=base_url,
        org_id="bench@AdobeOrg",
        sandbox="bench",
        client_id="bench",
        access_token=SecretStr("t" * 1200),  # as long as a real one
        ledger=runs,
        rate=load.rate,
        concurrency=load.concurrency,
        guard=guard,
    )
