"""From an input file to a plan on disk: read, parse, merge; every error found on the way, none of them twice.

The plan is made before the first request, whole, and in constant memory. What is kept is the ledger itself: an input
that passes is one rename away from being a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from migrator.core.columns import EXPORT_COLUMN, is_export
from migrator.core.edit import is_placement_id
from migrator.core.errors import InputError
from migrator.core.model import Change, Kind, Problem, Row, TextChange
from migrator.core.plain import PlainRow, plain_reader
from migrator.core.plan import Fingerprint, Marker
from migrator.core.rows import RowParser
from migrator.core.styles import Style
from migrator.core.undo import undo
from migrator.core.values import Fault
from migrator.exporting.snapshots import Snapshot, beside
from migrator.ledger.conditions import Chosen
from migrator.ledger.planfile import PlanFile
from migrator.ledger.reading import made_steps, read_run
from migrator.ledger.records import RunRecord, Settled, Source
from migrator.sources import InputShape, open_source


class Input(Struct, frozen=True):
    """An input file and how to read it.

    Attributes:
        path: the file.
        name: what to call it in messages and in the ledger.
        format: `csv` or `jsonl`; found out if `None`.
        delimiter: of a CSV file; found out if `None`.
        encoding: of the text.
        snapshot: of an export that was edited: what it was; beside the file if `None`.
        accept_reformatted: whether to take its cells that a spreadsheet has changed as they were meant.
    """

    path: Path
    name: str
    format: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8-sig"
    snapshot: Path | None = None
    accept_reformatted: bool = False


class Target(Struct, frozen=True):
    """Where a plan is to be carried out: what shapes every request, and what a resume must not change.

    Attributes:
        style: the endpoint style.
        base_url: the service.
        org_id: the organisation.
        sandbox: the profile's sandbox.
        marker: pointer to the member in which creates are marked, "" for none. It is no part of what is done.
        create_missing: whether a text that an offer does not have is to be added.
    """

    style: Style
    base_url: str
    org_id: str
    sandbox: str
    marker: str = ""
    create_missing: bool = False


class Draft:
    """A plan that is made but not yet accepted."""

    def __init__(self, target: Target, plan: PlanFile, run_id: str) -> None:
        """Collect into `plan` for the run `run_id`."""
        self._marker = Marker(target.marker, run_id) if target.marker else None
        self.shape: InputShape | None = None
        self.sha256 = ""
        self.rows = 0
        self._target = target
        self._plan = plan
        # What is to be added where it is missing is no part of the changes, and makes another plan of them.
        adds = ("create-missing",) if target.create_missing else ()
        self._fingerprint = Fingerprint(target.style.name, target.base_url, target.org_id, target.sandbox, *adds)

    def read(self, source: Input) -> None:
        """Read all of `source`. What is sought in it can be looked up now; then it is merged.

        Raises:
            InputError: the file as a whole cannot be used.
        """
        with ExitStack() as stack:
            opened = stack.enter_context(
                open_source(source.path, format=source.format, delimiter=source.delimiter, encoding=source.encoding)
            )
            self.shape = opened.shape
            export = stack.enter_context(self._snapshot_of(source)) if is_export(opened.header) else None
            parser = RowParser(
                opened.header,
                self._target.style,
                self._target.sandbox,
                opened.header_line,
                export,
                accept=source.accept_reformatted,
            )
            self._plan.complain(parser.header_problems)
            if not parser.header_problems:
                plain = plain_reader(
                    opened.shape.header, self._target.style, self._target.sandbox, texts=not self._target.create_missing
                )
                for row in opened.rows(plain) if export is None else _of(export, opened, source.name):
                    self._take(row, parser)
                self.sha256 = opened.sha256

    def _snapshot_of(self, source: Input) -> Snapshot:
        """Open what an edited export was.

        Raises:
            InputError: it is not there, or is of another target.
        """
        path = source.snapshot or beside(source.path)
        if not path.exists():
            message = f"{source.name} is an export, and what it was when it was exported is not there: {path}"
            hint = (
                "put the two side by side again, or name it: --snapshot FILE; without the column _export every cell"
                " would be set as it stands, whatever others have changed since"
            )
            raise InputError(message, hint)
        snapshot = Snapshot(path)
        snapshot.check(self._target.style.name, self._target.sandbox)
        return snapshot

    @property
    def seeks(self) -> bool:
        """Whether something has to be looked up before the rows are merged: see `lookup`."""
        return self._plan.sought.anything

    @property
    def file(self) -> PlanFile:
        """The plan on the disk."""
        return self._plan

    def merge(self) -> None:
        """Make one request of all the rows of an object."""
        self._plan.merge()

    def read_failed(self, earlier: Path, chosen: Chosen) -> None:
        """Take failed rows of the ledger `earlier`, instead of an input. They were checked and merged for that run."""
        self._plan.take_failed(earlier, chosen)
        self._have_taken(earlier)

    def read_applied(self, earlier: Path, chosen: Chosen, *, recreate: bool) -> None:
        """Take what undoes applied rows of the ledger `earlier`, instead of an input.

        Args:
            earlier: the ledger.
            chosen: which rows.
            recreate: whether to create anew what was deleted.
        """
        found = (undo(made, self._target.style, recreate=recreate) for made in made_steps(earlier, chosen))
        self._plan.take_undone(earlier, (one for one in found if one is not None))
        self._have_taken(earlier)

    def _have_taken(self, earlier: Path) -> None:
        """Describe an input of which all steps were taken over from the ledger `earlier`.

        The fingerprint is that of an input of one row for each object: what `migrator results` writes of such rows.
        """
        of = read_run(earlier)
        self.shape = msgspec.json.decode(of.shape, type=InputShape)
        self.sha256 = of.input_sha256
        for key in self._plan.step_keys():
            self._fingerprint.add(key)
        self.rows = self._plan.count_rows()

    def _take(self, row: PlainRow | Row | Problem, parser: RowParser) -> None:
        if isinstance(row, PlainRow):
            self.rows += 1
            self._plan.add_step(row.raw, row.step)
            self._fingerprint.add(row.step.key)
        elif isinstance(row, Problem):
            self._plan.complain([row])
        else:
            self.rows += 1
            change = parser.parse(row)
            if isinstance(change, Change):
                self._add(row, change)
            else:
                self._plan.complain(change)

    def _add(self, row: Row, change: Change) -> None:
        marked = self._marker.mark(change) if self._marker else None
        if isinstance(marked, Fault):
            self._plan.complain([marked.at(row.line)])
        else:
            self._fingerprint.add(self._plan.add(row, change, marked, self._placement_to_find(change)))

    def take_copy(self, row: Row, change: Change, source: Source, settled: Settled | None) -> None:
        """Take in a row that makes a copy of an object elsewhere.

        Args:
            row: names the object.
            change: what is to be made.
            source: the object.
            settled: how its step ends, if nothing is to be sent for it.
        """
        self.rows += 1
        self._fingerprint.add(self._plan.add(row, change))
        self._plan.copies(row.line, source)
        if settled is not None:
            self._plan.settle(row.line, settled)

    def _placement_to_find(self, change: Change) -> str:
        if change.kind is not Kind.EDIT:
            return ""
        texts = [edit for edit in change.edits if isinstance(edit, TextChange)]
        wanted = [t.placement for t in texts if self._target.create_missing or not is_placement_id(t.placement)]
        return wanted[0] if wanted else ""

    @property
    def steps(self) -> int:
        """How many requests the plan has."""
        return self._plan.count_steps()

    @property
    def unchanged(self) -> int:
        """How many rows there is nothing to do for."""
        return self._plan.count_unchanged()

    @property
    def containers(self) -> int:
        """How many containers the plan touches."""
        return len(self._plan.container_names())

    @property
    def container_names(self) -> list[str]:
        """The containers that the plan touches, in the order of their first rows."""
        return self._plan.container_names()

    @property
    def fingerprint(self) -> str:
        """The name of the plan by what it does."""
        return self._fingerprint.hexdigest()

    def count_problems(self) -> int:
        """Return how many problems the input has."""
        return self._plan.count_problems()

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the input, in the order of lines."""
        return self._plan.problems()

    def accept(self, run_id: str, name: str, settings: dict[str, object], now: float) -> None:
        """Make the plan a run's ledger.

        Args:
            run_id: the run.
            name: what the input is called.
            settings: what shapes requests, without secrets.
            now: seconds since the epoch.
        """
        self._plan.finish(
            RunRecord(
                id=run_id,
                created_at=now,
                style=self._target.style.name,
                input=name,
                input_sha256=self.sha256,
                shape=msgspec.json.encode(self.shape).decode(),
                fingerprint=self.fingerprint,
                settings=msgspec.json.encode(settings).decode(),
                rows=self.rows,
                steps=self.steps,
            )
        )


