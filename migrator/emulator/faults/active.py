"""The rules in force: who is struck, how often, and how several faults of one request nest."""

from __future__ import annotations

import random
import re
from fnmatch import translate
from functools import partial
from typing import TYPE_CHECKING, Any

from migrator.emulator.faults.kinds import PHASES
from migrator.emulator.faults.rules import FaultRule
from migrator.emulator.faults.strikes import Strike

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.emulator.faults.strikes import Proceed, World
    from migrator.emulator.http import Request

_SECOND_US = 1_000_000
_ORDER = {phase: place for place, phase in enumerate(PHASES)}


class ActiveFault:
    """One rule in force.

    It has a random generator of its own, made from the seed and the rule, and draws from it once for each matching
    request: what it strikes depends on the requests it matches and on nothing else.

    Args:
        number: what it is called at the admin pages.
        rule: the rule.
        seed: what its generator is made from.

    Attributes:
        matched: matching requests so far.
        hits: requests it struck.
    """

    def __init__(self, number: int, rule: FaultRule, seed: str) -> None:
        self.number = number
        self.rule = rule
        self.matched = 0
        self.hits = 0
        self._path = re.compile(translate(rule.values["path"]))
        self._chance = random.Random(seed)  # noqa: S311 - it has to be repeatable

    def matches(self, request: Request) -> bool:
        """Whether this rule is about such a request."""
        return (
            request.method in self.rule.methods
            and request.exchange.style in self.rule.styles
            and self._is_target(request)
            and self._path.match(request.path) is not None
        )

    def draw(self) -> bool:
        """Count one matching request, and say whether it is to be struck."""
        values = self.rule.values
        self.matched += 1
        turn = self.matched - (values["after"] or 0)
        lucky = values["p"] is None or self._chance.random() < values["p"]
        if turn < 1 or (values["max"] is not None and self.hits >= values["max"]):
            return False
        if values["n"] is not None:
            return bool(turn == values["n"])
        return bool(turn % values["every"] == 0) if values["every"] is not None else lucky

    def state(self) -> dict[str, Any]:
        """The rule and its counts as a JSON object."""
        return {
            "id": self.number,
            "rule": self.rule.text,
            "strikes": PHASES[self.rule.kind.phase],
            "matched": self.matched,
            "hits": self.hits,
        }

    def _is_target(self, request: Request) -> bool:
        has_key = "key" in request.params
        match self.rule.kind.target:
            case "any":
                return True
            case "object":
                return has_key
            case "list":
                return not has_key
            case "page":
                return not has_key and "start" in request.query


class Faults:
    """All rules in force.

    Args:
        world: what faults can reach.
        seed: what all generators are made from.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._active: list[ActiveFault] = []
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._active)

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(self._active)

    def add(self, rule: FaultRule) -> ActiveFault:
        """Put a rule in force. Two of the same text strike independently of each other."""
        self._added += 1
        twins = sum(active.rule.text == rule.text for active in self._active)
        active = ActiveFault(self._added, rule, f"{self._seed}/{rule.text}/{twins}")
        self._set([*self._active, active])
        return active

    def remove(self, number: int) -> bool:
        """Take a rule out of force. False when there is none of that number."""
        left = [active for active in self._active if active.number != number]
        found = len(left) < len(self._active)
        self._set(left)
        return found

    def clear(self) -> None:
        """Take all rules out of force."""
        self._set([])

    def restart(self, rules: Iterable[FaultRule]) -> None:
        """Put these rules in force and no others, as at the start."""
        self._added = 0
        self.clear()
        for rule in rules:
            self.add(rule)

    def draw(self, request: Request, *phases: str) -> list[ActiveFault]:
        """Find the faults that strike a request in some phases, outermost first.

        Every rule that matches draws. Once one has ended the request, those further in are not counted as hits.
        """
        due: list[ActiveFault] = []
        for active in self._active:
            if active.rule.kind.phase not in phases or not active.matches(request) or not active.draw():
                continue
            if due and due[-1].rule.kind.ends:
                continue
            active.hits += 1
            due.append(active)
        if due:
            request.exchange.faults += tuple(active.rule.kind.name for active in due)
        return due

    def around(self, due: Iterable[ActiveFault], request: Request, proceed: Proceed) -> Proceed:
        """Nest faults around an answer, the first outermost."""
        for active in reversed(list(due)):
            strike = Strike(active.rule.values, request, self._world)
            proceed = partial(active.rule.kind.act, strike, proceed)
        return proceed

    def _set(self, active: list[ActiveFault]) -> None:
        self._active = sorted(active, key=lambda one: _ORDER[one.rule.kind.phase])
        lags = [one.rule.values["seconds"] for one in self._active if one.rule.kind.name == "search-lag"]
        self._world.library.look_back(round(max(lags, default=0) * _SECOND_US))
