"""What a run says of its steps while it is running: counted for whoever looks on, logged, and told to the fuse."""

from __future__ import annotations

import logging

from migrator.core.limits import Fuse
from migrator.core.model import Step
from migrator.core.states import FINAL, State
from migrator.core.verdict import ErrorClass
from migrator.engine.wire import Tally
from migrator.logs import log
from migrator.ports import Outcome

NO_FAILURE = frozenset({ErrorClass.GUARD_FAILED, ErrorClass.UNCONFIRMED, ErrorClass.DRIFTED})
"""What is no sign that something is wrong: others have edited, or a deletion was only accepted."""

EVENTS = {
    State.APPLIED: (logging.DEBUG, "step.applied"),
    State.UNCHANGED: (logging.DEBUG, "step.unchanged"),
    State.REJECTED: (logging.INFO, "step.rejected"),
    State.DOUBT: (logging.INFO, "step.in_doubt"),
    State.PENDING: (logging.DEBUG, "step.again"),
}
"""How loudly it is said, and as what, that a step has got into a state."""


class Notes:
    """Notes how attempts and steps end."""

    def __init__(self, tally: Tally, fuse: Fuse) -> None:
        """Count in `tally`, and let `fuse` end the run when too much fails."""
        self._tally = tally
        self._fuse = fuse
        told = log.bind()
        # Found out once: to make up an event that nobody wants costs nearly as much as one that somebody does.
        self._events = {state: (level, event) for state, (level, event) in EVENTS.items() if told.is_enabled_for(level)}
        self._told = told

    def fit(self) -> None:
        """Note that a look has found a step to be possible."""
        self._tally.surveyed += 1
        self._fuse.fit()

    def take(self, step: Step, outcome: Outcome, *, sent: bool = True) -> None:
        """Note how an attempt ended, or a step without one: one line, as loud as it deserves.

        Args:
            step: the step.
            outcome: how it ended.
            sent: whether there was an attempt.

        Raises:
            Stopped: too much fails.
        """
        tally, state = self._tally, outcome.state
        if state in self._events:
            self._tell(step, outcome)
        if state in FINAL:
            tally.ended[step.container] += 1
        tally.last_error = outcome.message or tally.last_error
        if state is State.APPLIED:
            tally.applied += 1
            self._fuse.success()
            return
        tally.unchanged += state is State.UNCHANGED
        tally.rejected += state is State.REJECTED
        tally.in_doubt += state is State.DOUBT
        if state is State.UNCHANGED:
            self._fuse.fit()
        elif outcome.error_class and state is not State.PENDING and outcome.error_class not in NO_FAILURE:
            self._fuse.failure(outcome.error_class, outcome.http_status, outcome.message, sent=sent)

    def _tell(self, step: Step, outcome: Outcome) -> None:
        level, event = self._events[outcome.state]
        self._told.log(
            level,
            event,
            line=step.seq,
            container=step.container,
            type=step.type,
            object=step.object,
            kind=step.kind,
            http_status=outcome.http_status,
            error=outcome.error_class,
            message=outcome.message,
        )
