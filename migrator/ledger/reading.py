"""Looking at a ledger without touching it, also while its run is running."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from migrator.core.model import Base, EntityType, Kind, Step
from migrator.core.states import OPEN, State
from migrator.core.undo import Made
from migrator.core.verdict import ErrorClass
from migrator.ledger.columns import touched
from migrator.ledger.conditions import OBJECT, Chosen
from migrator.ledger.database import connect, ledger_errors, read_only
from migrator.ledger.records import RunRecord
from migrator.ledger.schema import UNSETTLED
from migrator.ports import How

MORE_ROWS = "(SELECT count(*) FROM input_row AS r WHERE r.step = {step} AND r.step <> r.line)"
"""How many rows a step has beside its first one."""

TAKEN_BACK = "(SELECT count(*) FROM attempt AS a WHERE a.step = p.step AND a.error_class = '')"
"""How many attempts of a step were taken back before they were sent: those that ended without an error class."""

COUNT_DRIFTED = f"""
SELECT coalesce(sum(1 + {MORE_ROWS.format(step="p.step")}), 0) FROM progress AS p
WHERE p.state <> '{State.APPLIED}' AND p.error_class <> '' AND p.error_class = '{ErrorClass.DRIFTED}'
  AND p.state = '{State.REJECTED}'