def _of(export: Snapshot, rows: Iterable[Row | Problem], name: str) -> Iterator[Row | Problem]:
    """Pass the rows of a file on, unless the first that names its export says that it is another one.

    Raises:
        InputError: it does. Of rows that were mixed in later, each is a problem of its own.
    """
    named = ""
    for row in rows:
        if not named and isinstance(row, Row):
            named = row.cells[EXPORT_COLUMN]
            if named not in ("", export.id):
                message = f"{name} is {named}, and its snapshot is of {export.id}"
                raise InputError(message, "name the snapshot that was written beside it: --snapshot FILE")
        yield row


@contextmanager
def draft_plan(source: Input, target: Target, ledger: Path, run_id: str) -> Iterator[Draft]:
    """Read `source` into a plan that can become the ledger file `ledger`; unless it is accepted, nothing stays.

    Yields:
        The draft, which is still to be merged.
    """
    with PlanFile(ledger, target.style.name, marks=bool(target.marker)) as plan:
        draft = Draft(target, plan, run_id)
        draft.read(source)
        yield draft


@contextmanager
def draft_after(earlier: Path, target: Target, ledger: Path) -> Iterator[Draft]:
    """Begin a plan that takes up steps of the ledger `earlier` and can become the ledger `ledger`; see `draft_plan`.

    Yields:
        The draft, which is still to be read.
    """
    with PlanFile(ledger, target.style.name) as plan:
        yield Draft(target, plan, earlier.parent.name)
