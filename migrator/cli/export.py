"""`migrator export`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from migrator import api
from migrator.cli import eventloop
from migrator.cli.options import (
    output_option,
    profile_option,
    reading_options,
    sandbox_option,
    settings_of,
    style_option,
    viewing_of,
    viewing_options,
)
from migrator.cli.output import Output, counted, tell
from migrator.clock import SystemClock
from migrator.core.errors import UsageError
from migrator.core.model import EntityType
from migrator.core.styles import STYLES, Style
from migrator.core.texts import Replacement
from migrator.core.values import Fault
from migrator.core.where import Condition, parse
from migrator.exporting.collecting import Wanted
from migrator.exporting.forms import Form, Lines, Report, Table, Wide
from migrator.exporting.snapshots import Origin, Spool, beside, new_export_id
from migrator.exporting.texts import Texts
from migrator.settings import Settings, require_target
from migrator.sources.shape import CSV, FORMATS, JSONL, find_delimiter

OFFERS = (EntityType.PERSONALIZED_OFFER, EntityType.FALLBACK_OFFER)


@click.command()
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice([type_.value for type_ in EntityType]),
    help="What to export; may be repeated [default: personalized-offer].",
)
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only objects that meet it, e.g. status==approved. == != < <= > >= ~ (regular expression), or a path alone.",
)
@click.option(
    "--container",
    "containers",
    multiple=True,
    metavar="C",
    help="Where from; may be repeated. Needed in xcore [default in dps: the sandbox].",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Where to [default: stdout].")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--format", "form", type=click.Choice([JSONL, CSV]), help="[default: what FILE ends in, else jsonl; csv for texts]"
)
@click.option("--delimiter", metavar="CHAR", help="Of a CSV [default: ,]. Excel may want ; or tab.")
@click.option("--texts", is_flag=True, help="Export the texts of offers, one a row.")
@click.option("--placement", "placements", multiple=True, metavar="P", help="Only texts for it; may be repeated.")
@click.option("--language", "languages", multiple=True, metavar="L", help="Only texts in it; may be repeated.")
@click.option("--find", metavar="X", help="Only texts with X in them, which is replaced: see --replace.")
@click.option("--replace", "put", metavar="Y", help="What to put in the place of X.")
@click.option("--regex", is_flag=True, help="X is a regular expression, and Y may have \\1 in it.")
@profile_option
@style_option
@sandbox_option
@reading_options
@output_option
@viewing_options
def export(
    types: Sequence[str],
    where: Sequence[str],
    containers: Sequence[str],
    out: Path | None,
    overwrite: bool,
    form: str | None,
    delimiter: str | None,
    texts: bool,
    placements: Sequence[str],
    languages: Sequence[str],
    find: str | None,
    put: str | None,
    regex: bool,
    output: str,
    **values: Any,
) -> int:
    """Read objects, and write them to FILE: as JSON lines, as a spreadsheet to edit, or their texts.

    JSON lines are a snapshot: to keep, to compare, to load into `migrator emulator`. A spreadsheet comes back through
    `migrator apply FILE`: only the cells that were edited are changes, and each is made only if what was exported is
    still there. FILE.snapshot, written beside it, is what that is told by. To take a member away, write \\N.

    \b
    Examples:  migrator export --where status==approved --out offers.csv
               migrator export --type placement --type tag > snapshot.jsonl
               migrator export --texts --language en --find "2.9 %" --replace "3.1 %" --out rates.csv
    Exit codes: 0 · 2 usage or configuration · 5 the service refuses, or a list cannot be read to its end · 6 no answer
    """
    viewing = viewing_of(values)
    settings = settings_of(values)
    require_target(settings)
    style = STYLES[settings.style]
    wanted = Wanted(
        _containers(containers, settings),
        [EntityType(name) for name in dict.fromkeys(types)] or [EntityType.PERSONALIZED_OFFER],
        _conditions(where, style),
    )
    replacement = _replacement(find, put, regex=regex)
    _check_texts(wanted.types, texts=texts, narrowed=bool(placements or languages or find or put or regex))
    form = _form_of(form, out, texts=texts)
    _check_file(out, wide=form == CSV and not texts, overwrite=overwrite)
    table = Table(find_delimiter("", delimiter) if delimiter else ",", marked=out is not None)
    with _work(settings, out) as (folder, spool):
        ids = eventloop.run(api.export(settings, wanted, spool, _Watch(viewing.every_s), placements), settings)
        if form == JSONL:
            report = _written(Lines(), spool, folder, out)
        elif texts:
            tags = [tag.casefold() for tag in languages]
            report = _written(Texts(style, table, ids, tags, replacement), spool, folder, out)
        else:
            report = _written(Wide(style, table), spool, folder, out)
    if report is not None:
        _say(report, out, Output(output), "text" if texts else "object")
    return 0


# What is asked for


def _containers(given: Sequence[str], settings: Settings) -> list[str]:
    if given:
        return list(dict.fromkeys(given))
    if STYLES[settings.style].needs_container:
        raise UsageError(f"{settings.style} has no default container", "name where to export from: --container ID")
    return [settings.sandbox]


def _conditions(where: Sequence[str], style: Style) -> list[Condition]:
    found = [(text, parse(text, style)) for text in where]
    for text, one in found:
        if isinstance(one, Fault):
            raise UsageError(f"--where {text!r}: {one.message}", one.hint)
    return [one for _, one in found if isinstance(one, Condition)]


def _replacement(find: str | None, put: str | None, *, regex: bool) -> Replacement | None:
    if find is None and put is None and not regex:
        return None
    if not find or put is None:
        raise UsageError("--find and --replace belong together", "give both, and --texts")
    try:
        return Replacement(find, put, regex=regex)
    except ValueError as error:
        raise UsageError(f"--find {find!r}: {error}") from error


def _check_texts(types: Sequence[EntityType], *, texts: bool, narrowed: bool) -> None:
    if narrowed and not texts:
        raise UsageError("--placement, --language, --find and --replace are about texts", "add --texts")
    if texts and (others := [type_ for type_ in types if type_ not in OFFERS]):
        raise UsageError(f"a {others[0]} has no texts", "only offers have")


def _form_of(given: str | None, out: Path | None, *, texts: bool) -> str:
    name = out.name.lower() if out else ""
    if name.endswith(".gz"):
        raise UsageError("an export is not packed", f"name it {out and out.with_suffix('')}, and run gzip on it")
    found = given or (CSV if texts else FORMATS.get(Path(name).suffix, JSONL))
    if texts and found != CSV:
        raise UsageError("texts are exported as CSV", "leave out --format, or --texts")
    return found


def _check_file(out: Path | None, *, wide: bool, overwrite: bool) -> None:
    if out is None:
        if wide:
            hint = "name the file: --out FILE; FILE.snapshot will be beside it"
            raise UsageError("a spreadsheet cannot go to stdout: without its snapshot nobody could read it back", hint)
        return
    for path in (out, beside(out)) if wide else (out,):
        if path.exists() and not overwrite:
            raise UsageError(f"{path} is there already, and may have been edited", "name another, or add --overwrite")


# What is written


@contextmanager
def _work(settings: Settings, out: Path | None) -> Iterator[tuple[Path, Spool]]:
    """Yield a folder, on the disk of the file that is to be written, and the spool in it; nothing stays of them."""
    now = SystemClock.now()
    origin = Origin(new_export_id(now), now, settings.style, settings.base_url, settings.org_id, settings.sandbox)
    try:
        made = tempfile.TemporaryDirectory(prefix=".migrator-", dir=out.parent if out else None)
    except OSError as error:
        raise UsageError(f"nothing can be written to {out and out.parent}: {error.strerror}") from error
    with made as folder, Spool(Path(folder) / "spool", origin) as spool:
        yield Path(folder), spool


def _written(form: Form, spool: Spool, folder: Path, out: Path | None) -> Report | None:
    """Write an export: to its file all at once, with its snapshot before it if it has one.

    Returns:
        What was written; `None` if nobody wanted to read it to its end.
    """
    if out is None:
        return _to_stdout(form, spool)
    grown = folder / "export"
    try:
        with grown.open("wb") as file:
            report = form.write(spool, file)
        if isinstance(form, Wide):
            spool.finish(report.columns)
            spool.path.replace(beside(out))
        grown.replace(out)
    except OSError as error:
        hint = "is there room on the disk, and may you write there?"
        raise UsageError(f"{out} cannot be written: {error.strerror}", hint) from error
    return report


def _to_stdout(form: Form, spool: Spool) -> Report | None:
    try:
        report = form.write(spool, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return None
    return report


class _Watch:
    """Says on stderr how far the reading is, every few seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._read = 0
        self._said_at = time.monotonic()

    def __call__(self, objects: int) -> None:
        self._read += objects
        if time.monotonic() - self._said_at >= self._every_s:
            self._said_at = time.monotonic()
            tell(f"{counted(self._read, 'object')} read")


def _say(report: Report, out: Path | None, to: Output, what: str) -> None:
    for note in report.notes:
        tell(note)
    text = f"{out or 'stdout'}: {counted(report.rows, what)}"
    if report.columns:
        text += f", {counted(len(report.columns), 'column')} to edit; keep {beside(out or Path()).name} with it"
    if out is None:
        tell(text)
    else:
        to.say(text, "export", file=str(out), rows=report.rows, columns=report.columns, notes=report.notes)
