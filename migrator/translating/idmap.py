"""The id map: which object of dps is which of xcore, as a CSV file, which a migration's results have too.

Columns: `type`, `xcore` (the `@id`), `dps`, and where they are known `instance_id` and `container` of xcore. Beside the
types of objects there are those of what lies outside of the Offer Library (`core.mapping.External`). The whole map is
held in memory: it grows with the objects, not with the changes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
from msgspec import Struct

from migrator.core.errors import InputError, UsageError
from migrator.core.mapping import DPS, XCORE, External
from migrator.core.model import EntityType, Problem
from migrator.core.values import Fault, did_you_mean, word_fault
from migrator.ledger.reading import Mapped, mapped
from migrator.sources import csv_writer
from migrator.sources.octets import check_head, open_octets
from migrator.sources.records import csv_records
from migrator.sources.shape import find_delimiter, first_line

COLUMNS = ("type", "xcore", "dps", "instance_id", "container")
REQUIRED = COLUMNS[:3]
TYPES = (*EntityType, *External)

_SHOWN = 10  # problems of a file that are told


class Home(Struct, frozen=True, gc=False):
    """An object of xcore.

    Attributes:
        id: its instance id, or its `@id` where the map does not have that.
        container: the container it is in, "" if the map does not say.
    """

    id: str
    container: str


class IdMap:
    """Ids in one style, by type and id in the other.

    Attributes:
        to: the style that is looked up.
    """

    def __init__(self, to: str) -> None:
        """Begin an empty map for the direction that ends in `to`."""
        self.to = to
        self._ids: dict[tuple[str, str], dict[str, str]] = {}
        self._homes: dict[str, dict[str, tuple[Home, ...]]] = {}

    def __bool__(self) -> bool:
        return bool(self._ids or self._homes)

    def add(self, type_: str, xcore: str, dps: str, instance_id: str = "", container: str = "") -> str:
        """Take one object. Return why it cannot be, or "".

        Args:
            type_: of the object, or of what lies outside.
            xcore: its `@id`; may be empty if there is an instance id.
            dps: its id in dps.
            instance_id: its instance id in xcore.
            container: its container in xcore.
        """
        if self.to == DPS:
            return self._put(type_, container, xcore, dps) or self._put(type_, container, instance_id, dps)
        homes, home = self._homes.setdefault(type_, {}), Home(instance_id or xcore, container)
        if dps and home.id and home not in (held := homes.get(dps, ())):
            homes[dps] = (*held, home)
        return self._put(type_, container, dps, xcore)

    def _put(self, type_: str, container: str, source: str, target: str) -> str:
        if not source or not target:
            return ""
        held = self._ids.setdefault((type_, container), {}).setdefault(source, target)
        return "" if held == target else f"{source} is {held} on a line before"

    def finder(self, type_: str, container: str) -> Callable[[str], str | None]:
        """Return what finds the id in the target for an id of a type, in a container of xcore or in any."""
        here, anywhere = self._ids.get((type_, container), {}), self._ids.get((type_, ""), {})
        if not here or not anywhere:
            return (here or anywhere).get
        return lambda id_: here.get(id_) or anywhere.get(id_)

    def resolver(self, container: str) -> Callable[[str, str], str | None]:
        """Return the same for ids of any type."""
        finders = {type_: self.finder(type_, container) for type_ in TYPES}
        return lambda type_, id_: finders[type_](id_)

    def homes(self, type_: str, dps: str, container: str) -> tuple[Home, ...]:
        """Return what an object of dps is in xcore: more than one where several containers have it.

        Args:
            type_: of the object.
            dps: its id.
            container: the only container to look in, "" for all.
        """
        homes = self._homes.get(type_, {}).get(dps, ())
        return tuple(home for home in homes if home.container in ("", container)) if container else homes

    def home_finder(self, type_: str, container: str) -> Callable[[str], Home | None]:
        """Return what finds the one object of xcore, with its container, that an object of dps is; or `None`."""
        homes = self._homes.get(type_, {})

        def find(dps: str) -> Home | None:
            (home,) = homes[dps]
            return home if home.container and (not container or home.container == container) else None

        return find


def read_id_map(path: Path | None, to: str) -> IdMap:
    """Read an id map for the direction that ends in `to`; without a file it is empty.

    Raises:
        InputError: it cannot be read; all that is wrong with it is said.
    """
    ids = IdMap(to)
    problems: list[Problem] = []
    for line, cells in _records(path, problems) if path is not None else ():
        faults = _faults(cells)
        if not faults:
            rest = {name: cells.get(name, "") for name in COLUMNS[3:]}
            why = ids.add(cells["type"], cells["xcore"], cells["dps"], **rest)
            faults = [Fault("", f"contradicts the map: {why}")] if why else []
        problems.extend(fault.at(line) for fault in faults)
    if problems:
        raise unusable(f"the id map {path}", str(path), problems)
    return ids


def unusable(what: str, name: str, problems: Sequence[Problem]) -> InputError:
    """Return the error that says all that makes a file unusable."""
    lines = [f"{what} cannot be used:"]
    for problem in problems[:_SHOWN]:
        column = f" {problem.column}:" if problem.column else ""
        hint = f"; {problem.hint}" if problem.hint else ""
        lines.append(f"  {name}:{problem.line}:{column} {problem.message}{hint}")
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN:,} more")
    return InputError("\n".join(lines))


def _records(path: Path, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the lines of the map by column, with their numbers."""
    with ExitStack() as stack:
        buffered = io.BufferedReader(open_octets(path, stack))
        check_head(buffered.peek(), str(path), wide=False)
        text = stack.enter_context(io.TextIOWrapper(buffered, "utf-8-sig", "replace", newline=""))
        head = first_line(buffered.peek().decode("utf-8-sig", "replace"))
        records = csv_records(iter(text), find_delimiter(head, None))
        header: list[str] | None = None
        for record in records:
            if isinstance(record, Problem):
                problems.append(record)
            elif header is None:
                header = record[1]
                _check_header(path, header)
            elif len(record[1]) != len(header):
                problems.append(Problem(record[0], "", f"has {len(record[1])} cells, the header {len(header)}"))
            else:
                yield record[0], dict(zip(header, record[1], strict=True))


