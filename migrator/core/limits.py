"""When a run stops itself: too many failures, the same one over and over, too much time."""

from __future__ import annotations

from msgspec import Struct

from migrator.core.errors import Stopped


class Limits(Struct, frozen=True):
    """How much may go wrong, and how long it may take. 0 means without limit.

    Attributes:
        max_failures: steps that fail or end in doubt, before the run stops.
        max_failures_share: the same as a share of the steps of the run, in (0, 1].
        equal_failures: failures of the same kind in a row, before the run stops: then something is wrong with all.
        max_duration_s: seconds after which no request is sent any more.
    """

    max_failures: int = 0
    max_failures_share: float = 0.0
    equal_failures: int = 0
    max_duration_s: float = 0.0


class Share(Struct, frozen=True):
    """A bound that people write as a number or as a share: `20` or `5%`.

    Attributes:
        number: the number, or `None`.
        share: the share, in [0, 1], or `None`.
    """

    number: int | None = None
    share: float | None = None


def share_of(text: str) -> Share:
    """Read a bound; of "" neither is set."""
    if text.endswith("%"):
        return Share(share=float(text[:-1]) / 100)
    return Share(number=int(text)) if text else Share()


class Fuse:
    """Counts failures, and blows."""

    def __init__(self, limits: Limits, steps: int) -> None:
        """Begin without a failure.

        Args:
            limits: how many there may be.
            steps: requests of the whole run, of which a share may fail.
        """
        # Rounded, since 0.29 × 100 is a little less than 29 in floating point.
        share = int(round(limits.max_failures_share * steps, 6)) if limits.max_failures_share else None
        bounds = [bound for bound in (limits.max_failures or None, share) if bound is not None]
        self._most = min(bounds) if bounds else None
        self._equal = limits.equal_failures
        self._failures = 0
        self._in_a_row = 0
        self._kind: tuple[str, int | None, bool] = ("", None, True)

    def success(self) -> None:
        """Take in a step that was applied."""
        self._in_a_row = 0

    def fit(self) -> None:
        """Take in a step that a look has found to be possible: what looks have refused before is not all."""
        *_, sent = self._kind
        self._in_a_row = self._in_a_row if sent else 0

    def failure(self, error: str, http_status: int | None, message: str, *, sent: bool = True) -> None:
        """Take in a step that failed or was lost.

        Args:
            error: why.
            http_status: of the answer.
            message: what was said.
            sent: whether it was sent, or refused by a look before.

        Raises:
            Stopped: that was one too many.
        """
        kind = (error, http_status, sent)
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind = kind
        self._failures += 1
        if self._equal and self._in_a_row >= self._equal:
            raise Stopped(
                f"{self._in_a_row} requests in a row failed alike: {message}",
                "see what they have in common; --equal-failures allows more",
            )
        if self._most is not None and self._failures > self._most:
            raise Stopped(
                f"{self._failures} steps failed, more than --max-failures allows; the last one: {message}",
                "mend what is wrong; --max-failures allows more",
            )
