"""The folder of runs: who has which name, which is the newest, and that a run is run by one process at a time."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migrator.core.errors import LedgerFailed, Stopped, UsageError
from migrator.ledger import folder
from migrator.ledger.folder import RunFolder, Runs, new_run_id
from tests.plans import changes, make_plan, run_record
from tests.waiting import child


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def add(runs: Runs, run_id: str, created_at: float) -> RunFolder:
    run = runs.create(run_id)
    make_plan(run.ledger, changes(["dev"]), run_record(run_id, created_at))
    return run


class TestNames:
    def test_a_run_has_a_folder_of_its_name(self, runs: Runs) -> None:
        run = runs.create("spring-2026.1_b")

        assert run.path == runs.path / "spring-2026.1_b"
        assert run.path.is_dir()
        assert (run.id, run.ledger.parent, run.results.parent) == (run.path.name, run.path, run.path)

    @pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a b", "é", "x" * 101, "a\n"])
    def test_what_cannot_name_a_folder_safely_is_refused(self, runs: Runs, name: str) -> None:
        with pytest.raises(UsageError, match="cannot name a run"):
            runs.create(name)
        with pytest.raises(UsageError, match="there is no run"):
            runs.find(name)

    def test_a_name_is_taken_once_and_the_hint_resumes(self, runs: Runs) -> None:
        add(runs, "spring", 1.0)

        with pytest.raises(UsageError, match="already a run spring") as caught:
            runs.create("spring")

        assert "migrator resume spring" in caught.value.hint

    def test_what_a_killed_planning_left_has_another_hint_for_there_is_nothing_to_resume(self, runs: Runs) -> None:
        runs.create("spring")

        with pytest.raises(UsageError, match="has no ledger: nothing was sent") as caught:
            runs.create("spring")

        assert "resume" not in caught.value.hint
        assert "delete that folder" in caught.value.hint

    def test_a_folder_that_cannot_be_made_says_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("a file")

        with pytest.raises(LedgerFailed, match="cannot make") as caught:
            Runs(tmp_path / "runs").create("spring")

        assert "--ledger" in caught.value.hint

    def test_the_entries_of_a_new_folder_reach_the_disk(self, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[Path] = []
        monkeypatch.setattr(folder, "sync", synced.append)

        runs.create("spring")

        assert synced == [runs.path, runs.path.parent]

    def test_a_made_up_id_sorts_by_time_and_tells_equal_seconds_apart(self) -> None:
        noon = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()

        assert re.fullmatch("20261122-120000-[0-9a-f]{4}", new_run_id(noon))
        assert new_run_id(noon + 1) > new_run_id(noon)
        assert len({new_run_id(noon) for _ in range(20)}) > 1

    def test_a_run_that_never_began_leaves_nothing(self, runs: Runs) -> None:
        run = runs.create("spring")
        (run.path / "input").write_text("copied")

        run.remove()

        assert list(runs.path.iterdir()) == []


class TestFinding:
    def test_there_are_no_runs_where_there_is_no_folder(self, runs: Runs) -> None:
        assert runs.all() == []
        with pytest.raises(UsageError, match="there is no run in") as caught:
            runs.find(None)
        assert "migrator apply" in caught.value.hint

    def test_runs_come_by_the_time_they_were_made_and_not_by_their_names(self, runs: Runs) -> None:
        for name, created_at in (("b", 20.0), ("c", 10.0), ("a", 30.0)):
            add(runs, name, created_at)

        assert [run.id for run in runs.all()] == ["c", "b", "a"]
        assert runs.find(None).id == "a"
        assert runs.find("c").id == "c"

    def test_what_has_no_ledger_is_no_run(self, runs: Runs) -> None:
        add(runs, "a", 1.0)
        runs.create("being-planned")
        (runs.path / "notes.txt").write_text("mine")

        assert [run.id for run in runs.all()] == ["a"]
        with pytest.raises(UsageError, match="there is no run being-planned"):
            runs.find("being-planned")

    def test_a_run_is_found_by_its_name_whatever_the_others_are(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(runs, "a", 1.0)
        monkeypatch.setattr(folder, "read_run", lambda path: pytest.fail(f"{path} was opened"))

        assert runs.find("a").id == "a"

    def test_an_unreadable_newest_run_is_not_passed_over_in_silence(self, runs: Runs) -> None:
        add(runs, "old", 1_000.0)
        broken = add(runs, "broken", 2_000.0)
        broken.ledger.write_bytes(b"spoiled" * 1000)

        assert runs.find(None).id == "broken"

    def test_an_unreadable_old_run_is_not_taken_for_the_newest(self, runs: Runs) -> None:
        broken = add(runs, "broken", 1_000.0)
        broken.ledger.write_bytes(b"spoiled" * 1000)
        os.utime(broken.ledger, (1_500.0, 1_500.0))
        add(runs, "new", 2_000.0)

        assert runs.find(None).id == "new"

    def test_a_place_that_is_no_folder_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("a file")

        assert Runs(tmp_path / "runs").all() == []
        with pytest.raises((UsageError, LedgerFailed)):
            Runs(tmp_path / "runs").find("spring")


class TestLock:
    def test_a_second_holder_is_stopped_and_told_where_to_look(self, runs: Runs) -> None:
        run = add(runs, "spring", 1.0)

        with run.locked(), pytest.raises(Stopped, match="another process is running it") as caught, run.locked():
            pass

        assert "migrator status spring" in caught.value.hint

    def test_the_lock_is_free_after_its_holder_left_whatever_the_reason(self, runs: Runs) -> None:
        run = add(runs, "spring", 1.0)
        with pytest.raises(KeyError), run.locked():
            raise KeyError

        with run.locked():
            pass

    def test_another_process_is_stopped_and_a_dead_one_holds_nothing(self, runs: Runs) -> None:
        script = """
import sys
from pathlib import Path
from migrator.ledger.folder import RunFolder

with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""
        run = add(runs, "spring", 1.0)
        with child(script, run.path) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(Stopped), run.locked():
                pass
            holder.kill()
            holder.wait()

            assert (run.path / "lock").exists(), "what is left of it is a file, and a file is not a lock"
            with run.locked():
                pass

    def test_a_run_that_cannot_be_locked_says_what_to_do(self, runs: Runs) -> None:
        run = add(runs, "spring", 1.0)
        (run.path / "lock").mkdir()

        with pytest.raises(LedgerFailed, match="run spring cannot be locked") as caught, run.locked():
            pass

        assert "permissions" in caught.value.hint
