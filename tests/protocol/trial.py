"""A run in a world where everything goes wrong: the real engine on a real ledger file, and what must be true of both.

The plan has every kind of change that the protocol treats in its own way: appends and a removal by index, which would
do more if they were applied twice; replaced members; an added member, which dps cannot guard; an object replaced as a
whole, which dps cannot guard either; a deletion; creates; a change that the service refuses, and one of an object that
is not there; a text, one that is not there yet, and a member that is changed only if it is what it was.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from contextvars import Context
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple, Self
from unittest import mock

import msgspec
import structlog

from migrator.core.edit import located
from migrator.core.errors import LedgerFailed, ServiceRefused, Stopped
from migrator.core.model import Change, Edit, EntityType, Json, Kind, Operation, Request, Swap, TextChange
from migrator.core.patch import apply
from migrator.core.reconcile import Bounds
from migrator.core.states import FINAL, OPEN, State
from migrator.core.styles import DPS, XCORE, Style
from migrator.core.verdict import Policy
from migrator.engine import Caller, Engine
from migrator.ledger.planfile import PlanFile
from migrator.ledger.reading import outcome_rows
from migrator.ledger.runledger import RunLedger
from migrator.settings import GOOD_S
from migrator.transport.throttle import Throttle, gate, pacer, window
from tests.plans import row, run_record
from tests.protocol.service import EPOCH_S, LATEST_S, QUIET_S, REFUSED, SEARCH_LAG_S, TIMEOUT_S, US, Service
from tests.protocol.simulation import Disk, Loop, Process

ENOUGH = 100_000
"""Turns that no process needs."""


def is_expected(end: BaseException | None) -> bool:
    """Whether a process may end so: by patience that runs out, a second 401, or another that has its ledger."""
    if isinstance(end, LedgerFailed):
        return "another process has taken over" in str(end)
    return end is None or isinstance(end, ServiceRefused | Stopped)


class Door(NamedTuple):
    """A style, and where it has the members of an object."""

    style: Style
    prefix: str

    @property
    def root(self) -> str:
        return self.style.root

    def at(self, path: str) -> str:
        return f"{self.root}/{self.prefix}{path}"


DOORS = {"dps": Door(DPS, ""), "xcore": Door(XCORE, "xdm:")}

OBJECTS = ["appended", "renamed", "annotated", "deleted", "refused", "several", "shortened", "replaced"]
EDITS = ["reworded", "translated", "swapped"]
MISSING = "missing"
CREATES = ["first", "second", "third"]


def fields_of(door: Door, object_: str) -> dict[str, Json]:
    """Return what an object has to begin with."""
    members = {"name": object_, "tags": ["a", "b"], "status": "draft"}
    return {door.prefix + name: value for name, value in members.items()}


def whole(door: Door) -> dict[str, Json]:
    """Return what the object is to be that is replaced: a member stays, one changes, one comes, and one goes."""
    members = {"name": "replaced", "status": "approved", "note": "new note"}
    return {door.prefix + name: value for name, value in members.items()}


def texts_of(door: Door) -> dict[str, Json]:
    """Return the members of an offer with an English text at one place."""
    names = door.style.texts
    component = {names.kind: "html", names.format: "text/html", names.language: ["en"], names.content: "old"}
    return {names.representations.rpartition("/")[2]: [{names.placement: PLACE, names.components: [component]}]}


PLACE = "dps:offer-placement:1"


def edits(door: Door) -> dict[str, Edit]:
    """Return what is changed as it is found, by object."""
    missing: Mapping[str, Json] = {door.style.texts.components: [{}]}
    return {
        "reworded": TextChange(PLACE, "en", "new"),
        "translated": TextChange(PLACE, "fr", "nouveau", missing=missing),
        "swapped": Swap(door.at("status"), "draft", "approved"),
    }


def changes(door: Door) -> list[Change]:
    """Return the plan, on lines 2 and so on: two rows are for the same object."""
    patches = [
        ("appended", Operation("add", door.at("tags/-"), "c")),
        ("renamed", Operation("replace", door.at("name"), "new name")),
        ("annotated", Operation("add", door.at("note"), "new note")),
        ("deleted", None),
        ("refused", Operation("replace", door.at("status"), REFUSED)),
        ("several", Operation("add", door.at("tags/-"), "c")),
        ("several", Operation("replace", door.at("status"), "approved")),
        ("shortened", Operation("remove", door.at("tags/0"))),
        (MISSING, Operation("replace", door.at("status"), "approved")),
    ]
    type_ = EntityType.PERSONALIZED_OFFER
    found = [
        Change(line, "prod" if object_ == "renamed" else "dev", type_, object_, kind, (operation,) if operation else ())
        for line, (object_, operation) in enumerate(patches, start=2)
        for kind in [Kind.PATCH if operation else Kind.DELETE]
    ]
    rule = EntityType.DECISION_RULE
    found.append(Change(2 + len(found), "dev", rule, "replaced", Kind.REPLACE, document=whole(door)))
    for line, name in enumerate(CREATES, start=2 + len(found)):
        document = {**fields_of(door, name), door.prefix + "note": name}
        found.append(Change(line, "dev", type_, "", Kind.CREATE, document=document, key=name))
    for line, (object_, edit) in enumerate(edits(door).items(), start=2 + len(found)):
        found.append(Change(line, "dev", type_, object_, Kind.EDIT, (edit,)))
    return found


class Plans:
    """Makes the ledger of each style once, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = iter(range(10**9))

    def copy(self, door: Door) -> Path:
        name = door.style.name
        original = self._folder / f"{name}.sqlite"
        if not original.exists():
            with PlanFile(original, name) as plan:
                rows = sum(1 for one in changes(door) if plan.add(row(one.line), one))
                plan.merge()
                plan.finish(msgspec.structs.replace(run_record(rows=rows), style=name))
        return Path(shutil.copy(original, self._folder / f"run-{next(self._numbers)}.sqlite"))


