"""Making a plan of any size in constant memory: the ledger sorts, the core decides.

Rows arrive in the order of the file and are kept as they come. Which of them are for the same object is a question to
an index, not to a dictionary in memory. Objects with one row, nearly all of them, become steps in one SQL statement;
the others go through `core.plan.merge`, one object at a time.

The file is written without a journal and without syncing, since a plan that did not get finished is thrown away; it is
synced and put under its final name when it is whole. A ledger that exists is therefore complete.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from migrator.core import plan
from migrator.core.edit import edits_body, edits_of
from migrator.core.errors import UsageError
from migrator.core.model import By, Change, EntityType, Kind, Problem, Row, Step, TextChange
from migrator.core.states import State
from migrator.core.undo import Lasting, Undo
from migrator.core.values import MAX_OBJECT_BYTES, quote
from migrator.core.verdict import ErrorClass
from migrator.ledger.database import ledger_errors, sync, tune
from migrator.ledger.schema import DRAFT, FORMAT, PLAN, PROGRESS, VIEW, triggers

BATCH = 1000
"""Rows kept in memory before they are written."""

MERGE = (
    "CREATE INDEX draft.change_by_object ON change (container, type, identity)",
    "CREATE TABLE draft.shared (container INTEGER, type TEXT, identity TEXT)",
    """INSERT INTO draft.shared
           SELECT container, type, identity FROM draft.change GROUP BY 1, 2, 3 HAVING count(*) > 1""",
    "CREATE TABLE draft.merged (line INTEGER PRIMARY KEY)",
    """INSERT INTO draft.merged
           SELECT line FROM draft.shared CROSS JOIN draft.change USING (container, type, identity)""",
    """INSERT INTO step
           SELECT line, key, container, type, object, kind, body, stage FROM draft.change
           WHERE line NOT IN (SELECT line FROM draft.merged) ORDER BY line""",
)
"""Find the objects that several rows are for, and make steps of all the others."""

CHANGES = """
    SELECT line, object, kind, create_key, CASE WHEN kind IN ('patch', 'edit') THEN body ELSE x'' END
    FROM draft.change WHERE container = ? AND type = ? AND identity = ? ORDER BY line
"""
"""The changes of one object. Only patches merge, so that what several rows create need not be loaded to refuse it."""

ALIKE = """
    SELECT line, type, name, first FROM (
        SELECT line, type, name, identity, first_value(line) OVER names AS first,
               first_value(identity) OVER names AS first_identity
        FROM draft.change WHERE kind = 'create' WINDOW names AS (PARTITION BY container, type, name ORDER BY line)
    ) WHERE line <> first AND identity <> first_identity ORDER BY line
"""
"""Find the creates of which an earlier one has the same name."""

CROSSING = """
    SELECT line, size FROM (
        SELECT line, 1 + sum(length(body) - 1) OVER (ORDER BY line) AS size FROM draft.change
        WHERE container = ? AND type = ? AND identity = ? AND kind IN ('patch', 'edit')
    ) WHERE size > ? ORDER BY line LIMIT 1
"""
"""Find the first row with which the patch of one object is too large. Of each further list of operations the patch
gains all bytes but one: the brackets go and a comma comes."""


SOUGHT = """
    SELECT container, type, sought, count(DISTINCT name) FROM draft.change WHERE sought <> ''
    GROUP BY 1, 2, 3 ORDER BY min(line)
"""

SOUGHT_VALUES = """
    SELECT DISTINCT name FROM draft.change WHERE container = ? AND type = ? AND sought = ?
"""

FOUND = """
    INSERT OR IGNORE INTO draft.found SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (
        SELECT 1 FROM draft.change WHERE container = ?1 AND type = ?2 AND sought = ?3 AND name = ?4
    )
"""

SETTLE_SOUGHT = """
    UPDATE draft.change AS c SET object = f.object, identity = 'id:' || f.object
    FROM (
        SELECT container, type, sought, value, min(object) AS object FROM draft.found
        GROUP BY 1, 2, 3, 4 HAVING count(*) = 1
    ) AS f
    WHERE c.sought <> '' AND f.container = c.container AND f.type = c.type AND f.sought = c.sought AND f.value = c.name
"""

NOT_FOUND = """
    SELECT c.line, c.type, c.sought, c.name, (
        SELECT group_concat(object, ', ') FROM draft.found AS f
        WHERE f.container = c.container AND f.type = c.type AND f.sought = c.sought AND f.value = c.name
    ) FROM draft.change AS c WHERE c.sought <> '' AND c.object = '' ORDER BY line
