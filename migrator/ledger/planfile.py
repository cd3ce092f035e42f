"""Making a plan of any size in constant memory: the ledger sorts, the core decides.

Rows arrive in the order of the file and are kept as they come, each as a step of its own until it is known that it is
not. Which of them are for the same object is a question to an index, not to a dictionary in memory: see `merging`. What
has to be looked up before that is in `sought`; what is taken from an earlier run, without an input, in `takeover`.

The file is written without a journal and without syncing, since a plan that did not get finished is thrown away; it is
synced and put under its final name when it is whole. A ledger that exists is therefore complete.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Self

import msgspec

from migrator.core import plan
from migrator.core.errors import UsageError
from migrator.core.model import Change, EntityType, Kind, Problem, Row, Step
from migrator.core.states import State
from migrator.core.undo import Lasting, Undo
from migrator.ledger import takeover
from migrator.ledger.conditions import NOTHING, Chosen
from migrator.ledger.database import ledger_errors, sync, tune
from migrator.ledger.merging import merge_rows
from migrator.ledger.records import RunRecord, Settled, Source
from migrator.ledger.schema import DERIVED, DRAFT, FORMAT, PLAN, PROGRESS, VIEW, results_view, triggers
from migrator.ledger.sought import Sought

BATCH = 1000
"""Rows kept in memory before they are written."""

TOGETHER = 100
"""Rows of one statement, which takes a third less time than as many statements."""

COLUMNS = {"input_row": 3, "step": 8, "draft.change": 8, "main.origin": 5}
"""The tables that rows are written to, and how many columns each has."""

SETTLE = """
    INSERT INTO progress (step, attempt, request_id, state, error_class, message, object, reference, sent_at, ended_at)
    VALUES (?1, 0, '', ?2, ?3, ?4, ?5, ?6, ?7, ?7)
"""

SETTLE_NOTHING = f"""
    INSERT INTO progress (step, attempt, request_id, sent_at, state, ended_at)
    SELECT seq, 0, '', ?2, '{State.UNCHANGED}', ?2 FROM step WHERE {NOTHING.replace("?", "?1")}