class Time:
    """Implements `ports.Clock` with virtual time and seeded chance."""

    def __init__(self, loop: Loop, dice: Random) -> None:
        self.monotonic = loop.time
        self.chance = dice.random
        self._dice = dice

    def now(self) -> float:
        return EPOCH_S + self.monotonic()

    def request_id(self) -> str:
        return f"{self._dice.getrandbits(128):032x}"


class World:
    """Everything there is: time, the service, a ledger file, and the processes that have it open. A context manager.

    Attributes:
        wrong: invariants of `reference/resumption.md` section 10 that do not hold, and how often.
        leaves_some: whether some changes may be left to a person: because somebody else edits, or there is no guard.
    """

    ledger_class: type[RunLedger] = RunLedger
    bounds = Bounds(QUIET_S, SEARCH_LAG_S, request_s=GOOD_S + TIMEOUT_S)
    guard = True
    leaves_some = False

    def __init__(self, plans: Plans, door: Door, seed: int) -> None:
        self.loop = Loop()  # type: ignore[abstract]  # it has what the program needs
        self.dice = Random(seed)
        self.door = door
        self.service = Service(self.loop, self.dice, root=door.root, prefix=door.prefix)
        self.service.watch = self._watch
        self.processes: list[Process] = []
        self.wrong: Counter[str] = Counter()
        self._ledgers: list[RunLedger] = []
        self._path = plans.copy(door)
        self._final: dict[int, tuple[object, ...]] = {}
        self._epoch = 0
        self._around = ExitStack()
        for object_ in EDITS:
            self.service.add("dev", object_, fields_of(door, object_) | texts_of(door))
        for object_ in OBJECTS:
            self.service.add("prod" if object_ == "renamed" else "dev", object_, fields_of(door, object_))

    def __enter__(self) -> Self:
        time = SimpleNamespace(monotonic=self.loop.time)
        for module in (gate, pacer, window):
            self._around.enter_context(mock.patch.object(module, "time", time))
        before = structlog.get_config()
        self._around.callback(lambda: structlog.configure(**before))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self._db = sqlite3.connect(self._path)
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()
        for process, ledger in zip(self.processes, self._ledgers, strict=True):
            ledger._opened.close()  # so that nothing of what follows reaches the file
            if not process.ended:
                process.bury()
        self.loop.settle()
        self._around.close()
        for path in self._path.parent.glob(self._path.name + "*"):
            path.unlink()

    # Processes

    def start(self, *, host: str = "here", **fate: Any) -> Process:
        """Start a process that carries on the run; see `Process` for what can befall it."""
        process = Process(self.loop, **fate)
        clock = Time(self.loop, self.dice)
        ledger = self.ledger_class(
            self._path,
            good_s=GOOD_S,
            owner=f"{host} {len(self.processes)}",
            now=clock.now,
            monotonic=clock.monotonic,
        )
        ledger._thread = Disk(self.loop, self._moment_s)
        self.processes.append(process)
        self._ledgers.append(ledger)
        process.start(self._run(ledger, clock))
        return process

    def _moment_s(self) -> float:
        """Return how long the disk takes: now and then so long that an intent becomes too old."""
        return TIMEOUT_S if self.dice.random() < 0.002 else self.dice.uniform(0.0, 0.03)

    async def _run(self, ledger: RunLedger, clock: Time) -> None:
        async with ledger:
            ledger._db.execute("PRAGMA synchronous = OFF")  # nothing here cuts the power
            engine = Engine(
                ledger=ledger,
                transport=self.service,
                throttle=Throttle(),
                clock=clock,
                style=self.door.style,
                caller=Caller("dev", US),
                policy=Policy(max_attempts=20, budget_s=3600),
                concurrency=3,
                guard=self.guard,
                bounds=self.bounds,
            )
            await engine.run()

    def await_(self, process: Process) -> None:
        """Go on until a process is dead, stands still or has ended."""
        self.loop.run_until(lambda: process.over or process.paused or process.turns > ENOUGH)
        self._note_end(process)

    def _note_end(self, process: Process) -> None:
        if process.turns > ENOUGH:
            self.wrong["I8 it does not end"] += 1
            process.kill()
        self._expect(is_expected(process.failure), f"the program failed: {process.failure!r}")
        self._note_final()

    def finish(self) -> None:
        """Let the service be well and the run come to its end, then check everything."""
        self.service.fault_rate = 0.0
        self.service.fates.clear()
        for attempt in range(20):
            process = self.start(host=f"last {attempt}" if self._leased() else "here")
            self.await_(process)
            if process.ended and process.failure is None:
                break
            self.loop.rest(20)
        for process in self.processes:
            self.loop.run_until(lambda process=process: process.over)  # type: ignore[misc]
            self._note_end(process)
        self.loop.rest(LATEST_S)
        self.check()

    def _leased(self) -> bool:
        """Whether a process may still have the ledger, so that only another host may ask for it."""
        return any(not process.over for process in self.processes)

    # What must be true

    def _watch(self, request: Request) -> None:
        """Look at the ledger at the moment a write leaves."""
        found = self._rows("SELECT state FROM progress WHERE request_id = ?", request.request_id)
        self._expect(found == [(State.INTENT,)], "I6 sent without a durable intent")

    def _note_final(self) -> None:
        """See that what was final stays as it is."""
        rows = self._rows("SELECT step, state, ended_at, http_status, message, etag, object, how FROM progress")
        final = {step: tuple(rest) for step, *rest in rows if rest[0] in FINAL}
        for step, was in self._final.items():
            self._expect(final.get(step) == was, "I11 a final row changed")
        self._final = final

    def check_twice(self) -> None:
        """See that nothing was applied twice."""
        for target, times in Counter(effect.target for effect in self.service.effects).items():
            self._expect(times == 1, f"I1 {target} was changed twice")

    def check_midway(self) -> None:
        """See that nothing is wrong yet."""
        self.check_twice()
        self._note_final()
        self._expect(self._rows(TO_SEND) == self._rows(PENDING), "I15 what is to be sent is not what is pending")
        self._expect(self._rows(TALLY) == self._rows(SETTLED), "I15 the tally is not what the rows come to")
        epoch = self._rows("SELECT epoch FROM lease")[0][0]
        self._expect(self._epoch <= epoch <= len(self.processes), "I12 an epoch that nobody has taken")
        self._epoch = epoch

    def check(self) -> None:
        """See that ledger and service agree; when nothing is on the way any more."""
        self.check_midway()
        states = {self._target(*step): State(state) for *step, state in self._rows(STATES)}
        for target, state in states.items():
            self._check_step(target, state)
        self._check_attempts()
        self._expect(not self.loop.failures, f"the program failed unseen: {self.loop.failures}")
        lines = [outcome.line for outcome in outcome_rows(self._path)]
        self._expect(lines == [one.line for one in changes(self.door)], "I15 a line of the input is missing")
        self._check_rest()

    def _check_step(self, target: str, state: State) -> None:
        times = sum(effect.target == target for effect in self.service.effects)
        self._expect(state not in OPEN, f"I8 {target} is {state}")
        self._expect(state is not State.UNRESOLVED or self.leaves_some, f"I8 {target} was not to be decided")
        if state is State.APPLIED:
            self._expect(times == 1, f"I2 {target} is APPLIED but was changed {times} times")
        elif state is not State.UNRESOLVED:
            self._expect(times == 0, f"I3 {target} is {state} but was changed")
        if not self.leaves_some:
            self._expect(self._as_if_once(target, state), f"I10 {target} is {state} and not what it should be")

    def _as_if_once(self, target: str, state: State) -> bool:
        """Whether the service has what an undisturbed run would leave in it."""
        applied = state is State.APPLIED
        if target in CREATES:
            return self.service.named(target) == applied
        if target == MISSING:
            return not applied
        fields = fields_of(self.door, target) | (texts_of(self.door) if target in EDITS else {})
        mine = [one for one in changes(self.door) if one.object == target]
        if applied and mine[0].kind is Kind.DELETE:
            return self.service.fields(target) is None
        if applied and mine[0].kind is Kind.REPLACE:
            return self.service.fields(target) == whole(self.door)
        root = self.door.root[1:]
        before = {root: fields} if root else fields
        wanted = [edit for one in mine for edit in one.edits]
        after = apply(located(wanted, before, self.door.style.texts), before) if applied else None
        return self.service.fields(target) == (fields if after is None else after[root] if root else after)

    def _check_attempts(self) -> None:
        """See that the service got no more than the ledger knows, and always the same."""
        known = dict(self._rows("SELECT request_id, step FROM attempt UNION SELECT request_id, step FROM progress"))
        sent = defaultdict(list)
        for write in self.service.writes:
            self._expect(write.request_id in known, "I7 a request that the ledger does not know")
            sent[known.get(write.request_id)].append((write.body, write.headers.get("If-Match")))
        for requests in sent.values():
            self._expect(self.leaves_some or len(set(requests)) == 1, "I7 a request on another base")

    def _check_rest(self) -> None:
        """See that a finished run is left alone."""
        before = self.service.requests
        process = self.start()
        self.await_(process)
        self._expect(process.ended and process.failure is None, "I9 a finished run cannot be opened")
        self._expect(self.service.requests == before, "I9 a finished run sends something")

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.wrong[otherwise] += 1

    @staticmethod
    def _target(object_: str, kind: str, body: bytes) -> str:
        """Name a step as the log of effects does."""
        if kind != Kind.CREATE:
            return object_
        document = msgspec.json.decode(body)
        return str(document.get("name") or document.get("xdm:name"))

    def _rows(self, statement: str, *parameters: object) -> list[Any]:
        return self._db.execute(statement, parameters).fetchall()