"""


NOTHING = "kind = 'edit' AND body = ?"
"""The condition that a step or a change meets if there is nothing to do for it; its parameter is `plan.NO_EDITS`."""

SETTLE = """
    INSERT INTO progress (step, attempt, request_id, state, error_class, message, object, reference, sent_at, ended_at)
    VALUES (?1, 0, '', ?2, ?3, ?4, ?5, ?6, ?7, ?7)
"""

SETTLE_NOTHING = f"""
    INSERT INTO progress (step, attempt, request_id, sent_at, state, ended_at)
    SELECT seq, 0, '', ?2, '{State.UNCHANGED}', ?2 FROM step WHERE {NOTHING.replace("?", "?1")}
"""


class Seeking(Struct, frozen=True):
    """Objects that are looked up in the same way.

    Attributes:
        container: where.
        type: of what.
        by: by what.
        count: how many.
    """

    container: str
    type: EntityType
    by: By
    count: int


COPY_FAILED = """
    INSERT INTO main.step
        SELECT s.* FROM earlier.step AS s JOIN earlier.progress AS p ON p.step = s.seq
        WHERE {condition} ORDER BY s.seq
"""

COPY_REVIEWS = "INSERT INTO main.review SELECT * FROM earlier.review WHERE step IN (SELECT seq FROM main.step)"
"""What may only be sent as it was reviewed is not freed of that by having failed."""

UNDO = """
    INSERT INTO main.step
        SELECT seq, :key, container, type, :object, :kind, :body, :stage FROM earlier.step WHERE seq = :seq
