"""The run: what is in doubt is looked at, what is pending is sent, until nothing is either.

* `run`: the rounds, the workers, and what stops them.
* `feed`, `stock`, `sending`: the way of a step from the ledger to its outcome.
* `surveying`: what objects are before their change.
* `looking`: what became of steps in doubt.
* `verifying`: what has become of what a run has written.
* `reader`: everything that is read.
* `notes`: what a run says of its steps while it is running.
* `wire`: the one way to the service that all of them share.
"""

from __future__ import annotations

from migrator.engine.looking import Decide, Decision, hold
from migrator.engine.reader import Caller, Reader, Unlistable
from migrator.engine.run import WAITING, Engine
from migrator.engine.surveying import WORTH_A_LIST
from migrator.engine.verifying import Mismatch, Unread, Verification, Verified
from migrator.engine.wire import Refused, Tally, Wire

__all__ = [
    "WAITING",
    "WORTH_A_LIST",
    "Caller",
    "Decide",
    "Decision",
    "Engine",
    "Mismatch",
    "Reader",
    "Refused",
    "Tally",
    "Unlistable",
    "Unread",
    "Verification",
    "Verified",
    "Wire",
    "hold",
]