STATES = """
SELECT s.object, s.kind, s.body, coalesce(p.state, 'PENDING') FROM step s LEFT JOIN progress p ON p.step = s.seq
"""


TO_SEND = "SELECT container, stage, step FROM to_send ORDER BY 3"

PENDING = """
SELECT s.container, s.stage, s.seq FROM step s LEFT JOIN progress p ON p.step = s.seq
WHERE coalesce(p.state, 'PENDING') = 'PENDING' ORDER BY 3
"""

TALLY = "SELECT state, steps, rows, attempts, tried, first_sent_at, ended_at FROM tally WHERE steps ORDER BY 1"

SETTLED = """
SELECT p.state, count(*), sum((SELECT count(*) FROM input_row r WHERE r.step = p.step)),
       sum(p.attempt - p.unsent), sum(p.attempt > p.unsent), min(p.sent_at) FILTER (WHERE p.attempt > 0),
       max(p.ended_at)
FROM (SELECT *, (SELECT count(*) FROM attempt a WHERE a.step = p.step AND a.error_class = '') AS unsent
      FROM progress p) AS p
WHERE p.state IN ('APPLIED', 'REJECTED', 'SKIPPED', 'UNCHANGED') GROUP BY 1 ORDER BY 1
"""


# What befalls a run

LIFE = 800
"""Turns of a process that is left alone, about."""