"""

COPY_ROWS = (
    """INSERT INTO main.container
           SELECT * FROM earlier.container WHERE id IN (SELECT container FROM main.step) ORDER BY id""",
    """INSERT INTO main.input_row
           SELECT * FROM earlier.input_row WHERE step IN (SELECT seq FROM main.step) ORDER BY line""",
)
"""Take over from the ledger `earlier` what belongs to steps that are taken over."""

OBJECT = "coalesce(nullif(s.object, ''), p.object)"
"""The object of a step `s` with a record `p` of progress: of what was created, only the receipt tells."""

_APPLIED = f"p.state = '{State.APPLIED}'"

_ON_LINES = """s.seq IN (
    SELECT r.step FROM json_each(:lines) AS span CROSS JOIN main.input_row AS r
    WHERE r.line BETWEEN span.value ->> 0 AND span.value ->> 1
)"""

_OF_OBJECTS = f"{OBJECT} IN (SELECT value FROM json_each(:objects))"


class Chosen(Struct, frozen=True):
    """Which steps of an earlier run a new one takes up.

    Attributes:
        condition: what such a step `s`, with its record `p` of progress, meets in its own ledger; SQL.
        parameters: values that the condition names.
    """

    condition: str
    parameters: Mapping[str, str] = {}


def failed(classes: Collection[ErrorClass]) -> Chosen:
    """Choose the steps that failed: with one of `classes`, if any."""
    wanted = " OR ".join(f"p.error_class = '{one}'" for one in classes)
    return Chosen(f"p.state = '{State.REJECTED}'" + (f" AND ({wanted})" if wanted else ""))


def applied(lines: Collection[tuple[int, int]] = (), objects: Collection[str] = ()) -> Chosen:
    """Choose the steps that were applied.

    Args:
        lines: only those with a row on a line within one of these bounds, each the first and the last one.
        objects: only those for an object with one of these ids. With both, what either names.
    """
    if not lines and not objects:
        return Chosen(_APPLIED)
    parameters = {"lines": _listed(lines), "objects": _listed(objects)}
    return Chosen(f"{_APPLIED} AND ({_ON_LINES} OR {_OF_OBJECTS})", parameters)


class Settled(Struct, frozen=True):
    """How a step ends for which nothing is to be sent.

    Attributes:
        state: a final state.
        error: why, if it failed.
        message: the same in a sentence.
        object: id of the object that is there already.
        reference: id by which others refer to it.
    """

    state: State
    error: ErrorClass = ErrorClass.NONE
    message: str = ""
    object: str = ""
    reference: str = ""


class Source(Struct, frozen=True):
    """The object elsewhere of which a copy is made.

    Attributes:
        container: where it is.
        object: the id that its URL takes.
        reference: the id by which others refer to it there.
        etag: its version, or `None`.
    """

    container: str
    object: str
    reference: str
    etag: int | None


class Origin(StrEnum):
    """What a run was made of that is no input: a member of its settings, which names it.

    That is an earlier run, a saved plan, or the endpoint style that a migration reads.
    """

    RETRIES = "retries"
    ROLLS_BACK = "rolls_back"
    PLAN = "plan"
    MIGRATES = "migrates"


class RunRecord(Struct, frozen=True):
    """What was asked: the `run` table's one row, member by column.

    Attributes:
        id: the run's id.
        created_at: seconds since the epoch.
        style: endpoint style.
        input: name of the input as it was given.
        input_sha256: of the decompressed bytes.
        shape: how the input was written, as JSON.
        fingerprint: of the plan.
        settings: what shapes requests, as JSON, without secrets; of a retry or a rollback also its `Origin`.
        rows: records of the input; of a retry those that are sent again, of a rollback those that are undone.
        steps: requests they became.
    """

    id: str
    created_at: float
    style: str
    input: str
    input_sha256: str
    shape: str
    fingerprint: str
    settings: str
    rows: int
    steps: int

    @property
    def retries(self) -> str | None:
        """The run whose failed rows this one sends again, or `None`."""
        return self._origin(Origin.RETRIES)

    @property
    def rolls_back(self) -> str | None:
        """The run that this one undoes, or `None`."""
        return self._origin(Origin.ROLLS_BACK)

    @property
    def plan(self) -> str | None:
        """The saved plan that this run carries out, or `None`."""
        return self._origin(Origin.PLAN)

    @property
    def migrates(self) -> str | None:
        """The endpoint style whose objects this run makes anew in its own, or `None`."""
        return self._origin(Origin.MIGRATES)

    def _origin(self, origin: Origin) -> str | None:
        run = msgspec.json.decode(self.settings).get(origin)
        return None if run is None else str(run)


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
        self._rows: list[tuple[object, ...]] = []
        self._changes: list[tuple[object, ...]] = []

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
        body = plan.body_of(change)
        identity = plan.identity(change)
        key = plan.step_key(self._style, change.container, change.type, identity, change.kind, body)
        container = self._containers.setdefault(change.container, len(self._containers) + 1)
        self._rows.append((row.line, row.line, row.raw))
        self._changes.append(
            (
                row.line,
                key,
                container,
                change.type,
                identity,
                change.object,
                change.kind,
                change.key,
                marked or body,
                change.sought.value if change.sought else plan.name_in(change.document),
                change.sought.by if change.sought else "",
                plan.stage_of(change),
                placement,
            )
        )
        if len(self._rows) >= BATCH:
            self._write()
        return key

    def take_failed(self, earlier: Path, chosen: Chosen) -> None:
        """Take over steps of the ledger `earlier` with all their rows, as they are; instead of `add`.

        Args:
            earlier: a ledger. It is only read.
            chosen: which steps.

        Raises:
            UsageError: it is of an earlier format.
        """
        with self._taking_over(earlier):
            self._db.execute(COPY_FAILED.format(condition=chosen.condition), chosen.parameters)
            self._db.execute(COPY_REVIEWS)

    def take_undone(self, earlier: Path, undone: Iterable[Undo | Lasting]) -> None:
        """Take in what undoes steps of the ledger `earlier`, with the rows of those steps; instead of `add`.

        Args:
            earlier: a ledger. It is only read.
            undone: what undoes each step, or why nothing can.

        Raises:
            UsageError: it is of an earlier format.
        """
        with self._taking_over(earlier):
            for one in undone:
                if isinstance(one, Lasting):
                    self._db.execute("INSERT INTO draft.lasting VALUES (?, ?, ?, ?)", msgspec.structs.astuple(one))
                else:
                    self._take_undo(one)

    def _take_undo(self, undo: Undo) -> None:
        step = plan.step_of(self._style, [undo.change])
        stage = plan.restoring_stage_of(undo.change)
        self._db.execute(UNDO, msgspec.structs.asdict(step) | {"stage": stage})
        if undo.version is not None:
            self._db.execute("INSERT INTO main.review (step, etag) VALUES (?, ?)", (step.seq, undo.version))

    @contextmanager
    def _taking_over(self, earlier: Path) -> Iterator[None]:
        """Let steps be taken over from the ledger `earlier`, and then take over what belongs to them."""
        with ledger_errors(self._path):
            self._db.execute("ATTACH DATABASE ? AS earlier", (f"{earlier.absolute().as_uri()}?mode=ro",))
            ((found,),) = self._db.execute("PRAGMA earlier.user_version")
            if found != FORMAT:
                message = f"{earlier} was written by an earlier version of migrator (format {found})"
                raise UsageError(message, "use that version for it")
            yield
            for statement in COPY_ROWS:
                self._db.execute(statement)
            self._containers = dict(self._db.execute("SELECT name, id FROM main.container ORDER BY id"))

    def step_keys(self) -> Iterator[str]:
        """Yield the key of each step, in order."""
        with ledger_errors(self._path):
            for (key,) in self._db.execute("SELECT key FROM main.step ORDER BY seq"):
                yield key

    def complain(self, problems: Iterable[Problem]) -> None:
        """Keep what is wrong with the input."""
        found = [(problem.line, problem.column, problem.message, problem.hint) for problem in problems]
        with ledger_errors(self._path):
            self._db.executemany("INSERT INTO draft.problem VALUES (?, ?, ?, ?)", found)

    def _write(self) -> None:
        with ledger_errors(self._path):
            self._db.executemany("INSERT INTO input_row VALUES (?, ?, ?)", self._rows)
            marks = ", ".join("?" * 13)
            self._db.executemany(f"INSERT INTO draft.change VALUES ({marks})", self._changes)
        self._rows.clear()
        self._changes.clear()

    def settle(self, line: int, settled: Settled) -> None:
        """Say of the step of a row that nothing is to be sent for it."""
        columns = (line, settled.state, settled.error, settled.message, settled.object, settled.reference)
        with ledger_errors(self._path):
            self._db.execute("INSERT INTO draft.settled VALUES (?, ?, ?, ?, ?, ?)", columns)

    def copies(self, line: int, origin: Source) -> None:
        """Say of what object elsewhere the step of a row makes a copy."""
        columns = (line, origin.container, origin.object, origin.reference, origin.etag)
        with ledger_errors(self._path):
            self._db.execute("INSERT INTO main.origin VALUES (?, ?, ?, ?, ?)", columns)

    # What is to be looked up

    @property
    def seeks(self) -> bool:
        """Whether anything has to be looked up before the rows of an object can be found."""
        self._write()
        return self._count("draft.change WHERE sought <> '' OR placement <> ''") > 0

    def sought(self) -> list[Seeking]:
        """Return what objects are sought, by container, type and kind of name."""
        self._write()
        names = {id_: name for name, id_ in self._containers.items()}
        with ledger_errors(self._path):
            groups = self._db.execute(SOUGHT).fetchall()
        return [Seeking(names[id_], EntityType(type_), By(by), count) for id_, type_, by, count in groups]

    def sought_values(self, seeking: Seeking) -> list[str]:
        """Return the names or references of a group of `sought`."""
        with ledger_errors(self._path):
            return [value for (value,) in self._db.execute(SOUGHT_VALUES, self._group(seeking))]

    def found(self, seeking: Seeking, objects: Iterable[tuple[str, str]]) -> None:
        """Take in objects that were found: name or reference, and id. Those that nobody seeks are left out."""
        with ledger_errors(self._path):
            self._db.executemany(FOUND, [(*self._group(seeking), value, object_) for value, object_ in objects])

    def _group(self, seeking: Seeking) -> tuple[int, str, str]:
        return self._containers[seeking.container], seeking.type, seeking.by

    def settle_sought(self) -> None:
        """Give each row the id of its object. Rows whose object was not found, or found twice, become problems."""
        with ledger_errors(self._path):
            self._db.execute(SETTLE_SOUGHT)
            self.complain(_not_found(*columns) for columns in self._db.execute(NOT_FOUND))

    def text_containers(self) -> list[str]:
        """Return the containers in which placements have to be looked up."""
        names = {id_: name for name, id_ in self._containers.items()}
        with ledger_errors(self._path):
            found = self._db.execute("SELECT DISTINCT container FROM draft.change WHERE placement <> '' ORDER BY 1")
            return [names[id_] for (id_,) in found]

    def reword(self, container: str, change: Callable[[str, TextChange], TextChange | Problem]) -> None:
        """Change the texts of a container for which a placement was looked up.

        Args:
            container: where.
            change: makes of the placement that was sought and of the text the text that is meant, or a problem.
        """
        with ledger_errors(self._path):
            rows = self._db.execute(
                "SELECT line, placement, body FROM draft.change WHERE container = ? AND placement <> '' ORDER BY line",
                (self._containers[container],),
            )
            for line, placement, body in rows:
                meant = [change(placement, edit) for edit in edits_of(body) if isinstance(edit, TextChange)]
                problems = [msgspec.structs.replace(one, line=line) for one in meant if isinstance(one, Problem)]
                self.complain(problems)
                texts = [one for one in meant if isinstance(one, TextChange)]
                self._db.execute("UPDATE draft.change SET body = ? WHERE line = ?", (edits_body(texts), line))

    # Steps

    def merge(self) -> None:
        """Make the steps: one per object. Rows that contradict each other become problems."""
        self._write()
        with ledger_errors(self._path):
            containers = [(id_, name) for name, id_ in self._containers.items()]
            self._db.executemany("INSERT INTO container VALUES (?, ?)", containers)
            for statement in MERGE:
                self._db.execute(statement)
            for changes in self._shared_objects():
                self._merge_object(changes)
            if not self._marks:
                self.complain(_alike(*columns) for columns in self._db.execute(ALIKE))

    def _shared_objects(self) -> Iterator[Sequence[Change]]:
        """Yield the changes of each object that several rows are for, object by object, in order of lines.

        An object whose rows are too much for one request is not loaded: it becomes a problem.
        """
        names = {id_: name for name, id_ in self._containers.items()}
        for object_ in self._db.execute("SELECT container, type, identity FROM draft.shared"):
            if problem := self._size_problem(object_):
                self.complain([problem])
                continue
            container, type_, _ = object_
            found = self._db.execute(CHANGES, object_)
            yield [_change(names[container], EntityType(type_), *columns) for columns in found]

    def _size_problem(self, object_: tuple[int, str, str]) -> Problem | None:
        """Name the row with which the patch of an object gets larger than an object may be."""
        crossing = self._db.execute(CROSSING, (*object_, MAX_OBJECT_BYTES)).fetchone()
        if crossing is None:
            return None
        line, size = crossing
        message = (
            f"with the earlier rows of this object the request would have {_kilobytes(size)};"
            f" the limit is {_kilobytes(MAX_OBJECT_BYTES)}"
        )
        return Problem(line, "", message, "leave some rows for a second run")

    def _merge_object(self, changes: Sequence[Change]) -> None:
        merged = plan.merge(self._style, changes)
        if not isinstance(merged, Step):
            self.complain(merged)
            return
        self._db.execute(
            "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                merged.seq,
                merged.key,
                self._containers[merged.container],
                merged.type,
                merged.object,
                merged.kind,
                merged.body,
                plan.stage_of(changes[0]),
            ),
        )
        lines = [(merged.seq, change.line) for change in changes[1:]]
        self._db.executemany("UPDATE input_row SET step = ? WHERE line = ?", lines)

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
        return self._count(f"step WHERE NOT ({NOTHING})", plan.NO_EDITS)

    def count_unchanged(self) -> int:
        """Return how many rows there is nothing to do for; valid after `merge`."""
        return self._count(f"step JOIN input_row ON step = seq WHERE {NOTHING}", plan.NO_EDITS)

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
            self._db.executescript(PROGRESS + VIEW + triggers())
            self._db.execute(SETTLE_NOTHING, (plan.NO_EDITS, run.created_at))
            self._db.executemany(SETTLE, [(*columns, run.created_at) for columns in settled])
            self._db.execute(f"PRAGMA user_version = {FORMAT}")
            self._db.execute("PRAGMA main.journal_mode = WAL")
            self._db.close()
            sync(self._draft)
            self._draft.rename(self._path)
            sync(self._path.parent)


def _alike(line: int, type_: str, name: str, first: int) -> Problem:
    """Refuse a create that could not be told from another one if the answer to it were lost."""
    message = f"creates a {type_} named '{name}', and so does line {first}: if an answer is lost, which is which?"
    hint = "give them different names, or let each be marked: --marker /characteristics/migrator"
    return Problem(line, "create", message, hint)


def _not_found(line: int, type_: str, by: str, value: str, found: str | None) -> Problem:
    """Say that a row's object was not found, or more than once."""
    column = "name" if by == By.NAME else "id"
    if found is None:
        which = f"named {quote(value)}" if by == By.NAME else quote(value)
        return Problem(line, column, f"there is no {type_} {which}", "see how it is spelled there, or give its id")
    hint = "name the one that is meant by its id"
    return Problem(line, column, f"several of type {type_} are called {quote(value)}: {found}", hint)


def _listed(members: Collection[object]) -> str:
    """Spell values as what `json_each` takes."""
    return msgspec.json.encode(list(members)).decode()


def _kilobytes(size: int) -> str:
    """Spell a size, rounded up so that what is over a limit also reads so."""
    return f"{-(-size // 1024):,} KB"


def _change(container: str, type_: EntityType, line: int, object_: str, kind: str, key: str, body: bytes) -> Change:
    """Read a change back from its columns."""
    patch = kind in plan.PATCHES
    return Change(
        line=line,
        container=container,
        type=type_,
        object=object_,
        kind=Kind(kind),
        edits=edits_of(body) if patch else (),
        document=None if patch or not body else msgspec.json.decode(body),
        key=key,
    )
