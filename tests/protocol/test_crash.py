"""The protocol tried: the real engine and ledger, killed, paused and taken over at every turn.

Set `MIGRATOR_SOAK` to a number of rounds to try every turn so often, instead of a selection of turns once.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migrator.core.model import Doubt, EntityType, Kind, Seen, Step
from migrator.core.reconcile import Bounds, Finding, judge_look
from migrator.core.states import Move, State
from migrator.core.styles import DPS
from migrator.core.verdict import ErrorClass
from migrator.engine import surveying
from migrator.engine.looking import Looker
from migrator.ledger import lease, statements
from migrator.ledger.runledger import RunLedger
from migrator.ports import Commit, Intent
from tests.protocol import trial
from tests.protocol.trial import DOORS, LIFE, Plans, Story, World

ROUNDS = int(os.environ.get("MIGRATOR_SOAK", "0"))


def turns(stride: int) -> Iterator[tuple[int, int]]:
    """Yield seeds, and the turns at which the first misfortune comes."""
    for round_ in range(max(1, ROUNDS)):
        for turn in range(1, LIFE + 1, 1 if ROUNDS else stride):
            yield round_ * LIFE + turn, turn


def tried(plans: Plans, style: str, story: Story, seed: int, turn: int, kind: type[World] = World) -> Mapping[str, int]:
    """Return what was wrong with a run."""
    with kind(plans, DOORS[style], seed) as world:
        story(world, turn)
        return world.wrong


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    return Plans(tmp_path)


STRIDES: Mapping[Story, int] = {
    trial.killed_twice: 4,
    trial.cancelled: 17,
    trial.paused: 9,
    trial.taken_over: 9,
    trial.meddled_with: 9,
}
"""What befalls the runs, and at every which turn; at each one in a soak."""


class TestWithAllProtections:
    @pytest.mark.parametrize("style", DOORS)
    @pytest.mark.parametrize("story", STRIDES, ids=lambda story: story.__name__)
    def test_nothing_is_lost_and_nothing_applied_twice(self, plans: Plans, style: str, story: Story) -> None:
        wrong = defaultdict(list)
        for seed, turn in turns(STRIDES[story]):
            for sentence in tried(plans, style, story, seed, turn):
                wrong[sentence].append((seed, turn))

        assert not wrong

    @pytest.mark.parametrize("style", DOORS)
    def test_nor_with_bases_from_lists_that_are_behind(
        self, plans: Plans, style: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(surveying, "WORTH_A_LIST", 1)
        for seed, turn in turns(19):
            assert not tried(plans, style, trial.meddled_with, seed, turn), (seed, turn)

    @pytest.mark.parametrize("style", DOORS)
    def test_what_is_lost_too_often_has_failed_only_when_it_cannot_come_any_more(
        self, plans: Plans, style: str
    ) -> None:
        class Impatient(World):
            bounds = msgspec.structs.replace(World.bounds, max_attempts=2)

        for seed, turn in turns(19):
            assert not tried(plans, style, trial.killed_twice, seed, turn, Impatient), (seed, turn)

    def test_a_run_without_guards_leaves_more_to_people_and_applies_nothing_twice(self, plans: Plans) -> None:
        class Unguarded(World):
            guard = False
            leaves_some = True

        for seed, turn in turns(23):
            assert not tried(plans, "dps", trial.killed_twice, seed, turn, Unguarded), (seed, turn)

    def test_a_run_depends_on_its_seed_alone(self, plans: Plans) -> None:
        def story(world: World, turn: int) -> None:
            trial.killed_twice(world, turn)
            happened.append((world.loop.time(), *world.service.effects))

        happened: list[tuple[Any, ...]] = []
        for _ in range(2):
            tried(plans, "dps", story, 5, 300)

        assert happened[0] == happened[1]


# What each protection is for: without it, something goes wrong


class Unwritten:
    """A commit that nobody waits for."""

    done = True
    good_until = math.inf

    def hurry(self) -> None:
        pass

    async def durable(self) -> None:
        pass


def without_a_durable_intent(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    class Hasty(RunLedger):
        def intend(self, intent: Intent) -> Commit:  # type: ignore[override]
            super().intend(intent)
            return Unwritten()

    monkeypatch.setattr(World, "_watch", lambda *_: None)  # which would see it at the first request
    monkeypatch.setattr(World, "ledger_class", Hasty)
    return World


def without_a_look(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    real = Looker.look

    async def look(self: Looker, doubt: Doubt) -> Finding | None:
        if doubt.error_class == ErrorClass.GUARD_FAILED:
            return await real(self, doubt)
        return Finding(Move.MISS)

    monkeypatch.setattr(Looker, "look", look)
    return World


def without_a_quiet_period(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    monkeypatch.setattr(World, "bounds", Bounds(0, 0))
    return World


def without_a_pinned_base(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    class Forgetful(RunLedger):
        async def pending(self, container: str, stage: int, after: int, limit: int) -> list[Step]:
            planned = dict(await self._rows("SELECT seq, body FROM step"))
            return [
                msgspec.structs.replace(step, body=planned[step.seq], based=False, etag=None, guarded=False)
                for step in await super().pending(container, stage, after, limit)
            ]

    monkeypatch.setattr(World, "ledger_class", Forgetful)
    return World


def without_guard_and_quiet_period(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    monkeypatch.setattr(World, "guard", False)
    return without_a_quiet_period(monkeypatch)


def without_doubt_about_intents(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    forgive = f"UPDATE progress SET state = '{State.PENDING}' WHERE state = '{State.INTENT}'"
    monkeypatch.setattr(statements, "DOUBT_INTENTS", forgive)
    return World


def without_the_check_before_sending(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    class Endless(RunLedger):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "good_s": math.inf})

    monkeypatch.setattr(World, "ledger_class", Endless)
    return World


def without_the_fence(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    monkeypatch.setattr(lease, "renew", lambda *_: None)
    return World


ENOUGH = 2000
"""Runs in which the lack of a protection shows, by far."""


RAREST = 1605
"""Where the search begins: the seed at which the rarest lack, that of the fence, was found when it began with 0.

