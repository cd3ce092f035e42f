"""The run: what is in doubt is looked at, what is pending is sent, until nothing is either.

* `run`: the rounds, the workers, and what stops them.
* `feed`, `stock`, `sending`: the way of a step from the ledger to its outcome.
* `looking`: everything that only reads: containers, bases, and what became of steps in doubt.
* `wire`: the one way to the service that all of them share.
"""

from __future__ import annotations

from migrator.engine.looking import Caller, Decide, Decision, hold
from migrator.engine.run import WAITING, Engine
from migrator.engine.wire import Tally

__all__ = ["WAITING", "Caller", "Decide", "Decision", "Engine", "Tally", "hold"]
