"""What a run says of its steps while it is running: counted for whoever looks on, logged, and told to the fuse."""

from __future__ import annotations

from migrator.core.limits import Fuse
from migrator.core.model import Step
from migrator.core.states import State
from migrator.core.verdict import ErrorClass
from migrator.engine.wire import Tally
from migrator.logs import log
from migrator.ports import Outcome

NO_FAILURE = frozenset({ErrorClass.GUARD_FAILED, ErrorClass.UNCONFIRMED, ErrorClass.DRIFTED})
"""What is no sign that something is wrong: others have edited, or a deletion was only accepted."""


class Notes:
    """Notes how attempts and steps end."""

    def __init__(self, tally: Tally, fuse: Fuse) -> None:
        """Count in `tally`, and let `fuse` end the run when too much fails."""
        self._tally = tally
        self._fuse = fuse
        told = log.bind()  # bound once: what is not wanted then costs next to nothing
        self._events = {
            State.APPLIED: (told.debug, "step.applied"),
            State.UNCHANGED: (told.debug, "step.unchanged"),
            State.REJECTED: (told.info, "step.rejected"),
            State.DOUBT: (told.info, "step.in_doubt"),
            State.PENDING: (told.debug, "step.again"),
        }

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
        tally.applied += state is State.APPLIED
        tally.unchanged += state is State.UNCHANGED
        tally.rejected += state is State.REJECTED
        tally.in_doubt += state is State.DOUBT
        if state is not State.DOUBT and state is not State.PENDING:
            tally.ended[step.container] += 1
        tally.last_error = outcome.message or tally.last_error
        tell, event = self._events[state]
        tell(
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
        if state is State.APPLIED:
            self._fuse.success()
        elif state is State.UNCHANGED:
            self._fuse.fit()
        elif outcome.error_class and state is not State.PENDING and outcome.error_class not in NO_FAILURE:
            self._fuse.failure(outcome.error_class, outcome.http_status, outcome.message, sent=sent)
