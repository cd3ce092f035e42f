"""How long it takes until the first write leaves: of a large input, all of which is checked and planned before, and of
a run that is resumed when one of its rows is left.

Both are the command as people type it, from the start of the process. The first is set beside a loop that does nothing
but read the same file into the same dicts with the fastest reader that there is.
"""

from __future__ import annotations

import csv
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from tests.bench import machine
from tests.bench.parts import Figure, Part, Place
from tests.bench.sender import make_run
from tests.bench.workload import Workload, settings_for, write_input

ROWS = 1_000_000
QUICK_ROWS = 50_000
FEW = 1_000
"""Rows of the run that a large one is set beside."""

LEFT = 10
"""Rows that a resumed run may send before it is stopped."""

MOST_RATIO = 4.0
"""Time to the first request, of the time to read the file."""

MOST_S = 1.5
"""Time to the first request of a resumed run."""

MOST_GROWTH_S = 0.2
"""What counts as no growth: no more than the start of a process differs from one time to the next."""


def _environment(style: str) -> Mapping[str, str]:
    return {
        "MIGRATOR_STYLE": style,
        "MIGRATOR_ORG_ID": "bench@AdobeOrg",
        "MIGRATOR_SANDBOX": "bench",
        "MIGRATOR_CLIENT_ID": "bench",
        "MIGRATOR_ACCESS_TOKEN": "t" * 1200,
        "MIGRATOR_RATE": "20",
        "MIGRATOR_GUARD": "false",
    }


# A large input


class Start(Struct, frozen=True, tag="start"):
    """Medians over the rounds, in seconds.

    Attributes:
        name: of the input.
        first_s: until the first write.
        read_s: until the file is read.
        ratio: of the two, in the same round.
    """

    name: str
    first_s: float
    read_s: float
    ratio: float


def measure_start(place: Place) -> Iterator[Start]:
    """Yield how long it takes until the first write of a CSV and of a JSONL file."""
    rows = place.size(ROWS, QUICK_ROWS)
    csv_file, jsonl_file = place.folder / "start.csv", place.folder / "start.jsonl"
    _write_csv(rows, csv_file)
    write_input(Workload("dps", rows, 1, 1), jsonl_file)
    for path, read in ((csv_file, _read_csv), (jsonl_file, _read_jsonl)):
        pairs = [_start(place, path, read) for _ in range(place.rounds)]
        first_s, read_s = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(first / bare for first, bare in pairs)
        yield Start(f"{rows:,} rows of {path.suffix[1:].upper()}", first_s, read_s, ratio)
        path.unlink()


def _start(place: Place, path: Path, read: Callable[[Path], None]) -> tuple[float, float]:
    click.echo(f"starting: {path.name}", err=True)
    with machine.staying_on(place.client_cpu):
        began_at = time.monotonic()
        read(path)
        read_s = time.monotonic() - began_at
    runs = place.folder / f"runs-{time.monotonic_ns()}"
    environment = {**_environment("dps"), "MIGRATOR_LEDGER": str(runs)}
    return place.bench.until_first_write(["apply", str(path), "--yes"], environment), read_s


def _write_csv(rows: int, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("type,id,/name,/description,campaign\n")
        for number in range(rows):
            id_ = f"dps:personalized-offer:{number:016x}"
            text = f'"Loan, 2.9 % – autumn {number}",Replaces the summer text of offer {number}'
            file.write(f"personalized-offer,{id_},{text},A-{number:07}\n")


def _read_csv(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        for row in reader:
            dict(zip(header, row, strict=True))


def _read_jsonl(path: Path) -> None:
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        for line in file:
            decode(line)


def start_figures(found: Sequence[Start]) -> Iterator[Figure]:
    """Yield how the time to the first request compares."""
    for one in found:
        yield Figure(
            f"time to first write, {one.name}, all of it checked before",
            "only reading the file into dicts",
            f"≤ {MOST_RATIO:.0f} ×",
            f"{one.ratio:.1f} × ({one.first_s:.1f} s)",
            one.ratio <= MOST_RATIO,
        )


START = Part(measure_start, start_figures)


# A run that is nearly done


class Resumed(Struct, frozen=True, tag="resumed"):
    """A run of which hardly a row is left; medians over the rounds, in seconds.

    Attributes:
        rows: of the run.
        first_s: until the first write of `resume`.
        status_s: that `status` takes.
    """

    rows: int
    first_s: float
    status_s: float


def measure_resume(place: Place) -> Iterator[Resumed]:
    """Yield how long it takes to go on with a small and with a large run, in turns."""
    sizes = (FEW, place.size(ROWS, QUICK_ROWS))
    ledgers = {rows: _nearly_done(place, rows, LEFT * place.rounds) for rows in sizes}
    found: dict[int, list[tuple[float, float]]] = {rows: [] for rows in sizes}
    for number in range(place.rounds):
        click.echo(f"round {number + 1}: resuming", err=True)
        for rows, ledger in ledgers.items():
            found[rows].append(_resume(place, ledger))
    for rows, times in found.items():
        first_s, status_s = (statistics.median(column) for column in zip(*times, strict=True))
        yield Resumed(rows, first_s, status_s)


def _nearly_done(place: Place, rows: int, left: int) -> Path:
    """Make a run of which so many rows in the middle are left, some for each time it is resumed; return its ledger."""
    click.echo(f"resuming: a run of {rows:,} rows", err=True)
    load, path = Workload("dps", rows, 1, 64), place.folder / "resume.jsonl"
    write_input(load, path)
    run = make_run(path, settings_for(load, place.bench.url, place.folder / f"resume-{rows}", guard=False))
    path.unlink()
    with closing(sqlite3.connect(run.ledger)) as db, db:
        db.execute(
            f"""INSERT INTO progress (step, state, attempt, request_id, sent_at, first_sent_at)
                SELECT seq, 'INTENT', 1, printf('00000000-0000-4000-8000-%012d', seq), 1.8e9, 1.8e9
                FROM step WHERE seq NOT BETWEEN {rows // 2} AND {rows // 2 + left - 1}"""
        )
        db.execute(
            "UPDATE progress SET state = 'APPLIED', ended_at = 1.8e9, http_status = 200, etag = 2, how = 'answer'"
        )
    return run.ledger


def _resume(place: Place, ledger: Path) -> tuple[float, float]:
    """Look at a run, and resume it until its first write; at twenty a second, there are not many more."""
    runs = ledger.parents[1]
    environment = {**_environment("dps"), "MIGRATOR_LEDGER": str(runs)}
    began_at = time.monotonic()
    with place.bench.command(["status", ledger.parent.name], environment) as process:
        assert process.wait() == 0
    status_s = time.monotonic() - began_at
    return place.bench.until_first_write(["resume", ledger.parent.name], environment), status_s


def resume_figures(found: Sequence[Resumed]) -> Iterator[Figure]:
    """Yield whether it takes long, and whether it takes longer the more is done."""
    few, many = found
    for what, short, long in (
        ("resume, hardly a row left: time to first write", few.first_s, many.first_s),
        ("status of the same", few.status_s, many.status_s),
    ):
        yield Figure(f"{what}, {many.rows:,} rows", "", f"≤ {MOST_S} s", f"{long:.2f} s", long <= MOST_S)
        growth = long - short
        aim = f"no more (≤ +{MOST_GROWTH_S} s)"
        yield Figure(
            f"{what}, {many.rows:,} rows", f"{few.rows:,} rows", aim, f"{growth:+.2f} s", growth <= MOST_GROWTH_S
        )


RESUME = Part(measure_resume, resume_figures)