All are searched all the same, should the turns of a run have moved since."""


def breaks(plans: Plans, style: str, story: Story, kind: type[World], *how: str) -> bool:
    """Whether something goes wrong in one of many runs, in one of the ways that `how` begins to tell."""
    seeds = ((RAREST + number) % ENOUGH for number in range(ENOUGH))
    runs = ((seed, 1 + seed * 37 % LIFE) for seed in seeds)
    return any(
        sentence.startswith(how) for seed, turn in runs for sentence in tried(plans, style, story, seed, turn, kind)
    )


@pytest.mark.parametrize(
    ("remove", "style", "story"),
    [
        (without_a_durable_intent, "dps", trial.killed_twice),
        (without_a_durable_intent, "xcore", trial.killed_twice),
        (without_a_look, "dps", trial.killed_twice),
        (without_a_look, "xcore", trial.killed_twice),
        (without_a_quiet_period, "dps", trial.killed_twice),
        (without_a_quiet_period, "xcore", trial.killed_twice),
        (without_a_pinned_base, "xcore", trial.killed_twice),
        (without_guard_and_quiet_period, "dps", trial.killed_twice),
        (without_doubt_about_intents, "dps", trial.killed_twice),
        (without_doubt_about_intents, "xcore", trial.killed_twice),
        (without_the_check_before_sending, "dps", trial.taken_over),
        (without_the_fence, "dps", trial.taken_over),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_each_protection_is_needed(
    plans: Plans,
    monkeypatch: pytest.MonkeyPatch,
    remove: Callable[[pytest.MonkeyPatch], type[World]],
    style: str,
    story: Story,
) -> None:
    assert breaks(plans, style, story, remove(monkeypatch), "I1")


@pytest.mark.parametrize(
    ("remove", "style", "story"),
    [
        # What dps cannot guard …
        (without_a_durable_intent, "dps", trial.killed_twice),
        (without_a_look, "dps", trial.killed_twice),
        (without_a_quiet_period, "dps", trial.killed_twice),
        (without_doubt_about_intents, "dps", trial.killed_twice),
        (without_the_check_before_sending, "dps", trial.taken_over),
        # … and what an etag guards.
        (without_a_durable_intent, "xcore", trial.killed_twice),
        (without_a_pinned_base, "xcore", trial.killed_twice),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_replacement_needs_them_too(
    plans: Plans,
    monkeypatch: pytest.MonkeyPatch,
    remove: Callable[[pytest.MonkeyPatch], type[World]],
    style: str,
    story: Story,
) -> None:
    # What was replaced and is replaced again is then found to be as wanted, and the run takes it for somebody else's.
    twice, unknown = "I1 replaced was changed twice", "I3 replaced is UNCHANGED but was changed"
    assert breaks(plans, style, story, remove(monkeypatch), twice, unknown)


# What was found this way, in its smallest form


def test_a_deletion_has_not_failed_while_it_may_still_be_carried_out() -> None:
    step = Step(2, "", "dev", EntityType.TAG, "tag", Kind.DELETE, b"", misses=1)
    doubt = Doubt(step, None, State.DOUBT, first_sent_at=0.0, sent_at=100.0, error_class=ErrorClass.NO_ANSWER)
    there = Seen("tag", "tag", 1, {})
    bounds = Bounds(quiet_period_s=60.0, max_attempts=2)

    assert judge_look(doubt, there, DPS, bounds, client_id="us", now=159.0) is None
    ended = judge_look(doubt, there, DPS, bounds, client_id="us", now=160.0)
    assert ended is not None
    assert ended.move is Move.REJECT
