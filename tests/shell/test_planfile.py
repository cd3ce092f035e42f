"""Plans of any size are made on the disk, merge what belongs together, and are there whole or not at all."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.core import plan as rules
from migrator.core.errors import LedgerFailed, UsageError
from migrator.core.model import Change, EntityType, Kind, Operation, Problem, Step
from migrator.ledger import merging, planfile
from migrator.ledger.planfile import PlanFile
from migrator.ledger.reading import read_run
from tests.plans import STYLE, changes, make_plan, row, run_record
from tests.waiting import child

OFFER = EntityType.PERSONALIZED_OFFER


def put(line: int, object_: str, pointer: str, value: object = 1, container: str = "dev") -> Change:
    return Change(line, container, OFFER, object_, Kind.PATCH, (Operation("replace", pointer, value),))


def create(line: int, key: str = "") -> Change:
    return Change(line, "dev", OFFER, "", Kind.CREATE, document={"name": "A"}, key=key)


def delete(line: int, object_: str) -> Change:
    return Change(line, "dev", OFFER, object_, Kind.DELETE)


def read(ledger: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(ledger)) as db:
        return db.execute(query).fetchall()


def pointers(ledger: Path) -> dict[int, list[str]]:
    """Return what each step writes, by its first line and in the order of the steps."""
    found = read(ledger, "SELECT seq, body FROM step ORDER BY rowid")
    return {seq: [operation["path"] for operation in json.loads(body)] for seq, body in found}


def links(ledger: Path) -> dict[int, int]:
    """Return the step of each row."""
    return dict(read(ledger, "SELECT line, step FROM input_row ORDER BY line"))


def problems_of(path: Path, of: Iterable[Change], *, marks: bool = False) -> list[Problem]:
    with PlanFile(path, STYLE, marks=marks) as plan:
        for one in of:
            plan.add(row(one.line), one)
        plan.merge()
        return list(plan.problems())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_the_rows_of_an_object_become_one_step_whatever_lies_between(path: Path) -> None:
    make_plan(
        path,
        [
            put(2, "a", "/name"),
            put(3, "b", "/name"),
            put(4, "a", "/status"),
            put(5, "c", "/name"),
            put(8, "a", "/rank/priority"),
            put(9, "b", "/status"),
        ],
    )

    assert pointers(path) == {2: ["/name", "/status", "/rank/priority"], 3: ["/name", "/status"], 5: ["/name"]}
    assert links(path) == {2: 2, 3: 3, 4: 2, 5: 5, 8: 2, 9: 3}


def test_the_same_id_elsewhere_is_another_object(path: Path) -> None:
    tag = Change(4, "dev", EntityType.TAG, "a", Kind.PATCH, (Operation("replace", "/name", 1),))
    make_plan(path, [put(2, "a", "/name"), put(3, "a", "/name", container="prod"), tag])

    assert links(path) == {2: 2, 3: 3, 4: 4}


def test_rows_merge_across_the_batches_in_which_they_are_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planfile, "BATCH", 2)
    make_plan(path, [put(line, "a" if line % 5 == 0 else f"o{line}", f"/f{line}") for line in range(1, 12)])

    assert pointers(path)[5] == ["/f5", "/f10"]
    assert links(path) == {line: 5 if line == 10 else line for line in range(1, 12)}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["dev", "prod"]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["/name", "/status", "/rank"]),
            st.integers(0, 1),
        ),
        max_size=14,
    )
)
def test_a_plan_on_disk_is_what_the_rules_make_of_the_rows_in_memory(
    rows: list[tuple[str, str, str, int]],
) -> None:
    of = [put(2 * i, object_, pointer, value, container) for i, (container, object_, pointer, value) in enumerate(rows)]
    by_object: dict[tuple[str, str], list[Change]] = {}
    for one in of:
        by_object.setdefault((one.container, one.object), []).append(one)
    merged = [rules.merge(STYLE, together) for together in by_object.values()]
    expected = sorted((step.seq, step.key, step.body) for step in merged if isinstance(step, Step))
    problems = sorted(problem for found in merged if not isinstance(found, Step) for problem in found)

    with TemporaryDirectory() as folder, PlanFile(Path(folder) / "ledger.sqlite", STYLE) as plan:
        for one in of:
            plan.add(row(one.line), one)
        plan.merge()

        assert plan._db.execute("SELECT seq, key, body FROM step ORDER BY rowid").fetchall() == expected
        assert sorted(plan.problems()) == problems
        assert (plan.count_steps(), plan.count_problems()) == (len(expected), len(problems))
        assert set(plan.container_names()) == {one.container for one in of}


def test_a_row_that_contradicts_an_earlier_one_is_a_problem_with_its_line(path: Path) -> None:
    found = problems_of(
        path,
        [
            put(2, "a", "/name", "A"),
            put(3, "b", "/name", "B"),
            delete(5, "b"),
            put(6, "c", "/name", "C"),
            put(9, "a", "/name", "Z"),
            Change(10, "dev", OFFER, "d", Kind.REPLACE, document={"name": "D"}),
            Change(11, "dev", OFFER, "d", Kind.REPLACE, document={"name": "D"}),
        ],
    )

    assert [(problem.line, problem.column) for problem in found] == [(5, "id"), (9, "path"), (11, "id")]
    assert "line 3" in found[0].message
    assert "line 2" in found[1].message
    assert found[2].message == "replaces the object that line 10 replaces"


def test_the_rows_of_an_object_that_are_too_much_for_one_request_are_not_loaded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = [put(line, "a", f"/f{line}", "x" * 100_000) for line in (2, 3, 5, 8)]
    of += [put(4, "b", "/name", "B"), put(6, "b", "/status", "C")]
    loaded: list[str] = []
    merge = rules.merge

    def noted(style: str, together: Sequence[Change]) -> Step | list[Problem]:
        loaded.append(together[0].object)
        return merge(style, together)

    monkeypatch.setattr(rules, "merge", noted)

    assert problems_of(path, of) == [
        Problem(
            8,
            "",
            "with the earlier rows of this object the request would have 391 KB; the limit is 300 KB",
            "leave some rows for a second run",
        )
    ]
    assert loaded == ["b"]


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_is_that_of_the_merged_request_to_the_byte(
    path: Path, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    of = [put(line, "a", f"/f{line}", "x") for line in (2, 3, 4)]
    merged = rules.merge(STYLE, of)
    assert isinstance(merged, Step)
    monkeypatch.setattr(merging, "MAX_OBJECT_BYTES", len(merged.body) - over)

    assert [problem.line for problem in problems_of(path, of)] == [4] * over


def test_two_equal_creates_need_keys_of_their_own(path: Path) -> None:
    assert [problem.line for problem in problems_of(path, [create(2), create(3)])] == [3]
    assert problems_of(path, [create(2, "one"), create(3, "two")], marks=True) == []


def named(line: int, name: str, container: str = "dev", type_: EntityType = OFFER, **members: str) -> Change:
    document = {"name": name, **members}
    return Change(line, container, type_, "", Kind.CREATE, document=document, key=members.pop("key", ""))


def test_creates_of_one_name_could_not_be_told_apart(path: Path) -> None:
    of = [
        named(2, "A"),
        named(3, "B"),
        named(4, "A", status="draft"),
        named(5, "A", container="prod"),
        named(6, "A", type_=EntityType.TAG),
        named(7, "A", key="another"),
        named(8, "A"),
        put(9, "A", "/name", "A"),
    ]

    problems = problems_of(path, of)

    alike = "creates a personalized-offer named 'A', and so does line 2: if an answer is lost, which is which?"
    assert [(problem.line, problem.message) for problem in problems] == [
        (4, alike),
        (7, alike),
        (8, "creates the same object as line 2"),
    ]
    assert "--marker" in problems[0].hint


def test_creates_that_are_marked_may_have_one_name(path: Path) -> None:
    with PlanFile(path, STYLE, marks=True) as plan:
        keys = [
            plan.add(row(one.line), one, b'{"name":"A","mark":"run:%d"}' % one.line)
            for one in (named(2, "A"), named(3, "A", status="draft"))
        ]
        plan.merge()
        assert plan.count_problems() == 0
        plan.finish(run_record(rows=2))

    bodies = read(path, "SELECT seq, key, body FROM step ORDER BY seq")
    assert bodies == [(line, keys[line - 2], b'{"name":"A","mark":"run:%d"}' % line) for line in (2, 3)]
    unmarked = rules.merge(STYLE, [named(2, "A")])
    assert isinstance(unmarked, Step)
    assert keys[0] == unmarked.key, "a create is known by what it makes, not by its marker"


def test_problems_come_in_the_order_of_lines_whoever_found_them_and_when(path: Path) -> None:
    with PlanFile(path, STYLE) as plan:
        plan.complain([Problem(7, "type", "late")])
        plan.add(row(2), put(2, "a", "/name", 1))
        plan.add(row(5), put(5, "a", "/name", 2))
        plan.complain([Problem(0, "", "the whole file"), Problem(7, "id", "later")])
        plan.merge()

        assert [(problem.line, problem.column) for problem in plan.problems()] == [
            (0, ""),
            (5, "path"),
            (7, "type"),
            (7, "id"),
        ]


def test_a_plan_with_problems_is_never_carried_out(path: Path) -> None:
    with PlanFile(path, STYLE) as plan:
        plan.complain([Problem(2, "id", "wrong")])
        plan.merge()
        with pytest.raises(UsageError, match="1 problems"):
            plan.finish(run_record())

    assert list(path.parent.iterdir()) == []


def test_a_finished_plan_is_a_ledger_and_nothing_else_is_left(path: Path) -> None:
    run = run_record("spring", rows=3)
    make_plan(path, changes(["dev", "prod", "dev"]), run)

    assert list(path.parent.iterdir()) == [path]
    assert read_run(path) == run
    assert read(path, "PRAGMA integrity_check") == [("ok",)]
    assert read(path, "PRAGMA journal_mode") == [("wal",)]
    assert read(path, "SELECT line, state, raw FROM outcomes ORDER BY line") == [
        (line, "PENDING", f'["row {line}"]') for line in (2, 3, 4)
    ]
    assert read(path, "SELECT epoch, owner, expires_at FROM lease") == [(0, "", 0.0)], "nobody has it yet"
    assert read(path, "SELECT count(*) FROM base") == [(0,)]


def test_a_ledger_gets_its_name_when_it_is_on_the_disk_and_then_the_name_goes_there_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, bool]] = []
    monkeypatch.setattr(planfile, "sync", lambda what: synced.append((what, path.exists())))

    make_plan(path, changes(["dev"]))

    assert synced == [(path.with_suffix(".planning"), False), (path.parent, True)]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_nothing_stays_of_a_plan_that_is_not_finished(path: Path, error: type[BaseException] | None) -> None:
    def plan_and_leave() -> None:
        with PlanFile(path, STYLE) as plan:
            for one in changes(["dev"] * 5000):
                plan.add(row(one.line), one)
            plan.merge()
            assert len(list(path.parent.iterdir())) == 2
            if error is not None:
                raise error

    if error is None:
        plan_and_leave()
    else:
        with pytest.raises(error):
            plan_and_leave()

    assert list(path.parent.iterdir()) == []


def test_nothing_stays_of_a_plan_that_could_not_begin(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planfile, "DRAFT", "CREATE TABLE draft.change (line NONSENSE) STRICT")

    with pytest.raises(LedgerFailed, match=r"ledger\.sqlite cannot be used"), PlanFile(path, STYLE):
        pass

    assert list(path.parent.iterdir()) == []


def test_what_a_killed_process_left_does_not_disturb_the_next(path: Path) -> None:
    path.with_suffix(".planning").write_bytes(b"half a plan")
    path.with_suffix(".draft").write_bytes(b"half a draft")

    make_plan(path, changes(["dev"]))

    assert list(path.parent.iterdir()) == [path]
    assert links(path) == {2: 2}


@pytest.mark.parametrize("schema", ["main", "draft"])
def test_a_full_disk_says_what_to_do_and_leaves_nothing(path: Path, schema: str) -> None:
    def plan() -> None:
        with PlanFile(path, STYLE) as plan:
            plan._db.execute(f"PRAGMA {schema}.max_page_count = 20")
            for one in changes(["dev"] * 5000):
                plan.add(row(one.line), one)
                plan.complain([Problem(one.line, "id", "wrong")])

    with pytest.raises(LedgerFailed, match="full") as caught:
        plan()

    assert "make room" in caught.value.hint
    assert list(path.parent.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_cannot_be_written_says_what_to_do(path: Path) -> None:
    path.parent.chmod(0o500)

    with pytest.raises(LedgerFailed) as caught, PlanFile(path, STYLE):
        pass

    assert "permissions" in caught.value.hint


def test_a_folder_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LedgerFailed) as caught, PlanFile(tmp_path / "gone" / "ledger.sqlite", STYLE):
        pass

    assert "permissions" in caught.value.hint


LIMITED = """
import resource, sys
from pathlib import Path
from migrator.core.errors import LedgerFailed
from tests.plans import changes, make_plan

resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    make_plan(Path(sys.argv[1]), changes(["dev"] * 20_000))
except LedgerFailed as error:
    print(error, "/", error.hint)
"""


def test_a_disk_that_refuses_to_write_says_what_to_do_and_leaves_nothing(path: Path) -> None:
    with child(LIMITED, path) as planning:
        said, _ = planning.communicate(timeout=60)

    assert "ledger.sqlite cannot be used" in said
    assert "is it full" in said
    assert list(path.parent.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from migrator.ledger import planfile
from tests.plans import change, row, run_record

path, point = Path(sys.argv[1]), sys.argv[2]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

with planfile.PlanFile(path, "dps") as plan:
    plan._db.set_trace_callback(lambda statement: statement.strip().startswith(point) and die())
    for line in range(2, 300):
        plan.add(row(line), change(line, object_=f"o{line % 100}"))
    plan.merge()
    if point == "sync":
        planfile.sync = die
    if point == "rename":
        Path.rename = die
    plan.finish(run_record())
"""


@pytest.mark.parametrize(
    "point",
    [
        "INSERT INTO input_row",
        "INSERT INTO step",
        "COMMIT",
        "CREATE TABLE to_send",
        "PRAGMA user_version",
        "PRAGMA main.journal_mode",
        "sync",
        "rename",
    ],
)
def test_a_process_that_dies_while_planning_leaves_no_ledger(path: Path, point: str) -> None:
    with child(KILLED, path, point) as planning:
        assert planning.wait(60) == -signal.SIGKILL

    assert not path.exists()


PLANNING = """
import sys
from pathlib import Path
from tests.plans import changes, make_plan, run_record

for number in range(10_000):
    folder = Path(sys.argv[1]) / str(number)
    folder.mkdir()
    print(number, flush=True)
    make_plan(folder / "ledger.sqlite", changes(["dev"] * 300), run_record(rows=300))
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_process_killed_at_any_moment_leaves_only_whole_ledgers(tmp_path: Path, seed: int) -> None:
    with child(PLANNING, tmp_path) as planning:
        assert planning.stdout is not None
        planning.stdout.readline()
        time.sleep(random.Random(seed).uniform(0.0, 0.2))
        planning.kill()

    without = [folder for folder in tmp_path.iterdir() if not (folder / "ledger.sqlite").exists()]
    assert len(without) <= 1
    for ledger in tmp_path.glob("*/ledger.sqlite"):
        assert read(ledger, "PRAGMA integrity_check") == [("ok",)]
        assert read(ledger, "SELECT count(*), (SELECT rows FROM run) FROM step") == [(300, 300)]
        assert read_run(ledger).rows == 300
