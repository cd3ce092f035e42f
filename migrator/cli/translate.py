"""`migrator translate`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from migrator.cli.events import encoded
from migrator.cli.jobs import opened_job
from migrator.cli.options import allow_lossy_option, input_options
from migrator.cli.output import counted, tell
from migrator.core.errors import UsageError
from migrator.core.mapping import MEANINGS, Context, Loss, page
from migrator.core.model import EntityType
from migrator.planning.draft import Input
from migrator.sources import BUFFER, whole_file
from migrator.translating import INPUT, Tally, Told, Way, read_id_map, translate_file

REFUSED_EXIT = 3

_STYLES = click.Choice(["xcore", "dps"])
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("file", required=False)
@click.option("--from", "from_", type=_STYLES, help="The style that FILE is in.")
@click.option("--to", type=_STYLES, help="The style that is wanted.")
@click.option(
    "--id-map", metavar="FILE", type=_PATH, help="CSV: type,xcore,dps and, where known, instance_id,container."
)
@click.option("--out", metavar="FILE", type=_PATH, help="Write there [default: stdout].")
@click.option("--report", metavar="FILE", type=_PATH, help="Write what is refused, lost or inferred: JSON lines.")
@click.option("--container", metavar="ID", default="", help="Container of rows to xcore where the id map has none.")
@allow_lossy_option
@click.option(
    "--capping",
    type=click.Choice(["convert", "verbatim"]),
    default="convert",
    show_default=True,
    help="To dps: counters as frequency capping, or as xcore has them.",
)
@click.option("--asset-urls", is_flag=True, help="To dps: use an asset's address where a component has no other.")
@click.option("--other-sandbox", is_flag=True, help="The target is another sandbox: refuse texts that mention ids.")
@click.option("--show-map", is_flag=True, help="Print the mapping as a page of Markdown, and do nothing else.")
@click.option(
    "--type",
    "types",
    type=click.Choice([one.value for one in EntityType]),
    multiple=True,
    help="Only this type's mapping.",
)
@input_options
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Form of stderr [default: text].")
def translate(
    file: str | None,
    from_: str | None,
    to: str | None,
    input_format: str | None,
    delimiter: str | None,
    encoding: str,
    **values: Any,
) -> int:
    """Write the changes of FILE (CSV, JSONL, a job file, or - for stdin) for the other endpoint style. Offline.

    Objects and what they refer to are found in the id map. A row that would lose something that matters is refused and
    told on stderr; all others are written, in the shape of FILE.

    \b
    Examples:    migrator translate changes.csv --from xcore --to dps --id-map ids.csv --out dps.csv
                 migrator translate changes.jsonl --from dps --to xcore --id-map ids.csv --allow-lossy labels
                 migrator translate --show-map --type placement
    Exit codes:  0 all rows translated · 2 usage or input, nothing was written · 3 some rows refused
    """
    if values["show_map"]:
        click.echo(page([EntityType(one) for one in values["types"]] or tuple(EntityType)), nl=False)
        return 0
    if file is None or from_ is None or to is None or from_ == to:
        raise UsageError("name FILE, and two styles", "e.g. migrator translate changes.csv --from xcore --to dps")
    ids = read_id_map(values["id_map"], to)
    way = Way(from_, to, ids, _context(values), values["container"])
    with opened_job(file, {}, input_format, delimiter, encoding) as (source, _):
        return _translate(source, way, values["out"], values["report"], as_json=values["output"] == "json")


def _context(values: dict[str, Any]) -> Context:
    return Context(
        allowed=frozenset(map(Loss, values["allow_lossy"])),
        capping_verbatim=values["capping"] == "verbatim",
        asset_urls=values["asset_urls"],
        other_sandbox=values["other_sandbox"],
    )


def _translate(source: Input, way: Way, out: Path | None, report: Path | None, *, as_json: bool) -> int:
    if out is not None and report is not None and out.absolute() == report.absolute():
        raise UsageError("--out and --report name one file", "name two")
    try:
        with ExitStack() as stack:
            noted = stack.enter_context(whole_file(report)) if report else None
            # Entered last, so that the changes are in place before the report of them is.
            stream = stack.enter_context(whole_file(out) if out else _stdout())
            tally = translate_file(source, way, stream, _teller(source.name, noted, as_json=as_json))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # whoever read our output has seen enough
    _say(source.name, tally, as_json=as_json)
    return REFUSED_EXIT if tally.refused else 0


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    try:
        with open(sys.stdout.fileno(), "wb", buffering=BUFFER, closefd=False) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"stdout cannot be written: {error.strerror}", "name a file with --out") from error


def _teller(name: str, noted: BinaryIO | None, *, as_json: bool) -> Callable[[Told, bool], None]:
    """Return what writes all that is said of lines into the report, and what stands in their way on stderr."""
    encode = msgspec.json.Encoder().encode

    def take(told: Told, stands_in_the_way: bool) -> None:
        if noted is not None:
            noted.write(encode(told) + b"\n")
        if stands_in_the_way and as_json:
            tell(encoded("refused", msgspec.structs.asdict(told)))
        elif stands_in_the_way:
            pointer = f" {told.pointer}:" if told.pointer else ""
            tell(f"{name}:{told.line}:{pointer} {told.reason} ({told.loss})")

    return take


def _say(name: str, tally: Tally, *, as_json: bool) -> None:
    """Write on stderr what became of the file."""
    if as_json:
        tell(encoded("translated", {"translated": tally.translated, **msgspec.structs.asdict(tally)}))
        return
    shown = [f"{tally.translated:,} translated", f"{tally.refused:,} refused"]
    shown += [f"{tally.empty:,} with nothing left"] if tally.empty else []
    tell(f"{name}: {counted(tally.lines, 'line')}: {' · '.join(shown)}")
    for what, classes in (("not quite the same", tally.losses), ("refused", tally.refusals)):
        for loss, count in sorted(classes.items()):
            tell(f"  {what}: {count:,} {loss}: {_MEANINGS[loss]}")


_MEANINGS = {**{loss.value: meaning for loss, meaning in MEANINGS.items()}, INPUT: "what any command would refuse"}
