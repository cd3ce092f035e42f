"""Breadth first through all worlds of a variant: the first wrong one is reached by the shortest way."""

from __future__ import annotations

from collections import defaultdict, deque
from functools import cache

from msgspec import Struct

from migrator.core.states import Move, State
from tests.protocol.model import moves
from tests.protocol.world import Standing, Variant, Version, World, beginning, current, wrong


class Explored(Struct, frozen=True):
    """What was found.

    Attributes:
        states: how many worlds were reached.
        wrong: what is wrong with the first wrong world, "" if none is.
        trace: how it comes about, one line a move.
        made: every move of a step that a worker made.
        verdicts: for each verdict of a look: what it was based on, and whether the step had been applied by then.
        stuck: worlds from which no end is reached even if nothing fails any more.
    """

    states: int
    wrong: str
    trace: tuple[str, ...]
    made: frozenset[tuple[State, Move]]
    verdicts: frozenset[tuple[Move, Standing, Version, bool]]
    stuck: frozenset[World]


@cache
def explore(variant: Variant) -> Explored:
    """Go to every world that can be reached, or to the first that is wrong."""
    first = beginning(variant)
    came: dict[World, tuple[World, str] | None] = {first: None}
    calm: defaultdict[World, list[World]] = defaultdict(list)
    made: set[tuple[State, Move]] = set()
    verdicts: set[tuple[Move, Standing, Version, bool]] = set()
    queue = deque([first])
    while queue:
        world = queue.popleft()
        for event in moves(variant, world):
            if event.made is not None:
                made.add(event.made)
                if event.seen is not None:
                    verdicts.add((event.made[1], *event.seen, any(world.effects)))
            if event.calm:
                calm[event.world].append(world)
            if event.world in came:
                continue
            came[event.world] = (world, event.text)
            if said := wrong(variant, event.world):
                trace = (*_trace(came, event.world), said)
                return Explored(len(came), said, trace, frozenset(made), frozenset(verdicts), frozenset())
            queue.append(event.world)
    return Explored(len(came), "", (), frozenset(made), frozenset(verdicts), _stuck(came, calm))


def _trace(came: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    """Tell how a world came about."""
    lines: list[str] = []
    while (step := came[world]) is not None:
        world, text = step
        lines.append(text)
    return tuple(reversed(lines))


def _stuck(worlds: dict[World, tuple[World, str] | None], calm: dict[World, list[World]]) -> frozenset[World]:
    """Go back from the ends by moves in which nothing fails; what is not reached is stuck."""
    ends = [world for world in worlds if current(world) is None]
    reached = set(ends)
    while ends:
        for world in calm.get(ends.pop(), ()):
            if world not in reached:
                reached.add(world)
                ends.append(world)
    return frozenset(worlds.keys() - reached)