"""

# What is settled has been counted already, and may be very much. A step that is pending may have attempts.
STAND = f"""
SELECT state, sum(steps), sum(rows), sum(attempts), sum(tried), min(first_sent_at), max(ended_at) FROM (
SELECT state, steps, rows, attempts, tried, first_sent_at, ended_at FROM tally WHERE steps > 0
UNION ALL
SELECT '{State.PENDING}', count(*), coalesce(sum(1 + {MORE_ROWS.format(step="t.step")}), 0), 0, 0, NULL, NULL
FROM to_send AS t HAVING count(*) > 0
UNION ALL
SELECT p.state, sum(p.state <> '{State.PENDING}'),
       sum((p.state <> '{State.PENDING}') * (1 + {MORE_ROWS.format(step="p.step")})),
       sum(p.attempt - {TAKEN_BACK}), sum(p.attempt > {TAKEN_BACK}),
       min(p.sent_at) FILTER (WHERE p.attempt > 0), max(p.ended_at)
FROM progress AS p WHERE {UNSETTLED} GROUP BY p.state
) GROUP BY state
"""
"""Where the steps stand: the members of `Stand` in their order."""

MAPPED = f"""
SELECT s.seq, s.type, o.etag, o.reference, o.object, o.container, p.reference, {OBJECT}, c.name
FROM origin AS o JOIN step AS s ON s.seq = o.step JOIN container AS c ON c.id = s.container
JOIN progress AS p ON p.step = o.step
WHERE p.state IN ('{State.APPLIED}', '{State.UNCHANGED}') AND p.reference <> '' ORDER BY o.step
"""

TARGETS = f"""
SELECT s.type, p.reference FROM origin AS o CROSS JOIN step AS s ON s.seq = o.step
CROSS JOIN progress AS p ON p.step = o.step
WHERE o.reference = ? AND p.state IN ('{State.APPLIED}', '{State.UNCHANGED}') AND p.reference <> ''
"""

ENDS = """
SELECT o.container, c.name FROM origin AS o JOIN step AS s ON s.seq = o.step JOIN container AS c ON c.id = s.container
LIMIT 1
"""
"""A migration has one container on either side."""

COUNT_HELD = f"SELECT coalesce(sum(1 + {MORE_ROWS.format(step='h.step')}), 0) FROM held AS h"

LAST_ERROR = """
SELECT message FROM progress WHERE state <> 'APPLIED' AND error_class <> '' ORDER BY ended_at DESC LIMIT 1
"""


class Stand(Struct, frozen=True):
    """What the steps of a run in one state come to.

    Attributes:
        state: which.
        steps: requests.
        rows: input rows.
        attempts: requests sent, repeats included.
        tried: steps that were sent at least once.
        first_sent_at: when the first intent was written, seconds since the epoch, or `None`.
        ended_at: when the last answer came, or `None`.
    """

    state: State
    steps: int
    rows: int
    attempts: int
    tried: int
    first_sent_at: float | None
    ended_at: float | None


class Summary(Struct, frozen=True):
    """Where a run stands.

    Attributes:
        run: what was asked.
        rows: input rows by state.
        steps: requests by state.
        attempts: requests sent, repeats included.
        tried: steps that were sent at least once.
        started_at: when the first intent was written, seconds since the epoch, or `None`.
        ended_at: when the last answer came, or `None`.
        last_error: the latest message of a step that was not applied, or "".
        drifted: rows of a saved plan whose object had changed since; they are among those that are REJECTED.
        held: rows that wait for others to be tried; they are among those that are PENDING.
    """

    run: RunRecord
    rows: Mapping[State, int]
    steps: Mapping[State, int]
    attempts: int
    tried: int
    started_at: float | None
    ended_at: float | None
    last_error: str
    drifted: int = 0
    held: int = 0

    def count(self, *states: State) -> int:
        """Return how many input rows are in `states`."""
        return sum(self.rows.get(state, 0) for state in states)

    @property
    def repeats(self) -> int:
        """How many of the requests were repeats: all but the first for each step that was tried."""
        return self.attempts - self.tried

    @property
    def lost(self) -> int:
        """Input rows that have no state: 0, unless the ledger is damaged in a way that SQLite does not notice."""
        return self.run.rows - sum(self.rows.values())

    @property
    def complete(self) -> bool:
        """Whether nothing is left that the run would do by itself."""
        return not self.lost and self.count(*OPEN) == 0


class OutcomeRow(Struct, frozen=True):
    """One input row with what became of it; columns of the view `outcomes`."""

    line: int
    state: State
    http_status: int | None
    error_class: str
    message: str
    etag: int | None
    object: str
    raw: str


class Place(Struct, frozen=True):
    """Where an object is.

    Attributes:
        reference: the id by which others refer to it.
        object: the id that its URL takes.
        container: as in `Step`.
    """

    reference: str
    object: str
    container: str


class Mapped(Struct, frozen=True):
    """An object of a migration's source, and what it is in the target.

    Attributes:
        seq: line of its row.
        type: of both.
        etag: version of the source when it was read, or `None`.
        source: where it is.
        target: where the other one is.
    """

    seq: int
    type: EntityType
    etag: int | None
    source: Place
    target: Place


def mapped(path: Path) -> Iterator[Mapped]:
    """Yield the id map of the migration whose ledger is `path`, in the order of its rows."""
    with read_only(path) as db:
        for seq, type_, etag, *ids in db.execute(MAPPED):
            yield Mapped(seq, EntityType(type_), etag, Place(*ids[:3]), Place(*ids[3:]))


@contextmanager
def id_map(path: Path) -> Iterator[Callable[[str], Mapping[str, str]]]:
    """Open the id map of the migration whose ledger is `path`, to look up what is too much to have in memory.

    It takes what objects of the source are referred to by, and returns what those of each type are in the target.
    """
    with read_only(path) as db:
        yield lru_cache(maxsize=4096)(lambda reference: dict(db.execute(TARGETS, [reference])))


def ends(path: Path) -> tuple[str, str]:
    """Return the containers that the migration whose ledger is `path` reads and writes."""
    with read_only(path) as db:
        source, target = db.execute(ENDS).fetchone()
        return str(source), str(target)


def read_run(path: Path) -> RunRecord:
    """Return what was asked of the run whose ledger is `path`."""
    with read_only(path) as db:
        return _run(db)


def summarize(path: Path) -> Summary:
    """Count the ledger `path`."""
    with read_only(path) as db:
        # One transaction, so that a running run does not move between two counts.
        db.execute("BEGIN")
        return summary_of(db)


def summary_of(db: sqlite3.Connection) -> Summary:
    """Count a ledger that is open in a transaction."""
    stand = [Stand(State(state), *columns) for state, *columns in db.execute(STAND)]
    error = db.execute(LAST_ERROR).fetchone()
    run = _run(db)
    (drifted,) = db.execute(COUNT_DRIFTED).fetchone() if run.plan else (0,)
    (held,) = db.execute(COUNT_HELD).fetchone()
    return Summary(
        run,
        rows={one.state: one.rows for one in stand},
        steps={one.state: one.steps for one in stand},
        attempts=sum(one.attempts for one in stand),
        tried=sum(one.tried for one in stand),
        started_at=min((one.first_sent_at for one in stand if one.first_sent_at is not None), default=None),
        ended_at=max((one.ended_at for one in stand if one.ended_at is not None), default=None),
        last_error=error[0] if error else "",
        drifted=drifted,
        held=held,
    )


def taken_up(earlier: Path, later: Path, chosen: Chosen) -> dict[State, int]:
    """Count, by where they stand in `later`, the steps of `earlier` that `later` takes up again, or undoes.

    Args:
        earlier: a ledger.
        later: the ledger of a retry or a rollback of it, or of a retry of that: their steps have the numbers of those
            they are from.
        chosen: which steps of `earlier`.
    """
    query = f"""
        SELECT coalesce(l.state, 'PENDING'), count(*)
        FROM main.progress AS p JOIN main.step AS s ON s.seq = p.step
        JOIN later.step AS t ON t.seq = s.seq LEFT JOIN later.progress AS l ON l.step = t.seq
        WHERE {chosen.condition} GROUP BY 1
    """
    with ledger_errors(later), closing(connect(earlier, read_only=True)) as db:
        db.execute("ATTACH DATABASE ? AS later", (f"{later.absolute().as_uri()}?mode=ro",))
        return _counts(db, query, chosen.parameters)


def made_steps(path: Path, chosen: Chosen) -> Iterator[Made]:
    """Yield steps that were applied, with what was captured of their objects, in order.

    Args:
        path: a ledger.
        chosen: which of them.
    """
    query = f"""
        SELECT s.seq, s.key, c.name, s.type, {OBJECT}, s.kind, s.body, p.etag, p.how,
               b.step IS NOT NULL, b.etag, b.touched
        FROM step AS s JOIN progress AS p ON p.step = s.seq JOIN container AS c ON c.id = s.container
        LEFT JOIN base AS b ON b.step = s.seq
        WHERE {chosen.condition} ORDER BY s.seq
    """
    with read_only(path) as db:
        for seq, key, container, type_, object_, kind, body, etag, how, *base in db.execute(query, chosen.parameters):
            step = Step(seq, key, container, EntityType(type_), object_, Kind(kind), body)
            yield Made(step, _base(*base), etag, told=how == How.ANSWER)


def _base(based: int, etag: int | None, places: str | None, name: str = "") -> Base | None:
    """Return what was captured of an object; the body that was sent is left out."""
    return Base(etag, touched(places), b"", guarded=False, name=name) if based else None


def outcome_rows(path: Path) -> Iterator[OutcomeRow]:
    """Yield every input row with its outcome, in the order of the input."""
    with read_only(path) as db:
        rows = db.execute(
            "SELECT line, state, http_status, error_class, message, etag, object, raw FROM outcomes ORDER BY line"
        )
        for line, state, *rest in rows:
            yield OutcomeRow(line, State(state), *rest)


def _run(db: sqlite3.Connection) -> RunRecord:
    columns = ", ".join(RunRecord.__struct_fields__)
    return RunRecord(*db.execute(f"SELECT {columns} FROM run").fetchone())


def _counts(db: sqlite3.Connection, query: str, parameters: Mapping[str, str] | None = None) -> dict[State, int]:
    return {State(state): count for state, count in db.execute(query, parameters or {})}


class ContainerStand(Struct, frozen=True):
    """Where the steps of one container stand.

    Attributes:
        name: of the container.
        steps: those that are to be sent or were, without those that are held back.
        ended: those of them that there is no more to do about.
    """

    name: str
    steps: int
    ended: int


# What is to be sent is kept in the order of containers; of a run that has not begun there is nothing else.
CONTAINERS = f"""
SELECT c.name, sum(steps), sum(ended) FROM (
    SELECT container, count(*) AS steps, 0 AS ended FROM to_send WHERE step NOT IN (SELECT step FROM held)
    GROUP BY container
    UNION ALL
    SELECT s.container, count(*), count(*) FILTER (WHERE p.state NOT IN {tuple(state.value for state in OPEN)})
    FROM progress AS p JOIN step AS s ON s.seq = p.step
    WHERE p.state NOT IN ('{State.PENDING}', '{State.SKIPPED}') AND p.step NOT IN (SELECT step FROM held)
    GROUP BY s.container
) AS stand JOIN container AS c ON c.id = stand.container GROUP BY c.id ORDER BY c.id
"""


COUNT_STEPS = f"""
SELECT steps - coalesce((SELECT steps FROM tally WHERE state = '{State.SKIPPED}'), 0) - (SELECT count(*) FROM held)
FROM run
"""


def count_steps(path: Path) -> int:
    """Return how many steps there are, without those that are left out or held back."""
    with read_only(path) as db:
        return int(db.execute(COUNT_STEPS).fetchone()[0])


def containers(path: Path) -> list[ContainerStand]:
    """Return where each container stands, in the order of first rows."""
    with read_only(path) as db:
        return [ContainerStand(*row) for row in db.execute(CONTAINERS)]


class PlannedStep(Struct, frozen=True):
    """One step of a plan, with what is known of its object.

    Attributes:
        seq: line of its first row.
        lines: the lines of all of its rows.
        container: as in `Step`, and so are `type`, `object`, `kind` and `body`.
        state: where it stands; `PENDING` if it is to be sent.
        error_class: why it is not to be sent.
        message: the same in a sentence.
        base: what its object is, or `None` if it was not read.
        source: of a copy: the id by which others refer to the object that it is made after; else "".
    """

    seq: int
    lines: tuple[int, ...]
    container: str
    type: EntityType
    object: str
    kind: Kind
    body: bytes
    state: State
    error_class: str
    message: str
    base: Base | None
    source: str = ""


# A plan that is saved has in `review` what it had in `base`.
PLANNED = """
SELECT s.seq, r.lines, c.name, s.type, s.object, s.kind, s.body,
       CASE WHEN h.step IS NULL THEN coalesce(p.state, 'PENDING') ELSE 'SKIPPED' END,
       coalesce(p.error_class, ''), coalesce(p.message, ''), coalesce(o.reference, ''),
       b.step IS NOT NULL, b.etag, b.touched, b.name
FROM step AS s JOIN container AS c ON c.id = s.container LEFT JOIN progress AS p ON p.step = s.seq
JOIN (SELECT step, json_group_array(line) AS lines FROM input_row GROUP BY step) AS r ON r.step = s.seq
LEFT JOIN held AS h ON h.step = s.seq
LEFT JOIN origin AS o ON o.step = s.seq
LEFT JOIN (
    SELECT step, etag, touched, name FROM base UNION ALL SELECT step, etag, touched, name FROM review
) AS b ON b.step = s.seq
ORDER BY s.stage, s.seq
"""

_LINES = msgspec.json.Decoder(tuple[int, ...]).decode


def planned_steps(path: Path) -> Iterator[PlannedStep]:
    """Yield the steps of a plan that was surveyed, in the order in which they are sent.

    A step that is held back counts as left out.
    """
    with read_only(path) as db:
        for seq, lines, container, type_, object_, kind, body, state, error, message, source, *base in db.execute(
            PLANNED
        ):
            yield PlannedStep(
                seq,
                tuple(sorted(_LINES(lines))),
                container,
                EntityType(type_),
                object_,
                Kind(kind),
                body,
                State(state),
                error,
                message,
                _base(*base),
                source,
            )