Story = Callable[[World, int], None]
"""Carries a run to its end, with the first misfortune at the turn given."""


def killed_twice(world: World, first: int) -> None:
    """Kill a process, and the one that carries on somewhere as well."""
    for kill_at in (first, world.dice.randint(1, LIFE)):
        world.await_(world.start(kill_at=kill_at))
        world.loop.rest(world.dice.choice((0.001, 1, 20, 100)))
    world.finish()


def cancelled(world: World, first: int) -> None:
    """End a process in haste but in order, and kill the one that carries on."""
    process = world.start()
    world.loop.run_until(lambda: process.turns >= first or process.over)
    process.cancel()
    world.loop.run_until(lambda: process.over)
    killed_twice(world, world.dice.randint(1, LIFE))


def paused(world: World, first: int) -> None:
    """Let a process stand still and go on, and perhaps kill it soon after."""
    dice = world.dice
    kill_at = first + dice.randint(1, 60) if dice.random() < 0.5 else 0
    process = world.start(pause_at=first, pause_s=dice.choice((10, 40, 55, 300)), kill_at=kill_at)
    world.loop.run_until(lambda: process.over)
    world.finish()


def taken_over(world: World, first: int) -> None:
    """Let a process stand still until another host has taken over, and go on while that is at work, or afterwards."""
    world.await_(world.start(pause_at=first, pause_s=world.dice.uniform(115, 180)))
    world.finish()


def meddled_with(world: World, first: int) -> None:
    """Kill twice, while somebody else edits, undoes and deletes."""
    world.leaves_some = True
    for number in range(world.dice.randint(1, 4)):
        object_, member = world.dice.choice(EDITED), world.dice.choice(MEMBERS)
        at = world.dice.uniform(0, 150)
        deed = world.dice.choice(
            [
                partial(world.service.edit, object_, member, foreign_value(member, number)),
                partial(world.service.undo, object_, member),
                partial(world.service.remove, object_),
            ]
        )
        world.loop.call_at(at, deed, context=Context())
    killed_twice(world, first)


EDITED = [object_ for object_ in [*OBJECTS, *EDITS] if object_ != "deleted"]
"""What somebody else may edit."""

MEMBERS = ["name", "tags", "status", "note", "other"]
"""And where: what we change, and something else."""


def foreign_value(member: str, number: int) -> Json:
    """Return what nobody ever writes a second time."""
    return [f"foreign {number}"] if member == "tags" else f"foreign {number}"
