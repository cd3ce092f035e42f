"""When a run stops itself: too many failures, the same one over and over, too much time."""

from __future__ import annotations

from msgspec import Struct

from migrator.core.errors import Stopped


class Share(Struct, frozen=True):
    """A bound that people write as a number or as a share: `20` or `5%`.

    Attributes:
        number: the number, or `None`.
        share: the share, in [0, 1], or `None`.
    """

    number: int | None = None
    share: float | None = None

    def of(self, total: int) -> int | None:
        """Return how many of `total` there may be at the most, or `None` for any number."""
        if self.share is None:
            return self.number
        # Rounded, since 0.29 × 100 is a little less than 29 in floating point.
        return int(round(self.share * total, 6))


def share_of(text: str) -> Share:
    """Read a bound; of "" neither is set."""
    if text.endswith("%"):
        return Share(share=float(text[:-1]) / 100)
    return Share(number=int(text)) if text else Share()


class Limits(Struct, frozen=True):
    """How much may go wrong, and how long it may take.

    Attributes:
        max_failures: steps that may fail or end in doubt; with one more the run stops. A share is one of all its steps.
        equal_failures: failures of the same kind in a row, before the run stops: then something is wrong with all; 0
            for any number.
        max_duration_s: seconds after which no request is sent any more; 0 for never.
    """

    max_failures: Share = Share()
    equal_failures: int = 0
    max_duration_s: float = 0.0


class Fuse:
    """Counts failures, and blows."""

    def __init__(self, limits: Limits, steps: int) -> None:
        """Begin without a failure.

        Args:
            limits: how many there may be.
            steps: requests of the whole run, of which a share may fail.
        """
        self._most = limits.max_failures.of(steps)
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
            failed = "1 step" if self._failures == 1 else f"{self._failures} steps"
            raise Stopped(
                f"{failed} failed, more than --max-failures allows; the last one: {message}",
                "mend what is wrong; --max-failures allows more",
            )
