"""The protocol under misfortunes that Hypothesis chooses, and makes as few as will do when something is wrong."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from migrator.core.reconcile import Bounds
from tests.protocol.service import FAULTS, Fate
from tests.protocol.simulation import Process
from tests.protocol.trial import DOORS, EDITED, MEMBERS, Door, Plans, World, foreign_value


class Misfortunes(RuleBasedStateMachine):
    """A run that is carried on by one process after the other, and for a while by two."""

    def __init__(self, plans: Plans, door: Door) -> None:
        super().__init__()
        self._plans = plans
        self._door = door
        self._edits = 0
        self._open = ExitStack()

    @initialize(seed=st.integers(0, 999), fault_rate=st.sampled_from([0.0, 0.3]))
    def begin(self, seed: int, fault_rate: float) -> None:
        self.world = self._open.enter_context(World(self._plans, self._door, seed))
        self.world.service.fault_rate = fault_rate
        self.world.start()

    def _those(self, *, paused: bool) -> list[Process]:
        return [process for process in self.world.processes if not process.over and process.paused == paused]

    @rule(turns=st.integers(1, 150))
    def go_on(self, turns: int) -> None:
        """Let everybody take turns."""
        self.world.loop.go_on_for(turns)

    @rule(seconds=st.sampled_from([0.5, 5, 30, 100]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.loop.rest(seconds)

    @rule(fates=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3))
    def lose_the_next_requests(self, fates: list[Fate]) -> None:
        """Let the next writes, or their answers, be lost, late, cut or refused."""
        self.world.service.fates[:] = fates

    @precondition(lambda self: self._those(paused=False))
    @rule()
    def crash(self) -> None:
        self._those(paused=False)[0].kill()

    @precondition(lambda self: self._those(paused=False))
    @rule(seconds=st.sampled_from([10, 40, 55, 130, 300]))
    def stand_still(self, seconds: float) -> None:
        """Stop a process for longer than an intent is good, than the quiet period, or than its lease."""
        self._those(paused=False)[0].pause(seconds)

    @precondition(lambda self: not self._those(paused=False))
    @rule()
    def resume(self) -> None:
        """Start the next process: on another host, if one that stands still may go on."""
        host = f"host {len(self.world.processes)}" if self._those(paused=True) else "here"
        self.world.start(host=host)

    @rule(object_=st.sampled_from(EDITED), member=st.sampled_from(MEMBERS))
    def edit(self, object_: str, member: str) -> None:
        """Let somebody else change an object."""
        self._edits += 1
        self.world.leaves_some = True
        self.world.service.edit(object_, member, foreign_value(member, self._edits))

    @rule(object_=st.sampled_from(EDITED), member=st.sampled_from(MEMBERS))
    def undo(self, object_: str, member: str) -> None:
        """Let somebody else put back what was there in the beginning."""
        self.world.leaves_some = True
        self.world.service.undo(object_, member)

    @rule(object_=st.sampled_from(EDITED))
    def remove(self, object_: str) -> None:
        """Let somebody else delete an object."""
        self.world.leaves_some = True
        self.world.service.remove(object_)

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.world.check_midway()
        assert not dict(self.world.wrong)

    def teardown(self) -> None:
        with self._open:
            if not self.world.wrong:
                self.world.finish()
                assert not dict(self.world.wrong)


def befall(folder: Path, style: str, examples: int = 150, **how: Any) -> None:
    plans = Plans(folder)
    run_state_machine_as_test(
        lambda: Misfortunes(plans, DOORS[style]),  # type: ignore[arg-type]  # anything that makes one will do
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **how,
        ),
    )


@pytest.mark.parametrize("style", DOORS)
def test_no_misfortune_makes_a_run_wrong(tmp_path: Path, style: str) -> None:
    befall(tmp_path, style)


@pytest.mark.parametrize("style", DOORS)
def test_without_a_quiet_period_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    monkeypatch.setattr(World, "bounds", Bounds(0, 0))

    with pytest.raises(AssertionError, match="I1"):
        # It ends with the first that is found; in dps, where most patches are guarded, that may take a while.
        befall(tmp_path, style, examples=2000, phases=[Phase.generate])
