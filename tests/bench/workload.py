"""What is sent: an input file of patches, and the settings of the run that sends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct
from pydantic import SecretStr

from migrator.settings import Settings

CONTENT = "Save on everything for the garden until Sunday: free delivery, thirty days to return, and a gift. " * 2


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
    root, prefix = ("/_instance", "xdm:") if load.style == "xcore" else ("", "")
    for number in range(load.rows):
        yield {
            **({"container": _uuid(number % load.containers)} if load.style == "xcore" else {}),
            "type": "personalized-offer",
            "id": _uuid(1_000_000 + number),
            "patch": [
                {"op": "replace", "path": f"{root}/{prefix}name", "value": f"Spring in the garden, offer {number}"},
                {
                    "op": "replace",
                    "path": f"{root}/{prefix}representations/0/{prefix}content",
                    "value": f"{number} {CONTENT}",
                },
            ],
        }


def _uuid(number: int) -> str:
    return str(UUID(int=number, version=1))


def settings_for(load: Workload, base_url: str, runs: Path) -> Settings:
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
    )