"""


class PlanFile:
    """A ledger file while its plan is being made.

    Use as a context manager: unless `finish` is called, nothing stays.
    """

    def __init__(self, path: Path, style: str, *, marks: bool = False) -> None:
        """Begin a plan that will become the ledger `path`.

        Args:
            path: where the ledger will be; its folder must exist.
            style: name of the endpoint style.
            marks: whether each create has a marker, by which it is told from others of the same name.
        """
        self._marks = marks
        self._path = path
        self._style = style
        self._draft = path.with_suffix(".planning")
        self._work = path.with_suffix(".draft")
        self._containers: dict[str, int] = {}
        self._idle = False
        """Whether there may be a step that there is nothing to do for: only then are they all looked at."""
        self._waiting: Mapping[str, list[object]] = {table: [] for table in COLUMNS}
        """By table, what is still to be written: row after row."""
        self._rows, self._steps, self._changes, self._origins = self._waiting.values()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup, ledger_errors(self._path):
            self._remove()
            cleanup.callback(self._remove)
            self._db = cleanup.enter_context(closing(self._connect()))
            self._begin()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._cleanup.close()

    def _connect(self) -> sqlite3.Connection:
        # As a URI, so that others can be attached by one: only that can say that they are not to be written.
        return sqlite3.connect(f"{self._draft.absolute().as_uri()}?mode=rwc", uri=True, isolation_level=None)

    def _begin(self) -> None:
        self._db.execute("ATTACH DATABASE ? AS draft", (str(self._work),))
        for schema in ("main", "draft"):
            self._db.execute(f"PRAGMA {schema}.journal_mode = OFF")
            self._db.execute(f"PRAGMA {schema}.synchronous = OFF")
        tune(self._db)
        self._db.executescript(PLAN + DRAFT)
        self._db.execute("BEGIN")

    def _remove(self) -> None:
        self._draft.unlink(missing_ok=True)
        self._work.unlink(missing_ok=True)

    def add(self, row: Row, change: Change, marked: bytes | None = None, placement: str = "") -> str:
        """Take in one row and what it wants.

        Args:
            row: as it was read.
            change: what it wants.
            marked: the body to send instead of the change's own, of which it differs in a marker only.
            placement: of a text: the placement, by id or name, that has to be looked up for it.

        Returns:
            The key of the change.
        """
        body, identity = plan.body_of(change), plan.identity(change)
        key = plan.step_key(self._style, change.container, change.type, identity, change.kind, body)
        step = Step(row.line, key, change.container, change.type, change.object, change.kind, marked or body)
        if not change.object or placement:
            sought = change.sought
            name, by = (sought.value, sought.by) if sought else (plan.name_in(change.document), "")
            container = self._number(change.container)
            self._changes += (row.line, container, change.type, identity, change.kind, name, by, placement)
        self.add_step(row.raw, step, plan.stage_of(change))
        return key

    def add_step(self, raw: str, step: Step, stage: int = 0) -> None:
        """Take in one row as the step that it is: of one that names its object by id, there is no more to know.

        Args:
            raw: the row as results give it back.
            step: what it wants.
            stage: when it is sent.
        """
        # Words go as plain texts, for which sqlite3 does not look for an adapter.
        type_, kind = str.__str__(step.type), str.__str__(step.kind)
        self._idle = self._idle or step.body == plan.NO_EDITS
        self._rows += (step.seq, step.seq, raw)
        self._steps += (step.seq, step.key, self._number(step.container), type_, step.object, kind, step.body, stage)
        if len(self._rows) >= BATCH * COLUMNS["input_row"]:
            self._write()

    def _number(self, container: str) -> int:
        return self._containers.setdefault(container, len(self._containers) + 1)

    def take_failed(self, earlier: Path, chosen: Chosen) -> None:
        """Take over steps of the ledger `earlier` with all their rows, as they are; instead of `add`.

        Args:
            earlier: a ledger. It is only read.
            chosen: which steps.

        Raises:
            UsageError: it is of an earlier format.
        """
        with ledger_errors(self._path):
            self._idle = True
            takeover.take_failed(self._db, earlier, chosen)
            self._containers = takeover.containers(self._db)

    def take_undone(self, earlier: Path, undone: Iterable[Undo | Lasting]) -> None:
        """Take in what undoes steps of the ledger `earlier`, with the rows of those steps; instead of `add`.

        Args:
            earlier: a ledger. It is only read.
            undone: what undoes each step, or why nothing can.

        Raises:
            UsageError: it is of an earlier format.
        """
        with ledger_errors(self._path):
            self._idle = True
            takeover.take_undone(self._db, self._style, earlier, undone)
            self._containers = takeover.containers(self._db)

    def step_keys(self) -> Iterator[str]:
        """Yield the key of each step, in order."""
        with ledger_errors(self._path):
            for (key,) in self._db.execute("SELECT key FROM main.step ORDER BY seq"):
                yield key

    def complain(self, problems: Iterable[Problem]) -> None:
        """Keep what is wrong with the input."""
        found = ((problem.line, problem.column, problem.message, problem.hint) for problem in problems)
        with ledger_errors(self._path):
            self._db.executemany("INSERT INTO draft.problem VALUES (?, ?, ?, ?)", found)

    def _write(self) -> None:
        with ledger_errors(self._path):
            for table, values in self._waiting.items():
                size = TOGETHER * COLUMNS[table]
                for begin in range(0, len(values), size):
                    part = values[begin : begin + size]
                    self._db.execute(_insert(table, len(part) // COLUMNS[table]), part)
                values.clear()

    def settle(self, line: int, settled: Settled) -> None:
        """Say of the step of a row that nothing is to be sent for it."""
        columns = (line, settled.state, settled.error, settled.message, settled.object, settled.reference)
        with ledger_errors(self._path):
            self._db.execute("INSERT INTO draft.settled VALUES (?, ?, ?, ?, ?, ?)", columns)

    def copies(self, line: int, origin: Source) -> None:
        """Say of what object elsewhere the step of a row makes a copy."""
        self._origins += (line, origin.container, origin.object, origin.reference, origin.etag)

    @property
    def sought(self) -> Sought:
        """What is to be looked up before `merge`."""
        self._write()
        return Sought(self._db, self._path, self._containers, self.complain)

    def merge(self) -> None:
        """Make the steps: one per object. Rows that contradict each other become problems."""
        self._write()
        with ledger_errors(self._path):
            containers = [(id_, name) for name, id_ in self._containers.items()]
            self._db.executemany("INSERT INTO container VALUES (?, ?)", containers)
            self.complain(merge_rows(self._db, self._style, self._containers, marks=self._marks))

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong, in the order of lines."""
        with ledger_errors(self._path):
            for columns in self._db.execute("SELECT line, col, message, hint FROM draft.problem ORDER BY line, rowid"):
                yield Problem(*columns)

    def count_problems(self) -> int:
        """Return how many problems there are."""
        return self._count("draft.problem")

    def count_steps(self) -> int:
        """Return how many requests the plan has; valid after `merge`."""
        return self._count(f"step WHERE NOT ({NOTHING})", plan.NO_EDITS) if self._idle else self._count("step")

    def count_unchanged(self) -> int:
        """Return how many rows there is nothing to do for; valid after `merge`."""
        return self._count(f"step JOIN input_row ON step = seq WHERE {NOTHING}", plan.NO_EDITS) if self._idle else 0

    def count_kinds(self) -> dict[Kind, int]:
        """Return how many requests the plan has, by what they do; valid after `merge`."""
        with ledger_errors(self._path):
            counts = self._db.execute("SELECT kind, count(*) FROM step GROUP BY kind")
            return {Kind(kind): count for kind, count in counts}

    def lasting(self) -> Iterator[Lasting]:
        """Yield the steps that cannot be undone, in order."""
        with ledger_errors(self._path):
            for line, type_, object_, reason in self._db.execute("SELECT * FROM draft.lasting ORDER BY line"):
                yield Lasting(line, EntityType(type_), object_, reason)

    def count_lasting(self) -> int:
        """Return how many steps cannot be undone."""
        return self._count("draft.lasting")

    def count_rows(self) -> int:
        """Return how many rows the steps are made of."""
        return self._count("input_row")

    def count_changes(self) -> dict[tuple[str, EntityType], int]:
        """Count the objects that are changed or deleted, by container and type; valid after `merge`."""
        with ledger_errors(self._path):
            found = self._db.execute(
                f"""SELECT c.name, s.type, count(*) FROM main.step AS s JOIN main.container AS c ON c.id = s.container
                    WHERE s.kind <> 'create' AND NOT ({NOTHING}) GROUP BY 1, 2""",
                (plan.NO_EDITS,),
            )
            return {(container, EntityType(type_)): count for container, type_, count in found}

    def container_names(self) -> list[str]:
        """Return the containers that the plan touches, in the order of their first rows."""
        return list(self._containers)

    def _count(self, table: str, *parameters: object) -> int:
        with ledger_errors(self._path):
            (count,) = self._db.execute(f"SELECT count(*) FROM {table}", parameters).fetchone()
        return int(count)

    def finish(self, run: RunRecord) -> None:
        """Make the plan durable and give it its final name. After this it is a ledger.

        Raises:
            UsageError: the plan has problems, so that not every row has a step.
            LedgerFailed: the disk did not take it.
        """
        if problems := self.count_problems():
            raise UsageError(f"a plan with {problems:,} problems cannot be carried out", "mend the input")
        with ledger_errors(self._path):
            marks = ", ".join("?" * len(run.__struct_fields__))
            self._db.execute(f"INSERT INTO run VALUES ({marks})", msgspec.structs.astuple(run))
            settled = self._db.execute("SELECT * FROM draft.settled ORDER BY step").fetchall()
            self._db.execute("COMMIT")
            self._db.executescript(PROGRESS + DERIVED + VIEW + results_view(run.shape) + triggers())
            if self._idle:
                self._db.execute(SETTLE_NOTHING, (plan.NO_EDITS, run.created_at))
            self._db.executemany(SETTLE, [(*columns, run.created_at) for columns in settled])
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
            self._db.execute("PRAGMA main.journal_mode = WAL")
            self._db.close()
            sync(self._draft)
            self._draft.rename(self._path)
            sync(self._path.parent)


@cache
def _insert(table: str, rows: int) -> str:
    """Return the statement that writes so many rows into a table."""
    row = f"({', '.join('?' * COLUMNS[table])})"
    return f"INSERT INTO {table} VALUES {', '.join([row] * rows)}"
