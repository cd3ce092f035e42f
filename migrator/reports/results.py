"""Results files: every input row, in the input's shape and order, in the file of its outcome.

A row comes back cell by cell as it was read, with our columns behind it. Reading a results file ignores those
columns, so the failed rows can be mended and fed back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import msgspec
from msgspec import Struct

from migrator.core.errors import UsageError
from migrator.core.states import State
from migrator.ledger.reading import OutcomeRow, outcome_rows, read_run
from migrator.sources import InputShape, csv_writer
from migrator.sources.shape import CSV, JSONL

OUTCOMES: Mapping[State, str] = {
    State.APPLIED: "applied",
    State.UNCHANGED: "unchanged",
    State.SKIPPED: "left-out",
    State.REJECTED: "failed",
    State.UNRESOLVED: "unresolved",
    State.INTENT: "in-doubt",
    State.DOUBT: "in-doubt",
    State.PENDING: "pending",
}
"""Which file a row goes to, by the state of its step."""

COLUMNS = ("_line", "_state", "_http_status", "_error_class", "_message", "_etag", "_object")
"""Our columns: the input's line, what became of it and why, and of which object, as of one that was created.

The view `results` of a ledger has them too, see `ledger.schema`."""


class ResultsFile(Struct):
    """One file that was written."""

    outcome: str
    path: Path
    rows: int = 0


Write = Callable[[OutcomeRow], object]


def write_results(ledger: Path, folder: Path) -> list[ResultsFile]:
    """Write the results of a run, one file per outcome that has rows.

    Args:
        ledger: the run's ledger.
        folder: where to; made if it is not there. Files of the same names are replaced.

    Returns:
        The files, with their numbers of rows; together they have every row of the input.
    """
    shape = msgspec.json.decode(read_run(ledger).shape, type=InputShape)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Only the run's own folder is ours to tidy: elsewhere a file of that name may be somebody's.
        for outcome in set(OUTCOMES.values()) if folder == ledger.parent / "results" else ():
            (folder / f"{outcome}.{shape.format}").unlink(missing_ok=True)
        with ExitStack() as stack:
            return _write_all(outcome_rows(ledger), shape, folder, stack)
    except OSError as error:
        raise UsageError(
            f"results cannot be written to {folder}: {error.strerror}", "name another folder with --to"
        ) from error


def stale_files(folder: Path, written: Collection[ResultsFile]) -> list[Path]:
    """Return the files in `folder` that are called like results and are not among those that were written now."""
    ours = {file.path for file in written}
    found = (folder / f"{outcome}.{format_}" for outcome in set(OUTCOMES.values()) for format_ in (CSV, JSONL))
    return sorted(path for path in found if path not in ours and path.exists())


def _write_all(rows: Iterator[OutcomeRow], shape: InputShape, folder: Path, stack: ExitStack) -> list[ResultsFile]:
    files: dict[str, ResultsFile] = {}
    writers: dict[str, Write] = {}
    for row in rows:
        outcome = OUTCOMES[row.state]
        if outcome not in files:
            path = folder / f"{outcome}.{shape.format}"
            stream = stack.enter_context(path.open("w", encoding="utf-8-sig" if shape.marked else "utf-8", newline=""))
            files[outcome] = ResultsFile(outcome, path)
            writers[outcome] = _csv_writer(stream, shape) if shape.format == "csv" else _jsonl_writer(stream, shape)
        writers[outcome](row)
        files[outcome].rows += 1
    return [files[outcome] for outcome in dict.fromkeys(OUTCOMES.values()) if outcome in files]


def _ours(row: OutcomeRow) -> dict[str, Any]:
    """Return our columns of a row, in the order of `COLUMNS`."""
    values = (row.line, row.state.value, row.http_status, row.error_class, row.message, row.etag, row.object)
    return dict(zip(COLUMNS, values, strict=True))


def _without_ours(line: str) -> str:
    """Take the members of an earlier results file out of a line, if it has any; other lines stay as they are."""
    if not any(f'"{name}"' in line for name in COLUMNS):
        return line
    members = msgspec.json.decode(line)
    return msgspec.json.encode({name: members[name] for name in members if name not in COLUMNS}).decode()


def _csv_writer(stream: TextIO, shape: InputShape) -> Write:
    write = csv_writer(stream, shape.delimiter, shape.newline)
    write([*shape.header, *COLUMNS])
    return lambda row: write([*msgspec.json.decode(row.raw), *_ours(row).values()])


def _jsonl_writer(stream: TextIO, shape: InputShape) -> Write:
    """Write our members behind the line's own, whose text stays as it was."""

    def write(row: OutcomeRow) -> None:
        ours = msgspec.json.encode(_ours(row)).decode()
        theirs = _without_ours(row.raw).rstrip().removesuffix("}").rstrip()
        stream.write(f"{theirs},{ours[1:]}{shape.newline}")

    return write