def _check_header(path: Path, header: Iterable[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        hint = f"its header is {','.join(REQUIRED)} and, where known, {','.join(COLUMNS[3:])}"
        raise InputError(f"the id map {path} has no column {', '.join(missing)}", hint)


def _faults(cells: Mapping[str, str]) -> list[Fault]:
    faults = [fault for name in COLUMNS[1:] if cells.get(name) and (fault := word_fault(name, cells[name]))]
    if cells["type"] not in TYPES:
        message = f"'{cells['type']}' is not a type; the types are {', '.join(TYPES)}"
        faults.append(Fault("type", message, did_you_mean(cells["type"], TYPES)))
    return faults


def write_id_map(ledger: Path, source: str, path: Path) -> int:
    """Write the id map of a migration as CSV, which is what `read_id_map` takes, and as JSON lines beside it.

    Args:
        ledger: of the migration.
        source: the style that it reads.
        path: the CSV file, whose folder is there; the other one ends in `.jsonl`.

    Returns:
        How many objects are in it.

    Raises:
        UsageError: it cannot be written.
    """
    rows = 0
    try:
        with path.open("w", encoding="utf-8", newline="") as stream, path.with_suffix(".jsonl").open("wb") as lines:
            write = csv_writer(stream, ",", "\n")
            write(COLUMNS)
            for one in mapped(ledger):
                line = _line(one, source)
                write(line)
                lines.write(msgspec.json.encode(dict(zip(COLUMNS, line, strict=True))) + b"\n")
                rows += 1
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name another folder with --to") from error
    return rows


def _line(one: Mapped, source: str) -> tuple[str, ...]:
    xcore, dps = (one.source, one.target) if source == XCORE else (one.target, one.source)
    return one.type, xcore.reference, dps.reference, xcore.object, xcore.container
