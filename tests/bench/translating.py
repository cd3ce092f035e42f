"""How fast change files are translated: beside a loop that only parses the same lines and writes them again.

Both read the same file of lines with one operation, with the same JSON library, and write a file.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.table import Table

from migrator.core.mapping import DPS, XCORE, Context
from migrator.planning.draft import Input
from migrator.translating import IdMap, Way, translate_file
from tests.bench import machine
from tests.bench.parts import Figure, Part, Place

KINDS = {
    "names": ("xdm:name", "name", '"Autumn loan {0}"'),
    "texts": (
        "xdm:representations/0/xdm:components/0/xdm:content",
        "representations/0/components/0/content",
        '"<p>Offer {0}: from 2.9 % a year, this week only</p>"',
    ),
    "numbers": ("xdm:rank/xdm:priority", "rank/priority", "1{0}"),
    "tags": ("xdm:tags/-", "tags/-", '"{1}:tag:1"'),
}
"""What is set: where in xcore and in dps, and to what, as JSON. The last takes a look into the id map for each line."""

LINES = 200_000
QUICK_LINES = 50_000

CONTAINER = "e0bd8463-0913-4ca1-bd84-6309134ca1f6"


class Translation(Struct, frozen=True, tag="translation"):
    """How fast a file is translated; medians over the rounds.

    Attributes:
        name: what is translated, and into which style.
        lines_per_s: translated.
        cpu_us: microseconds of CPU a line.
        bare_us: the same of the bare loop.
        of_bare: lines a second, of the bare loop in the same round.
    """

    name: str
    lines_per_s: float
    cpu_us: float
    bare_us: float
    of_bare: float


def measure(place: Place) -> Iterator[Translation]:
    """Yield the speed of each kind of line, both ways."""
    lines = place.size(LINES, QUICK_LINES)
    with machine.staying_on(place.client_cpu):
        for to in (DPS, XCORE):
            way = Way(XCORE if to == DPS else DPS, to, _ids(to, lines), Context())
            for kind in KINDS:
                path = _written(place.folder / f"{kind}-to-{to}.jsonl", kind, way.from_, lines)
                yield _measured(f"{kind} → {to}", path, way, lines, place.rounds)


def _measured(name: str, path: Path, way: Way, lines: int, rounds: int) -> Translation:
    click.echo(f"translating {name}", err=True)
    out = path.with_suffix(".out")
    pairs = [
        (_timed(lambda: _bare(path, out)), _timed(lambda: _translated(path, out, way, lines))) for _ in range(rounds)
    ]
    bare, whole = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    return Translation(name, lines / whole, whole / lines * 1e6, bare / lines * 1e6, ratio)


def _timed(work: Callable[[], object]) -> float:
    began_at = time.process_time()
    work()
    return time.process_time() - began_at


def _bare(path: Path, out: Path) -> None:
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    with path.open(encoding="utf-8") as lines, out.open("wb", buffering=1 << 20) as stream:
        for line in lines:
            stream.write(encode(decode(line)) + b"\n")


def _translated(path: Path, out: Path, way: Way, lines: int) -> None:
    with out.open("wb", buffering=1 << 20) as stream:
        tally = translate_file(Input(path, path.name), way, stream, lambda _, __: None)
    assert tally.translated == lines


def _ids(to: str, lines: int) -> IdMap:
    ids = IdMap(to)
    ids.add("tag", "xcore:tag:1", "dps:tag:1")
    for number in range(lines):
        ids.add("personalized-offer", f"xcore:{_offer(number)}", f"dps:{_offer(number)}", _instance(number), CONTAINER)
    return ids


def _offer(number: int) -> str:
    return f"personalized-offer:{number:016x}"


def _instance(number: int) -> str:
    return f"{number:08x}-13df-11eb-bc55-c11be7252432"


def _written(path: Path, kind: str, style: str, lines: int) -> Path:
    """Write so many lines, spelled as most tools spell JSON: with a blank behind each colon and comma."""
    xcore, dps, value = KINDS[kind]
    container = f'"container": "{CONTAINER}", ' if style == XCORE else ""
    pointer = f"/_instance/{xcore}" if style == XCORE else f"/{dps}"
    with path.open("w", encoding="utf-8") as stream:
        for number in range(lines):
            id_ = _instance(number) if style == XCORE else f"dps:{_offer(number)}"
            operation = f'{{"op": "add", "path": "{pointer}", "value": {value.format(number, style)}}}'
            stream.write(f'{{{container}"type": "personalized-offer", "id": "{id_}", "patch": [{operation}]}}\n')
    return path


def figures(found: Sequence[Translation]) -> Iterator[Figure]:
    """Yield how fast files are translated."""
    for one in found:
        measured = f"{one.of_bare:.2f} × ({one.lines_per_s:,.0f} lines/s)"
        yield Figure(f"translate, {one.name}", "the lines only parsed and written", "", measured)


def details(found: Sequence[Translation]) -> Table:
    """Lay out what was `found` for a person."""
    shown = Table("lines", title="translating change files, one core")
    for header in ("lines/s", "CPU µs/line", "bare µs/line", "of bare"):
        shown.add_column(header, justify="right")
    for one in found:
        shown.add_row(
            one.name, f"{one.lines_per_s:,.0f}", f"{one.cpu_us:.2f}", f"{one.bare_us:.2f}", f"{one.of_bare:.2f}"
        )
    return shown


PART = Part(measure, figures, details)
